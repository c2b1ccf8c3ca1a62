"""Where the token of a request is (RFC 6750 section 2.1). Pure.

Never in its target: addresses are logged and kept by many on the way.
"""

from __future__ import annotations

from holdfast.gateway.auth.options import SUBPROTOCOL_PREFIX, AuthOptions
from holdfast.protocols.cookies import read_cookies
from holdfast.protocols.websocket import Request

_SCHEME = "bearer "


def token_of(request: Request, options: AuthOptions) -> str:
    """The token in a request; empty if there is none.

    A header that the client's program has set comes before a cookie that a browser adds.
    """
    headers = request.headers
    if options.header:
        value = headers.get("authorization") or ""
        if value[: len(_SCHEME)].lower() == _SCHEME:
            return value[len(_SCHEME) :].strip()
    if options.subprotocol:
        for offered in headers.tokens("sec-websocket-protocol"):
            if offered.startswith(SUBPROTOCOL_PREFIX):
                return offered.removeprefix(SUBPROTOCOL_PREFIX)
    if options.cookie:
        found = read_cookies(headers.get_all("cookie"), options.cookie, 1)
        return found[0] if found else ""
    return ""
