"""Which requests for a WebSocket a listener accepts, and how it refuses the others. Pure."""

from __future__ import annotations

from collections.abc import Sequence

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
from holdfast.protocols.uris import normal_path


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
    input_rate: Rate = input_rate(SessionLimits())
    """How much a client may send, in bytes."""


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


def refuse_in_http(
    core: ws.ServerConnection, disconnect: Disconnect, text: str, retry_seconds: float
) -> None:
    """Refuse a request for which there is no WebSocket yet: the goodbye is an HTTP answer."""
    if disconnect is DISCONNECTS[Reason.TIMEOUT]:
        core.refuse(408, text)
    elif disconnect is DISCONNECTS[Reason.UNAUTHENTICATED]:
        core.refuse(401, text, [("WWW-Authenticate", "Bearer")])  # RFC 6750 section 3
    elif disconnect.reconnect:
        core.refuse(503, text, [("Retry-After", str(max(1, round(retry_seconds))))])
    else:
        core.refuse(403, text)
