"""What a table `auth` may say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from holdfast.core.errors import ConfigurationError
from holdfast.gateway.auth.options import AuthOptions, check_auth

HERE = str(Path(__file__))
GOOD: dict[str, Any] = {"algorithms": ("HS256",), "keys_file": HERE}
URL: dict[str, Any] = {"algorithms": ("RS256", "ES256")}


def check(changed: dict[str, Any], *, web: bool = True, any_origin: bool = False) -> None:
    check_auth(AuthOptions(**changed), verifies_clients=False, web=web, any_origin=any_origin)


@pytest.mark.parametrize(
    "options",
    [
        GOOD,
        GOOD | {"cookie": "jwt", "leeway_seconds": 0},
        URL | {"keys_url": "https://issuer.example/jwks"},
        URL | {"keys_url": "http://127.0.0.1:8000/jwks"},
        URL | {"keys_url": "http://[::1]:8000/jwks"},
        URL | {"keys_url": "http://localhost/jwks"},
    ],
)
def test_good_options(options: dict[str, Any]) -> None:
    check(options)


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({}, "algorithms: expected at least one, or `certificate`"),
        ({"keys_file": HERE, "certificate": "dns"}, "certificate: expected tls"),
        (GOOD | {"algorithms": ()}, "algorithms: expected at least one"),
        (GOOD | {"algorithms": ("HS256", "RS256")}, "algorithms: .*found both: HS256, RS256"),
        (GOOD | {"keys_file": ""}, "keys_file: .*found neither"),
        (GOOD | {"keys_url": "https://a.example/"}, "keys_file: .*found both"),
        (GOOD | {"keys_file": "/nonexistent"}, "keys_file: expected a file"),
        ({"algorithms": ("HS256",), "keys_url": "https://a.example/"}, "keys_url: expected keys_f"),
        (URL | {"keys_url": "http://issuer.example/"}, "keys_url: expected an https address"),
        (URL | {"keys_url": "https://u:p@issuer.example/"}, "found 'https://issuer.example/'"),
        (URL | {"keys_url": "file:///etc/passwd"}, "keys_url: expected an https address"),
        (URL | {"keys_url": "https:///jwks"}, "keys_url: expected an https address"),
        (URL | {"keys_url": "https://a:x/jwks"}, "keys_url: expected an https address"),
        (GOOD | {"cookie": "a b"}, "cookie: expected the name"),
        (GOOD | {"user_claim": ""}, "user_claim: expected the name"),
        (GOOD | {"leeway_seconds": -1}, "leeway_seconds: expected 0 to"),
        (GOOD | {"renew_seconds": float("nan")}, "renew_seconds: expected 0 to"),
    ],
)
def test_bad_options(options: dict[str, Any], why: str) -> None:
    with pytest.raises(ConfigurationError, match=why):
        check(options)


def test_a_cookie_is_for_pages_that_are_named() -> None:
    """A page of any host could use the cookie of its visitor otherwise."""
    with pytest.raises(ConfigurationError, match=r"cookie: expected origins .* found '\*'"):
        check(GOOD | {"cookie": "jwt"}, any_origin=True)
    check(GOOD, any_origin=True)


def test_tokens_are_for_websockets() -> None:
    with pytest.raises(ConfigurationError, match="algorithms: expected only for ws and wss"):
        check(GOOD, web=False)
