"""The facts of a request that a listener passes on, by an allow-list. Pure."""

from __future__ import annotations

from typing import Final, Literal

from msgspec import Struct

from holdfast.core.errors import ConfigurationError
from holdfast.core.identity import ClientFacts, RequestFacts
from holdfast.protocols.cookies import is_cookie_name, read_cookies
from holdfast.protocols.uris import split_target
from holdfast.protocols.websocket import Request

Fact = Literal["path", "query", "host", "origin", "user_agent"]

_DEFAULT: Final[tuple[Fact, ...]] = ("path", "query", "host", "origin", "user_agent")
_SHARED_MAX: Final = 256
_SECRET_HEADERS: Final = frozenset(
    {"cookie", "authorization", "proxy-authorization", "sec-websocket-protocol"}
)
"""Fields with credentials. A sub-protocol may carry a token (`auth.subprotocol`)."""


class RequestOptions(Struct, frozen=True, forbid_unknown_fields=True):
    """Which parts of a WebSocket client's request its backend gets, when a session opens and
    each time that its client returns."""

    facts: tuple[Fact, ...] = _DEFAULT
    """Parts of the request."""
    headers: tuple[str, ...] = ()
    """Names of header fields. `Cookie`, `Sec-WebSocket-Protocol` and the fields for credentials are
    refused."""
    cookies: tuple[str, ...] = ()
    """Names of cookies. Their values reach the backend as they are, and are never stored."""


def check_request(options: RequestOptions) -> None:
    """Raises `ConfigurationError` for a name that cannot be passed on."""
    for number, name in enumerate(options.headers):
        if not is_cookie_name(name):
            raise ConfigurationError(
                f"headers[{number}]: expected the name of a header field, found {name!r}"
            )
        if name.lower() in _SECRET_HEADERS:
            raise ConfigurationError(
                f"headers[{number}]: expected a header field without credentials, found {name!r}:"
                " `cookies` names single cookies, and [listener.auth] reads tokens"
            )
    for number, name in enumerate(options.cookies):
        if not is_cookie_name(name):
            raise ConfigurationError(
                f"cookies[{number}]: expected the name of a cookie, found {name!r}"
            )


_DEFAULTS: Final = RequestOptions()


class RequestReader:
    """Reads the facts of the requests of one listener.

    Equal requests have one object: the clients of a listener often differ in nothing here, and
    each session keeps the facts of its client.
    """

    def __init__(self, options: RequestOptions = _DEFAULTS) -> None:
        self._facts = frozenset(options.facts)
        self._headers = tuple(name.lower() for name in options.headers)
        self._cookies = options.cookies
        self._shared: dict[tuple[str | None, ...], ClientFacts] = {}

    def read(self, request: Request) -> ClientFacts:
        """The facts of a request."""
        get, get_all = request.headers.get, request.headers.get_all
        key = (
            request.target,
            get("host"),
            get("origin"),
            get("user-agent"),
            *(", ".join(get_all(name)) for name in self._headers),
            *(get_all("cookie") if self._cookies else ()),
        )
        facts = self._shared.get(key)
        if facts is None:
            if len(self._shared) >= _SHARED_MAX:
                self._shared.clear()
            facts = self._shared[key] = ClientFacts(self._read(request))
        return facts

    def _read(self, request: Request) -> RequestFacts:
        headers, wanted = request.headers, self._facts
        path, _, query = split_target(request.target)[1].partition("?")
        found = {
            "path": path,
            "query": query,
            "host": request.host or "",
            "origin": headers.get("origin") or "",
            "user_agent": headers.get("user-agent") or "",
        }
        fields = {name: ", ".join(headers.get_all(name)) for name in self._headers}
        lines = headers.get_all("cookie")
        cookies = {name: read_cookies(lines, name, 1) for name in self._cookies}
        return RequestFacts(
            **{name: value for name, value in found.items() if name in wanted},
            headers={name: value for name, value in fields.items() if value},
            cookies={name: values[0] for name, values in cookies.items() if values},
        )
