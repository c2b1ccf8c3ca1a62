"""Tokens that prove nothing are refused, each with its reason (RFC 8725)."""

from __future__ import annotations

import hashlib
import hmac
import json

import pytest
from tests.gateway.auth.issuer import NOW, SECRET, forged, jwk, jwks, pem, private_key, token

from holdfast.gateway.auth.errors import CredentialError
from holdfast.gateway.auth.keys import Key, choose_keys, read_jwks, read_keys
from holdfast.gateway.auth.tokens import read_header, verify

BYTES_MAX = 8192
CLAIMS = {"sub": "anna", "exp": NOW + 60}


def judge(text: str, keys: list[Key], *algorithms: str) -> dict[str, object]:
    header = read_header(text, BYTES_MAX, algorithms)
    return verify(text, header.alg, choose_keys(keys, header.kid, header.alg))


@pytest.mark.parametrize(
    ("kind", "algorithm"),
    [
        ("RS", "RS256"),
        ("RS", "RS512"),
        ("RS", "PS256"),
        ("ES256", "ES256"),
        ("ES384", "ES384"),
        ("EdDSA", "EdDSA"),
    ],
)
def test_a_token_is_good_with_the_key_that_signed_it(kind: str, algorithm: str) -> None:
    text = token(private_key(kind), algorithm, now=NOW)
    for keys in (
        read_keys(pem(kind), symmetric=False),
        read_jwks(jwks(jwk(kind)), symmetric=False),
    ):
        assert judge(text, keys, algorithm)["sub"] == "anna"


@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
def test_a_token_is_good_with_the_secret_that_signed_it(algorithm: str) -> None:
    keys = read_keys(SECRET + b"\n", symmetric=True)
    assert judge(token(SECRET, algorithm, now=NOW), keys, algorithm)["sub"] == "anna"


def refused(text: str, keys: list[Key], *algorithms: str) -> str:
    with pytest.raises(CredentialError) as raised:
        judge(text, keys, *algorithms)
    assert raised.value.told == "the token is not valid"
    return str(raised.value)


def test_a_token_without_a_signature_is_refused() -> None:
    keys = read_keys(SECRET, symmetric=True)
    for name in ("none", "None", "NONE", "nOnE"):
        assert "alg" in refused(forged({"alg": name}, CLAIMS), keys, "HS256")
    assert "signature" in refused(forged({"alg": "HS256"}, CLAIMS), keys, "HS256")


def test_a_public_key_is_no_secret() -> None:
    """The attack on servers that let the token choose what a key is used for."""
    for kind in ("RS", "ES256"):
        for material in (pem(kind), pem(kind).strip(), json.dumps(jwk(kind)).encode()):
            head = forged({"alg": "HS256"}, CLAIMS)[:-1]
            signature = hmac.new(material, head.encode(), hashlib.sha256).digest()
            text = forged({"alg": "HS256"}, CLAIMS, signature)
            keys = read_keys(pem(kind), symmetric=False)
            assert "alg" in refused(text, keys, "RS256", "ES256")
            assert "none of the keys" in refused(text, keys, "HS256", "RS256")


def test_an_algorithm_of_another_kind_of_key_is_refused() -> None:
    keys = read_keys(pem("RS") + pem("ES256"), symmetric=False)
    text = token(private_key("ES384"), "ES384", now=NOW)
    assert "alg" in refused(text, keys, "RS256", "ES256")
    assert "none of the keys" in refused(text, keys, "RS256", "ES256", "ES384")


def test_a_key_that_a_token_brings_along_is_not_looked_at() -> None:
    keys = read_keys(pem("RS"), symmetric=False)
    other = private_key("RS/2")
    for headers in (
        {"jwk": jwk("RS/2")},
        {"jku": "http://127.0.0.1:1/jwks.json"},
        {"x5u": "http://127.0.0.1:1/"},
        {"x5c": ["MIIB"]},
        {"kid": "../../dev/null"},
        {"kid": "' OR 1=1 --"},
        {"kid": "http://127.0.0.1:1/"},
    ):
        text = token(other, "RS256", headers=headers, now=NOW)
        assert "none of the keys" in refused(text, keys, "RS256")


