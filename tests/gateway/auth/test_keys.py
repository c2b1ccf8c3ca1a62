"""Which keys are read, and what each is good for."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from tests.gateway.auth.issuer import SECRET, jwk, jwks, pem, private_key
from tests.net.certificates import CHAIN

from holdfast.gateway.auth.keys import KEYS_MAX, KeysError, choose_keys, read_jwks, read_keys


def refused(data: bytes, *, symmetric: bool = False) -> str:
    with pytest.raises(KeysError) as raised:
        read_keys(data, symmetric=symmetric)
    return str(raised.value)


def test_a_key_says_what_it_is_good_for() -> None:
    found = read_jwks(
        jwks(
            jwk("RS", "r"),
            jwk("ES256", "e"),
            jwk("ES384", "f"),
            jwk("EdDSA", "d"),
            jwk("RS/2", "s", alg="RS512"),
        ),
        symmetric=False,
    )
    assert {key.kid: sorted(key.algorithms) for key in found} == {
        "r": ["PS256", "PS384", "PS512", "RS256", "RS384", "RS512"],
        "e": ["ES256"],
        "f": ["ES384"],
        "d": ["EdDSA"],
        "s": ["RS512"],
    }
    assert [key.kid for key in choose_keys(found, "", "RS512")] == ["r", "s"]
    assert [key.kid for key in choose_keys(found, "s", "RS256")] == []


def test_keys_for_other_purposes_are_left_out() -> None:
    secret = {"kty": "oct", "k": "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY", "kid": "o"}
    data = jwks(
        jwk("RS", "good"),
        jwk("RS/2", "enc", use="enc"),
        jwk("RS/2", "wrap", key_ops=["wrapKey"]),
        jwk("RS/2", "oaep", alg="RSA-OAEP"),
        {"kty": "new", "kid": "new"},
        {"kty": "RSA", "kid": "broken", "n": "!", "e": "AQAB"},
        secret,
    )
    assert [key.kid for key in read_jwks(data, symmetric=False)] == ["good"]
    assert [key.kid for key in read_jwks(data, symmetric=True)] == ["o"], "a file of secrets"


ODD: Final[tuple[Any, ...]] = (None, True, 5, 1.5, 10**40, [], [None], {}, "", "!", "A", "AAAA")
FIELDS: Final = (
    "kty",
    "kid",
    "alg",
    "use",
    "key_ops",
    "n",
    "e",
    "crv",
    "x",
    "y",
    "d",
    "p",
    "k",
    "x5c",
)


@pytest.mark.parametrize("kind", ["RS/2", "ES256", "EdDSA", "secret"])
def test_an_odd_key_is_left_out_and_the_others_stay(kind: str) -> None:
    symmetric = kind == "secret"
    good = {"kty": "oct", "k": "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY", "kid": "good"}
    whole = {**good, "kid": "odd"} if symmetric else jwk(kind, "odd")
    broken: list[tuple[str, Any]] = [
        ("key_ops", None), ("key_ops", 5), ("key_ops", []), ("alg", 5), ("alg", []), ("kid", 5),
    ]  # fmt: skip
    data = jwks(
        good if symmetric else jwk("RS", "good"),
        *({**whole, field: value} for field, value in broken),
    )
    assert [key.kid for key in read_jwks(data, symmetric=symmetric)] == ["good"]
    for field in FIELDS:
        without = {name: value for name, value in whole.items() if name != field}
        for odd in (without, *({**whole, field: value} for value in ODD)):
            data = jwks(good if symmetric else jwk("RS", "good"), odd)
            assert read_jwks(data, symmetric=symmetric)[0].kid == "good", odd


def test_of_a_private_key_in_a_set_only_the_public_part_is_kept() -> None:
    from jwt.algorithms import ECAlgorithm

    private = json.loads(ECAlgorithm.to_jwk(private_key("ES256")))
    (key,) = read_jwks(jwks(private), symmetric=False)
    assert not hasattr(key.material, "private_numbers")


def test_a_certificate_is_read_as_its_key() -> None:
    found = read_keys(CHAIN.encode(), symmetric=False)
    assert len(found) == CHAIN.count("BEGIN CERTIFICATE")


def test_what_are_no_keys_is_refused() -> None:
    weak = rsa.generate_private_key(public_exponent=65537, key_size=1024).public_key()
    small = weak.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    private = private_key("RS").private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    assert "2048 bits" in refused(small)
    assert "found a private key" in refused(private)
    assert "found neither" in refused(SECRET)
    assert "found neither" in refused(b"")
    assert "PEM" in refused(b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n")
    assert "32 bytes, found 5" in refused(b"short\n", symmetric=True)
    assert "found a key in PEM" in refused(pem("RS"), symmetric=True)
    assert "found none" in refused(jwks())
    assert "found none" in refused(b"{}")
    assert "Key Set" in refused(b'{"keys"')
    assert f"at most {KEYS_MAX}" in refused(jwks(*[{}] * (KEYS_MAX + 1)))
    assert f"at most {KEYS_MAX}" in refused(pem("ES256") * (KEYS_MAX + 1))


def test_a_secret_is_as_long_as_its_hash() -> None:
    """RFC 7518 section 3.2."""
    (key,) = read_keys(SECRET[:32], symmetric=True)
    assert key.algorithms == {"HS256"}
    (key,) = read_keys(SECRET[:48], symmetric=True)
    assert key.algorithms == {"HS256", "HS384"}
