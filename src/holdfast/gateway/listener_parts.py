"""From a listener's configuration to what its connections share."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Mapping
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from msgspec import structs

import holdfast
from holdfast.backends.base import Status
from holdfast.core.clock import Clock
from holdfast.core.errors import ConfigurationError, inside
from holdfast.core.limits import (
    Limits,
    PageLimits,
    SessionLimits,
    TerminalLimits,
    WebSocketLimits,
)
from holdfast.gateway.adapters.base import Adapter
from holdfast.gateway.adapters.lines import LineAdapter
from holdfast.gateway.adapters.telnet import TelnetAdapter
from holdfast.gateway.adapters.upgrade import WebSocketSettings, input_rate, is_for_session
from holdfast.gateway.adapters.websocket import WebSocketAdapter
from holdfast.gateway.auth.base import CredentialJudge
from holdfast.gateway.auth.request import RequestReader
from holdfast.gateway.config import Config, ListenerConfig
from holdfast.gateway.context import Context, ListenerContext, ServeHttp
from holdfast.gateway.cookies import session_cookie
from holdfast.gateway.event_streams import EventStreams, OpenStreams
from holdfast.gateway.view import GatewayView
from holdfast.net.addresses import Address
from holdfast.net.http.hosts import served_hosts
from holdfast.net.http.on_demand import HostOnDemand
from holdfast.net.runtime.runtime import Runtime
from holdfast.net.server.inherited import Inherited
from holdfast.protocols.telnet import codes
from holdfast.protocols.telnet.charset_config import charsets_of
from holdfast.protocols.telnet.server import Offers, server_options
from holdfast.protocols.uris import normal_path
from holdfast.protocols.websocket import Deflate, Request
from holdfast.protocols.websocket.handshake import is_upgrade
from holdfast.sessions.records import Row
from holdfast.sessions.session import NewSession, Session, SessionBackend, SessionOwner
from holdfast.sessions.states import Durability
from holdfast.sessions.terminal import TerminalSession

if TYPE_CHECKING:
    from holdfast.gateway.admin.listener import AdminListener
    from holdfast.gateway.http import HttpPages


def adapter_factory(
    listener: ListenerConfig,
    limits: Limits,
    players: Callable[[], int],
    status: Status | None = None,
) -> Callable[[], Adapter]:
    """What makes the adapter of each connection of a listener. `players` counts the players;
    `status` gives the MSSP values of the servers behind it."""
    address = listener.address
    raw = listener.backend.raw
    match address.scheme:
        case "ws" | "wss":
            settings = websocket_settings(listener, limits)
            return lambda: WebSocketAdapter(settings)
        case "telnet" | "telnets":
            charsets = charsets_of(listener)
            options = server_options(_offers(listener, players, status))
            return lambda: TelnetAdapter(
                limits.telnet, charsets, options, raw=raw, wraps=listener.wrap, ansi=listener.ansi
            )
        case scheme:
            return lambda: LineAdapter(scheme, limits.line, raw=raw, ansi=listener.ansi)


def websocket_settings(listener: ListenerConfig, limits: Limits) -> WebSocketSettings:
    """What the connections of a WebSocket listener share."""
    address = listener.address
    return WebSocketSettings(
        limits=_websocket_limits(limits),
        path=_session_path(address),
        origins=listener.origins,
        cookie=session_cookie(listener.cookie, address, limits, listener.backend.scope),
        deflate=Deflate(listener.deflate) if listener.deflate is not None else None,
        requests=RequestReader(listener.request),
        forwarded=listener.forwarded.header if listener.forwarded else "",
        auth=listener.auth,
        hosts=served_hosts(listener.hosts, address),
        input_rate=input_rate(limits.session),
        terminal=listener.backend.terminal,
        raw=listener.backend.raw,
        ansi=listener.ansi,
    )


def _session_path(address: Address) -> str:
    """The only path of a listener where sessions begin; empty for any."""
    return "" if address.path == "/" else normal_path(address.path)


def event_streams(
    listener: ListenerConfig,
    context: Context,
    shared: ListenerContext,
    pages: ServeHttp | None,
    streams: OpenStreams,
) -> ServeHttp | None:
    """What serves the requests of a listener that are for no WebSocket: event streams, and
    `pages`. `streams` has those of the gateway."""
    if pages is None or listener.backend.terminal:
        return pages
    settings = websocket_settings(listener, context.limits)
    return EventStreams(settings, context, shared, pages, streams).take_over


def credential_judge(
    listener: ListenerConfig, limits: Limits, wall: Clock
) -> CredentialJudge | None:
    """What judges the credentials of a listener's clients, if they need any.

    Raises `ConfigurationError` for keys that cannot be read.
    """
    if listener.auth is None:
        return None
    missing = [name for name in ("jwt", "cryptography") if find_spec(name) is None]
    if missing:
        raise ConfigurationError(
            f"listener.auth: expected {missing[0]} to be installed (holdfast[jwt]); found none"
        )
    from holdfast.gateway.auth.authenticator import Authenticator

    with inside("listener.auth"):
        return Authenticator(listener.auth, limits, wall)


def durability_of(listener: ListenerConfig) -> Durability:
    """What is stored of the sessions of a listener."""
    kept = listener.resume and not listener.backend.terminal
    return Durability(listener.durability) if kept else Durability.MEMORY


def new_session(listener: ListenerConfig, limits: TerminalLimits) -> NewSession:
    """What makes the sessions of a listener."""
    if not listener.backend.terminal:
        return Session

    def make(
        row: Row, backend: SessionBackend, session: SessionLimits, owner: SessionOwner
    ) -> Session:
        session = structs.replace(session, window_bytes_max=limits.ring_bytes_max)
        return TerminalSession(row, backend, session, owner)

    return make


def _status(
    told: Mapping[str, str | int | list[str]], players: Callable[[], int], status: Status | None
) -> Callable[[], Mapping[str, str | int | list[str]]] | None:
    """Return what gives the current MSSP variables, if there are any: of the gateway, the servers
    and the configuration, of which each overrides those before."""
    if not told and status is None:
        return None
    started = int(time.time())
    return lambda: {
        "PLAYERS": players(), "UPTIME": started, **(status() if status else {}), **told,
    }  # fmt: skip


def _offers(listener: ListenerConfig, players: Callable[[], int], status: Status | None) -> Offers:
    return Offers(
        msdp=listener.msdp,
        mssp=_status(listener.mssp, players, status),
        mxp=listener.mxp,
        mccp2=2 in listener.mccp,
        mccp3=3 in listener.mccp,
        refused=frozenset(codes.NAMES[name] for name in listener.telnet.refuse),
        offered=frozenset(codes.NAMES[name] for name in listener.telnet.offer),
    )


def _websocket_limits(limits: Limits) -> WebSocketLimits:
    """No message is larger than the queue of commands: it could not be kept, nor forwarded."""
    bytes_max = limits.session.queue_bytes_max
    return structs.replace(
        limits.websocket,
        frame_bytes_max=min(limits.websocket.frame_bytes_max, bytes_max),
        message_bytes_max=min(limits.websocket.message_bytes_max, bytes_max),
    )


def http_pages(
    listener: ListenerConfig,
    healthy: Callable[[], bool],
    limits: PageLimits,
    spawn: Callable[[Coroutine[Any, Any, None]], None],
) -> HostOnDemand | None:
    """What serves the pages of a WebSocket listener.

    aiohttp is imported at the first request: many listeners never get one.
    """
    if listener.address.scheme not in ("ws", "wss"):
        return None
    folder = Path(listener.pages) if listener.pages else None
    headers = dict(listener.page_headers)
    if folder is None and listener.backend.terminal:
        folder = _terminal_page()
        headers = {"Content-Security-Policy": _TERMINAL_POLICY} | headers

    def is_for_another(request: Request) -> bool:
        if listener.backend.terminal:
            return is_upgrade(request)
        return is_for_session(request, path)

    path = _session_path(listener.address)

    async def make() -> HttpPages:
        await asyncio.to_thread(import_module, "holdfast.gateway.http")  # the loop goes on
        from holdfast.gateway.http import HttpPages
        from holdfast.gateway.play import PlayPage

        play = PlayPage(listener.play, listener.address.path) if listener.play else None
        return HttpPages(
            folder, healthy, headers, limits, play, listener.address.path, is_for_another
        )

    return HostOnDemand(make, spawn)


_TERMINAL_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; connect-src 'self';"
    " img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""What the terminal's page may do: nothing but run its own script and connect to its gateway."""


def _terminal_page() -> Path:
    """The terminal's page; where it was not built, one that names what is missing."""
    web = Path(holdfast.__file__).parent / "web"
    built = web / "terminal"
    return built if (built / "terminal.js").is_file() else web / "terminal_missing"


def admin_listener(
    config: Config, runtime: Runtime, view: GatewayView, inherited: Inherited | None
) -> AdminListener:
    """The admin listener. Only a gateway that has one imports it, with aiohttp."""
    from holdfast.gateway.admin.listener import AdminListener

    return AdminListener(config.admin, config.limits, runtime, view, inherited)
