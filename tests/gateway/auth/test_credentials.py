"""Where a token is, and where not."""

from __future__ import annotations

import pytest

from holdfast.gateway.auth.credentials import token_of
from holdfast.gateway.auth.options import AuthOptions
from holdfast.protocols.websocket import Headers, Request

EVERYWHERE = AuthOptions(algorithms=("HS256",), cookie="jwt", subprotocol=True)
NOWHERE = AuthOptions(algorithms=("HS256",), header=False)
HEADER = ("authorization", "bearer  a.b.c ")
COOKIE = ("cookie", 'x=1; jwt="d.e.f"')
SUBPROTOCOL = ("sec-websocket-protocol", "holdfast.v1, holdfast.auth.g.h.i")


@pytest.mark.parametrize(
    ("fields", "options", "token"),
    [
        ((HEADER, COOKIE, SUBPROTOCOL), EVERYWHERE, "a.b.c"),
        ((COOKIE, SUBPROTOCOL), EVERYWHERE, "g.h.i"),
        ((COOKIE,), EVERYWHERE, "d.e.f"),
        ((), EVERYWHERE, ""),
        ((HEADER, COOKIE, SUBPROTOCOL), NOWHERE, ""),
        ((("authorization", "Basic YTpi"),), EVERYWHERE, ""),
        ((("authorization", "Bearer"),), EVERYWHERE, ""),
    ],
)
def test_a_token(fields: tuple[tuple[str, str], ...], options: AuthOptions, token: str) -> None:
    target = "/?token=x.y.z&access_token=x.y.z"
    assert token_of(Request("GET", target, (1, 1), Headers(fields)), options) == token
