"""The cookie by which a plain WebSocket client keeps its session."""

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

    All ports of a host share their cookies (RFC 6265 section 8.5): gateways that share a host,
    a path and the name of what is behind them need names of their own.
    """

    name: str = ""
    """Empty: `holdfast`, and the name of the listener's application or upstream. On TLS, the
    prefix `__Host-` comes before it, and the listener's path behind it."""
    secure: bool = False
    """Clients of a `ws` listener come through a proxy that ends TLS."""


class SessionCookie(Struct, frozen=True):
    """The cookie of one listener.

    Whether a token is good is the gateway's to say. So the cookie lives for as long as its
    connection may, and then for as long as the session waits.
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
    """The cookie of the listener at `address`. `behind` names the application or the upstream to
    which it leads, if it leads to one by name."""
    seconds = limits.connection.life_seconds_max + limits.session.detached_seconds_max
    name = options.name or _joined(_NAME, behind)
    if not (address.secure or options.secure):
        return SessionCookie(name, address.path, seconds, secure=False)
    # The prefix demands `Path=/`, so it is the name that keeps listeners apart.
    name = HOST_PREFIX + _joined(name, address.path.strip("/"))
    return SessionCookie(name, "/", seconds, secure=True)


def _joined(name: str, part: str) -> str:
    """A cookie's name with one more part, in which no sign is but a token's."""
    return f"{name}.{quote(part, safe='').replace('%2F', '.')}" if part else name


def check_cookie(options: CookieOptions) -> None:
    """Raises `ConfigurationError` for a name that no browser takes."""
    if not options.name:
        return
    if not is_cookie_name(options.name) or options.name.lower().startswith(_PREFIXES):
        raise ConfigurationError(
            f"name: expected letters, digits, '.', '_' or '-' without the prefix of a cookie,"
            f" found {options.name!r}"
        )


_COOKIES_MAX: Final = 16
"""Of one name in one request: a browser has one for each path and domain. Each one costs a look."""
_NAME: Final = "holdfast"
_PREFIXES: Final = ("__host-", "__secure-")
