"""The backend `tcp`: each session has a connection to a server of an upstream.

The connection to the server lasts as long as the session: while the client is away it stays
open, and the server's output is kept in the session's window. When the server ends the
connection, the session ends once its client has received everything. A session that outlived
its gateway gets a new connection, and its client a notice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from holdfast.backends.base import BaseBackend, Moves, Services
from holdfast.backends.tcp.bridge import Bridge
from holdfast.backends.tcp.config import PREFIX
from holdfast.backends.tcp.context import BridgeContext
from holdfast.backends.upstreams import Upstream
from holdfast.core.errors import Reason
from holdfast.core.items import MUST, Notice, Resized
from holdfast.core.login import (
    Authenticate,
    AuthResult,
    LoginRefusedError,
)
from holdfast.net.log import RateLimitedLogger, log_failure
from holdfast.protocols.telnet.charset_config import charsets_of
from holdfast.sessions.position import ResetReason
from holdfast.sessions.session import Session

_log: Final = RateLimitedLogger("holdfast.upstream")

ANEW: Final = Notice("The connection to the server was lost. You are connected anew.")


class _Stays(Moves):
    """The connection of a session to its server is this process's."""

    stays = True


class TcpBackend(BaseBackend):
    """Sessions on the servers of one upstream.

    With `away = "pause"`, a server is not read while the client is away and the window
    is full; without, the oldest output leaves the window. Use it inside `run`.
    """

    moves = _Stays()

    def __init__(
        self,
        upstream: Upstream,
        services: Services,
    ) -> None:
        self.name = PREFIX + upstream.config.name
        self._services = services
        self._port = services.open_port(self)
        self._clock = services.clock
        self._at_end_of_tick = services.runtime.coalescer.add
        self.change_upstream(upstream)
        self._tasks = asyncio.TaskGroup()
        self._commanded: dict[Session, None] = {}
        self._bridges: dict[Session, Bridge] = {}

    def change_upstream(self, upstream: Upstream) -> None:
        """Connect new sessions to the servers of `upstream`; others keep what they have."""
        config, services = upstream.config, self._services
        self.status = upstream.status.values if upstream.status is not None else None
        self._context = BridgeContext(
            port=self._port,
            dialler=upstream.dialler,
            clock=services.clock,
            at_end_of_tick=self._at_end_of_tick,
            limits=services.limits,
            content=config.content,
            charsets=charsets_of(config),
            spoken_options=config.spoken_options,
            pauses=config.away == "pause",
            redial=config.redial if config.on_server_lost == "redial" else None,
            sends_address=config.send_address,
        )

    async def run(self, started: Callable[[], None]) -> None:
        """Connect sessions until cancelled; then hang up on every server.

        `started` is called when sessions may come.
        """
        try:
            async with self._tasks:
                started()
                await asyncio.Event().wait()
        finally:
            for bridge in list(self._bridges.values()):
                bridge.close()

    # --- what becomes of sessions

    def commanded(self, session: Session) -> None:
        if not self._commanded:
            self._at_end_of_tick(self._forward)
        self._commanded[session] = None

    def opened(self, session: Session) -> None:
        self._bridge(session)

    def resumed(self, session: Session) -> None:
        bridge = self._bridges.get(session)
        if bridge is not None:
            bridge.go_on()
            return
        # The gateway was restarted: earlier input was not meant for a new connection.
        self._port.applied(session, session.inbox.top)
        self._port.emit(session, ANEW, MUST, self._clock())
        self._bridge(session)

    def resync(self, session: Session, reason: ResetReason) -> None:
        self.resumed(session)

    def relieved(self, session: Session) -> None:
        self._go_on(session)

    def keeps(self, *, known: bool) -> bool:
        return known  # it has sent something to its server

    def detached(self, session: Session, reason: Reason) -> None:
        self._go_on(session)

    def resized(self, session: Session, size: Resized) -> None:
        bridge = self._bridges.get(session)
        if bridge is not None:
            bridge.resize(size)

    def capabilities_changed(self, session: Session) -> None:
        bridge = self._bridges.get(session)
        if bridge is not None:
            bridge.describe()

    def ended(self, session: Session, reason: Reason) -> None:
        self._commanded.pop(session, None)
        bridge = self._bridges.pop(session, None)
        if bridge is not None:
            bridge.close()

    async def authenticate(self, session: Session, claim: Authenticate) -> AuthResult:
        raise LoginRefusedError("the server asks for itself who you are")

    def _bridge(self, session: Session) -> None:
        bridge = self._bridges[session] = Bridge(self._context, session)
        bridge.dial(self._tasks)

    def _go_on(self, session: Session) -> None:
        bridge = self._bridges.get(session)
        if bridge is not None:
            bridge.go_on()

    def _forward(self) -> None:
        commanded, self._commanded = self._commanded, {}
        for session in commanded:
            bridge = self._bridges.get(session)
            if bridge is None:
                continue
            try:
                bridge.forward()
            except Exception as error:  # other sessions must go on
                log_failure(_log, "forwarding input failed", error, sid=session.sid)
                self._port.close(session, Reason.UPSTREAM_FAILED)
