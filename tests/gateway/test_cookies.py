"""The session's cookie: which name, which path, and how long a browser keeps it."""

from __future__ import annotations

import pytest

from holdfast.core.errors import ConfigurationError
from holdfast.core.limits import Limits
from holdfast.gateway.config import parse
from holdfast.gateway.cookies import CookieOptions, session_cookie
from holdfast.net.addresses import parse_address

LIMITS = Limits().but(connection={"life_seconds_max": 1000}, session={"detached_seconds_max": 60})

WRITTEN: dict[str, tuple[str, CookieOptions, str, str]] = {
    "any-path": ("ws://a:80/", CookieOptions(), "", "holdfast=tok; Path=/;"),
    "one-path": ("ws://a:80/a/b", CookieOptions(), "", "holdfast=tok; Path=/a/b;"),
    "another-name": ("ws://a:80/", CookieOptions("chat"), "", "chat=tok; Path=/;"),
    "tls": ("wss://a/", CookieOptions(), "", "__Host-holdfast=tok; Path=/;"),
    "tls-and-one-path": ("wss://a/a/b", CookieOptions(), "", "__Host-holdfast.a.b=tok; Path=/;"),
    "an-application": ("ws://a/", CookieOptions(), "mud", "holdfast.mud=tok; Path=/;"),
    "an-application-with-a-name-of-any-kind": (
        "ws://a/",
        CookieOptions(),
        "a b;c/d",
        "holdfast.a%20b%3Bc.d=tok; Path=/;",
    ),
    "tls-and-all": ("wss://a/x", CookieOptions(), "mud", "__Host-holdfast.mud.x=tok; Path=/;"),
    "a-name-is-enough": ("ws://a/", CookieOptions("chat"), "mud", "chat=tok; Path=/;"),
    "tls-at-a-proxy": ("ws://a/", CookieOptions(secure=True), "", "__Host-holdfast=tok; Path=/;"),
}


@pytest.mark.parametrize(("url", "options", "behind", "begin"), WRITTEN.values(), ids=WRITTEN)
def test_a_listener_s_cookie_is_its_own(
    url: str, options: CookieOptions, behind: str, begin: str
) -> None:
    """RFC 6265 sections 4.1.2.4 and 8.6; RFC 6265bis section 4.1.3.2."""
    name, value = session_cookie(options, parse_address(url), LIMITS, behind).write("tok")
    assert name == "Set-Cookie"
    assert value.startswith(begin)
    assert value.endswith("; Secure") is ("__Host-" in begin)


def test_a_cookie_lives_as_long_as_its_connection_and_its_session() -> None:
    """It is set at the handshake, and needed when the connection is over."""
    _, value = session_cookie(CookieOptions(), parse_address("ws://a/"), LIMITS).write("tok")
    assert "; Max-Age=1060; HttpOnly; SameSite=Strict" in value


WRONG: dict[str, tuple[str, str, str]] = {
    "not-a-token": ("ws", "a b", "listener[0].cookie.name: expected letters, digits"),
    "a-prefix": ("ws", "__host-a", "listener[0].cookie.name: expected letters, digits"),
    "no-websocket": ("tcp", "a", "listener[0].cookie: expected only for ws and wss"),
}


@pytest.mark.parametrize(("scheme", "name", "message"), WRONG.values(), ids=WRONG)
def test_a_cookie_that_cannot_be_is_named(scheme: str, name: str, message: str) -> None:
    toml = (
        f'[[listener]]\nurl = "{scheme}://127.0.0.1:1"\nbackend = "echo"\n'
        f'durability = "memory"\ncookie = {{ name = "{name}" }}\n'
    )
    with pytest.raises(ConfigurationError) as caught:
        parse(toml)
    assert str(caught.value).startswith(message)
