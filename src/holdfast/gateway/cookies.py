"""The cookie that identifies the session of a WebSocket client without a sub-protocol."""

from __future__ import annotations

from typing import Final
from urllib.parse import quote

from msgspec import Struct

from holdfast.core.errors import ConfigurationError
from holdfast.core.limits import Limits
from holdfast.net.addresses import Address
from holdfast.protocols.cookies import HOST_PREFIX, is_cookie_name, read_cookies
from holdfast.protocols.websocket import Headers


class CookieOptions(Struct, frozen=True, forbid_unknown_fields=True):
    """The session's cookie on a WebSocket listener.

    All ports of a host share their cookies (RFC 6265 section 8.5). Gateways with the same host,
    path and application or upstream need different cookie names.
    """

    name: str = ""
    """The name of the cookie. Empty: `holdfast`, followed by the name of the listener's application
    or upstream. With TLS, the prefix `__Host-` and the listener's path are added."""
    secure: bool = False
    """Whether the clients of a `ws` listener connect through a proxy that terminates TLS."""


class SessionCookie(Struct, frozen=True):
    """The cookie of one listener.

    The gateway decides whether a token is valid. The cookie's age is the longest life of a
    connection and the longest time that a session waits after it.
    """

    name: str
    path: str
    seconds: float
    secure: bool

    def read(self, headers: Headers) -> list[str]:
        """The tokens that a request presents."""
        return read_cookies(headers.get_all("cookie"), self.name, _COOKIES_MAX)

    def write(self, token: str) -> tuple[str, str]:
        """The header field that gives a client its token."""
        secure = "; Secure" if self.secure else ""
        return (
            "Set-Cookie",
            f"{self.name}={token}; Path={self.path}; Max-Age={self.seconds:.0f}; HttpOnly;"
            f" SameSite=Strict{secure}",
        )


def session_cookie(
    options: CookieOptions, address: Address, limits: Limits, behind: str = ""
) -> SessionCookie:
    """The cookie of the listener at `address`. `behind` is the name of its application or upstream,
    if there is one."""
    seconds = limits.connection.life_seconds_max + limits.session.detached_seconds_max
    name = options.name or _joined(_NAME, behind)
    if not (address.secure or options.secure):
        return SessionCookie(name, address.path, seconds, secure=False)
    # The prefix requires `Path=/`, so the name distinguishes the listeners.
    name = HOST_PREFIX + _joined(name, address.path.strip("/"))
    return SessionCookie(name, "/", seconds, secure=True)


def _joined(name: str, part: str) -> str:
    """A cookie's name with one more part, escaped to the characters of a token."""
    return f"{name}.{quote(part, safe='').replace('%2F', '.')}" if part else name


def check_cookie(options: CookieOptions) -> None:
    """Check the name. Raises `ConfigurationError` for one that browsers do not accept."""
    if not options.name:
        return
    if not is_cookie_name(options.name) or options.name.lower().startswith(_PREFIXES):
        raise ConfigurationError(
            f"name: expected letters, digits, '.', '_' or '-' without the prefix of a cookie,"
            f" found {options.name!r}"
        )


_COOKIES_MAX: Final = 16
"""Cookies of the name in one request. A browser sends one for each path and domain, and each is
looked up."""
_NAME: Final = "holdfast"
_PREFIXES: Final = ("__host-", "__secure-")
