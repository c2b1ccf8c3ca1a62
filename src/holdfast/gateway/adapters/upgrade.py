"""Which requests for a WebSocket a listener accepts, and how it refuses the others. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

from msgspec import Struct

from holdfast.core.errors import DISCONNECTS, Disconnect, Reason
from holdfast.core.limits import SessionLimits, WebSocketLimits
from holdfast.core.rate import Rate, shared_rate
from holdfast.gateway.auth.options import AuthOptions
from holdfast.gateway.auth.request import RequestReader
from holdfast.gateway.cookies import SessionCookie
from holdfast.net.http.hosts import ServedHosts
from holdfast.net.security_log import SecurityEvent
from holdfast.protocols import websocket as ws
from holdfast.protocols.event_stream import MEDIA_TYPE
from holdfast.protocols.uris import normal_path
from holdfast.protocols.websocket.handshake import is_upgrade


def input_rate(limits: SessionLimits) -> Rate:
    """How much a client may send, in bytes."""
    return shared_rate(limits.input_bytes_per_second_max, limits.input_burst_bytes_max)


class WebSocketSettings(Struct, frozen=True):
    """What the WebSocket connections of one listener share."""

    limits: WebSocketLimits
    path: str
    """The only path that is a WebSocket, or empty for any."""
    origins: Sequence[str]
    """Pages that may connect; empty: those of the gateway's own host."""
    cookie: SessionCookie
    requests: RequestReader = RequestReader()
    """What the backend gets to know of a request."""
    forwarded: str = ""
    """The header field in which trusted proxies name their clients; empty if none are trusted."""
    auth: AuthOptions | None = None
    """Where the tokens of clients are."""
    deflate: ws.Deflate | None = None
    """Compression for clients that offer it."""
    hosts: ServedHosts = ServedHosts()
    terminal: bool = False
    """Whether its sessions are terminals, which have a sub-protocol of their own."""
    raw: bool = False
    """Whether its outputs come from servers for terminals."""
    ansi: bool = False
    """Whether colours in text are spans for clients."""
    input_rate: Rate = input_rate(SessionLimits())
    """How much a client may send, in bytes."""


class Refusing(Protocol):
    """What answers a request with an HTTP error."""

    def refuse(self, status: int, message: str, headers: Sequence[tuple[str, str]] = ()) -> None:
        """Answer, and end."""


class UpgradeRefusal(Struct, frozen=True):
    """An HTTP answer to a request that is not accepted."""

    status: int
    text: str
    security: SecurityEvent | None = None


def judge(request: ws.Request, settings: WebSocketSettings) -> UpgradeRefusal | None:
    """Why this request for a WebSocket is refused, if it is."""
    refusal = judge_host(request, settings.hosts)
    if refusal is not None:
        return refusal
    if settings.path and normal_path(request.path) != settings.path:
        return UpgradeRefusal(404, f"the WebSocket is at {settings.path}")
    if not ws.origin_is_allowed(request, settings.origins, secure=settings.cookie.secure):
        text = f"pages of {request.headers.get('origin')} may not connect here"
        return UpgradeRefusal(403, text, SecurityEvent.ORIGIN_REFUSED)
    return None


def judge_host(request: ws.Request, hosts: ServedHosts) -> UpgradeRefusal | None:
    """Why a request for this host is refused, if it is."""
    if hosts.allows(request.host):
        return None
    text = f"the host {request.host} is not served here"
    return UpgradeRefusal(421, text, SecurityEvent.HOST_REFUSED)


def is_for_session(request: ws.Request, path: str) -> bool:
    """Whether this is a request for a WebSocket, or for what takes its place."""
    return is_upgrade(request) or is_for_stream(request, path)


def is_for_stream(request: ws.Request, path: str) -> bool:
    """Whether this is a request for an event stream, or one with messages of a stream's client.

    `path` is the only one with sessions, or empty for any.
    """
    headers = request.headers
    if is_upgrade(request) or (path and normal_path(request.path) != path):
        return False
    if headers.has_token("accept", MEDIA_TYPE):
        return request.method in ("GET", "POST")
    return request.method == "POST" and headers.has_token("accept", "application/json")


def judge_stream(request: ws.Request, settings: WebSocketSettings) -> UpgradeRefusal | None:
    """Why this request for an event stream, or with messages of its client, is refused, if it is.

    Browsers leave out the Origin of some requests, but not where the page comes from.
    """
    refusal = judge(request, settings)
    headers = request.headers
    if refusal is None and headers.get("origin") is None:
        site = headers.get("sec-fetch-site") or ""
        if site not in _OWN_SITES:
            text = "pages of another site may not connect here"
            return UpgradeRefusal(403, text, SecurityEvent.ORIGIN_REFUSED)
    return refusal


_OWN_SITES: Final = ("", "same-origin", "none")
"""Values of Sec-Fetch-Site (Fetch Metadata Request Headers, section 2.4) of requests of a page of
the gateway's own host, of the user, and of programs that are no browser."""


def refuse_in_http(core: Refusing, disconnect: Disconnect, text: str, retry_seconds: float) -> None:
    """Refuse a request that is not answered yet: the goodbye is an HTTP answer."""
    if disconnect is DISCONNECTS[Reason.TIMEOUT]:
        core.refuse(408, text)
    elif disconnect is DISCONNECTS[Reason.UNAUTHENTICATED]:
        core.refuse(401, text, [("WWW-Authenticate", "Bearer")])  # RFC 6750 section 3
    elif disconnect.reconnect:
        core.refuse(503, text, [("Retry-After", str(max(1, round(retry_seconds))))])
    else:
        core.refuse(403, text)