def test_a_token_is_judged_by_the_key_that_it_names() -> None:
    keys = read_jwks(jwks(jwk("RS", "a"), jwk("RS/2", "b")), symmetric=False)
    for kind, kid, good in (("RS", "a", True), ("RS", "b", False), ("RS/2", "b", True)):
        text = token(private_key(kind), "RS256", headers={"kid": kid}, now=NOW)
        if good:
            assert judge(text, keys, "RS256")["sub"] == "anna"
        else:
            refused(text, keys, "RS256")
    refused(token(private_key("RS"), "RS256", headers={"kid": "c"}, now=NOW), keys, "RS256")
    assert judge(token(private_key("RS/2"), "RS256", now=NOW), keys, "RS256"), "it names none"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "JSON Web Token"),
        ("a.b", "JSON Web Token"),
        ("a.b.c.d.e", "JSON Web Token"),
        ("a b.c.d", "JSON Web Token"),
        ("a.b.c\n", "JSON Web Token"),
        ("é.b.c", "JSON Web Token"),
        ("====.b.c", "JSON Web Token"),
        ("a.b.c", "base64url"),
        ("W10.e30.x", "header"),
        (forged({"alg": 5}, CLAIMS), "header"),
        (forged({"alg": "HS256", "kid": 5}, CLAIMS), "header"),
        (forged({}, CLAIMS), "alg"),
        (forged({"alg": "HS256", "kid": "k" * 257}, CLAIMS), "kid"),
        (forged({"alg": "HS256", "crit": ["exp"]}, CLAIMS), "crit"),
        (forged({"alg": "HS256", "crit": ["b64"], "b64": False}, CLAIMS), "crit"),
        ("a" * (BYTES_MAX + 1), "8192 bytes"),
        ("[" * 6000 + "..", "JSON Web Token"),
    ],
)
def test_what_is_no_token_is_refused(text: str, why: str) -> None:
    assert why in refused(text, read_keys(SECRET, symmetric=True), "HS256")


def test_claims_that_are_no_object_are_refused() -> None:
    head = forged({"alg": "HS256"}, CLAIMS).partition(".")[0]
    for payload in ("WzFd", "bnVsbA", "_w"):
        signed = f"{head}.{payload}"
        signature = hmac.new(SECRET, signed.encode(), hashlib.sha256).digest()
        tail = forged({}, {}, signature).rpartition(".")[2]
        assert "claims" in refused(f"{signed}.{tail}", read_keys(SECRET, symmetric=True), "HS256")


def test_an_altered_token_is_refused() -> None:
    text = token(SECRET, now=NOW)
    keys = read_keys(SECRET, symmetric=True)
    for at in range(0, len(text), 7):
        altered = text[:at] + ("A" if text[at] != "A" else "B") + text[at + 1 :]
        with pytest.raises(CredentialError):
            judge(altered, keys, "HS256")


@pytest.mark.parametrize(("before", "good"), [(0, True), (7, True), (8, False)])
def test_so_many_keys_are_tried_for_a_token_and_no_more(before: int, good: bool) -> None:
    others = [
        Key("", frozenset({"HS256"}), b"x" * 40 + bytes([number])) for number in range(before)
    ]
    (key,) = read_keys(SECRET, symmetric=True)
    text = token(SECRET, "HS256", now=NOW)
    if good:
        assert verify(text, "HS256", [*others, key])["sub"] == "anna"
    else:
        with pytest.raises(CredentialError, match="the signature is of none of the keys"):
            verify(text, "HS256", [*others, key])


def test_a_token_may_be_as_long_as_it_may_be() -> None:
    text = token(SECRET, "HS256", now=NOW)
    assert read_header(text, len(text), ["HS256"]).alg == "HS256"
    with pytest.raises(CredentialError, match=f"at most {len(text) - 1} bytes, found {len(text)}"):
        read_header(text, len(text) - 1, ["HS256"])
