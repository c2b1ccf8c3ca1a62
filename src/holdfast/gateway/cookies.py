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

    All ports of a host share their cookies (RFC 6265 section 8.5): gateways that share a host
    and a path need names of their own.
    """

    name: str = "holdfast"
    """On TLS, the prefix `__Host-` comes before it, and the listener's path behind it."""
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
        return read_cookies(headers.get_all("cookie"), self.name)

    def write(self, token: str) -> tuple[str, str]:
        """The header field that gives a client its token."""
        secure = "; Secure" if self.secure else ""
        return (
            "Set-Cookie",
            f"{self.name}={token}; Path={self.path}; Max-Age={self.seconds:.0f}; HttpOnly;"
            f" SameSite=Strict{secure}",
        )


def session_cookie(options: CookieOptions, address: Address, limits: Limits) -> SessionCookie:
    """The cookie of the listener at `address`."""
    seconds = limits.connection.life_seconds_max + limits.session.detached_seconds_max
    if not (address.secure or options.secure):
        return SessionCookie(options.name, address.path, seconds, secure=False)
    # The prefix demands `Path=/`, so it is the name that keeps listeners apart.
    below = quote(address.path.strip("/"), safe="").replace("%2F", ".")
    name = HOST_PREFIX + options.name + (f".{below}" if below else "")
    return SessionCookie(name, "/", seconds, secure=True)


def check_cookie(options: CookieOptions) -> None:
    """Raises `ConfigurationError` for a name that no browser takes."""
    if not is_cookie_name(options.name) or options.name.lower().startswith(_PREFIXES):
        raise ConfigurationError(
            f"name: expected letters, digits, '.', '_' or '-' without the prefix of a cookie,"
            f" found {options.name!r}"
        )


_PREFIXES: Final = ("__host-", "__secure-")
