"""What claims prove (RFC 7519 section 4)."""

from __future__ import annotations

from typing import Any

import pytest
from tests.gateway.auth.issuer import NOW

from holdfast.core.identity import Identity
from holdfast.gateway.auth.claims import judge_claims
from holdfast.gateway.auth.errors import CredentialError
from holdfast.gateway.auth.options import AuthOptions

OPTIONS = AuthOptions(
    algorithms=("HS256",),
    issuer="https://shop.example",
    audience="holdfast",
    leeway_seconds=30,
    property_claims=("name", "age", "roles", "absent"),
)
GOOD = {"sub": "anna", "exp": NOW + 60, "iss": "https://shop.example", "aud": "holdfast"}


def judge(claims: dict[str, Any], options: AuthOptions = OPTIONS) -> Identity:
    return judge_claims(claims, options, NOW, name_bytes_max=256, properties_bytes_max=1000)


def test_a_user_and_properties() -> None:
    claims = GOOD | {"name": "Anna É", "age": 7, "roles": ["a", "b"], "secret": "x"}
    properties = {"name": "Anna É", "age": "7", "roles": '["a","b"]'}
    assert judge(claims) == Identity("anna", properties, NOW + 60)


def test_any_of_several_audiences() -> None:
    assert judge(GOOD | {"aud": ["other", "holdfast"]}).user == "anna"


def test_another_claim_names_the_user() -> None:
    options = AuthOptions(algorithms=("HS256",), user_claim="email")
    assert judge({"email": "a@example", "exp": NOW + 1}, options).user == "a@example"


@pytest.mark.parametrize("late", [-29.9, 0.1])
def test_clocks_may_be_apart(late: float) -> None:
    assert judge(GOOD | {"exp": NOW + late}).expires == NOW + late
    assert judge(GOOD | {"nbf": NOW - late, "iat": NOW - late}).user == "anna"


@pytest.mark.parametrize(
    ("changed", "why", "told"),
    [
        ({"exp": NOW - 30}, "exp: expired 30 s ago", "the token has expired"),
        ({"exp": None}, "exp: expected the time", "the token is not valid"),
        ({"exp": "2030"}, "exp: expected seconds", "the token is not valid"),
        ({"exp": True}, "exp: expected seconds", "the token is not valid"),
        ({"exp": 1e300}, "exp: expected seconds", "the token is not valid"),
        ({"exp": 10**400}, "exp: expected", "the token is not valid"),
        ({"nbf": NOW + 31}, "nbf: begins in 31 s", "the token is not valid yet"),
        ({"iat": NOW + 31}, "iat: begins in 31 s", "the token is not valid yet"),
        ({"iss": "https://evil.example"}, "iss: expected", "the token is not valid"),
        ({"iss": None}, "iss: expected", "the token is not valid"),
        ({"iss": ["https://shop.example"]}, "iss: expected", "the token is not valid"),
        ({"aud": "other"}, "aud: expected 'holdfast', found 'other'", "the token is not valid"),
        ({"aud": None}, "aud: expected 'holdfast', found none", "the token is not valid"),
        ({"aud": {"holdfast": 1}}, "aud: expected", "the token is not valid"),
        ({"sub": None}, "sub: expected the name", "the token is not valid"),
        ({"sub": ""}, "sub: expected the name", "the token is not valid"),
        ({"sub": 7}, "sub: expected the name", "the token is not valid"),
        ({"sub": "x" * 257}, "sub", "the token is not valid"),
        ({"sub": "\ud800"}, "sub", "the token is not valid"),
        ({"name": "x" * 1000}, "properties of at most 1000", "the token is not valid"),
    ],
)
def test_claims_that_prove_nothing(changed: dict[str, Any], why: str, told: str) -> None:
    claims = {name: value for name, value in (GOOD | changed).items() if value is not None}
    with pytest.raises(CredentialError) as raised:
        judge(claims)
    assert why in str(raised.value)
    assert raised.value.told == told


def test_a_token_for_somebody_else_is_not_for_a_gateway_without_a_name() -> None:
    with pytest.raises(CredentialError, match="aud: expected none"):
        judge(GOOD, AuthOptions(algorithms=("HS256",)))
