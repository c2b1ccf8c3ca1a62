"""The backend `tcp`: each session is bridged to a server that knows nothing of sessions.

The connection to the server lives as long as the session: while the client is
away it stays, and what the server says meanwhile is kept in the session's
window. When the server ends the connection, the session ends, once its client
has seen everything. A session that outlived its gateway gets a new connection,
and its client is told.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from holdfast.backends.tcp.bridge import Bridge
from holdfast.core.clock import Clock
from holdfast.core.errors import Reason
from holdfast.core.items import MUST, Notice, Resized
from holdfast.core.limits import Limits
from holdfast.core.login import (
    Authenticate,
    AuthResult,
    LoginRefusedError,
    Policy,
    ProfileSummary,
)
from holdfast.net.upstream.dialler import Dialler
from holdfast.protocols.telnet.charsets import AUTOMATIC, Charsets
from holdfast.sessions.manager import SessionManager
from holdfast.sessions.session import ResetReason, Session

PREFIX: Final = "tcp:"
"""Before an upstream's name, in the name of its backend."""
ANEW: Final = Notice("The connection to the server was lost. You are connected anew.")


class TcpBackend:
    """Sessions on the servers of one upstream.

    With `pauses`, a server is not read while the client is away and the window
    is full; without, the oldest output leaves the window. Use it inside `run`.
    """

    policy: Policy | None = Policy()

    def __init__(
        self,
        dialler: Dialler,
        manager: SessionManager,
        limits: Limits,
        at_end_of_tick: Callable[[Callable[[], None]], None],
        clock: Clock,
        *,
        content: str = "lines",
        charsets: Charsets = AUTOMATIC,
        pauses: bool = False,
    ) -> None:
        self.name = PREFIX + dialler.pool.name
        self.dialler = dialler
        self.manager = manager
        self.limits = limits
        self.at_end_of_tick = at_end_of_tick
        self.clock = clock
        self.content = content
        self.charsets = charsets
        self.pauses = pauses
        self.tasks = asyncio.TaskGroup()
        self._commanded: dict[Session, None] = {}
        self._bridges: dict[Session, Bridge] = {}

    async def run(self, started: Callable[[], None]) -> None:
        """Connect sessions until cancelled; then hang up on every server.

        `started` is called when sessions may come.
        """
        try:
            async with self.tasks:
                started()
                await asyncio.Event().wait()
        finally:
            for bridge in list(self._bridges.values()):
                bridge.close()

    # --- what becomes of sessions

    def commanded(self, session: Session) -> None:
        if not self._commanded:
            self.at_end_of_tick(self._forward)
        self._commanded[session] = None

    def opened(self, session: Session) -> None:
        self._bridge(session)

    def resumed(self, session: Session) -> None:
        bridge = self._bridges.get(session)
        if bridge is not None:
            bridge.go_on()
            return
        # The gateway was restarted: what was typed before was not meant for a new connection.
        session.applied(session.inbox.top)
        session.emit(ANEW, MUST, self.clock())
        self._bridge(session)

    def resync(self, session: Session, reason: ResetReason) -> None:
        self.resumed(session)

    def relieved(self, session: Session) -> None:
        self._go_on(session)

    def keeps(self, *, known: bool) -> bool:
        return known  # it has said something to its server

    def detached(self, session: Session, reason: Reason) -> None:
        self._go_on(session)

    def resized(self, session: Session, size: Resized) -> None:
        bridge = self._bridges.get(session)
        if bridge is not None:
            bridge.resize(size)

    def capabilities_changed(self, session: Session) -> None:
        known = session.row.capabilities
        if known.width and known.height:
            self.resized(session, Resized(known.width, known.height))

    def ended(self, session: Session, reason: Reason) -> None:
        self._commanded.pop(session, None)
        bridge = self._bridges.pop(session, None)
        if bridge is not None:
            bridge.close()

    def close_later(self, session: Session, reason: Reason) -> None:
        """End a session, once this tick is over: its client may be being resumed right now."""
        self.at_end_of_tick(lambda: self.manager.close(session, reason))

    # --- requests

    async def authenticate(self, session: Session, claim: Authenticate) -> AuthResult:
        raise LoginRefusedError("the server asks for itself who you are")

    async def profiles(self, session: Session) -> list[ProfileSummary]:
        return []

    async def create_profile(self, session: Session, name: str) -> ProfileSummary:
        raise LoginRefusedError("a TCP server has no profiles")

    async def select_profile(self, session: Session, profile: str) -> ProfileSummary:
        raise LoginRefusedError("a TCP server has no profiles")

    def _bridge(self, session: Session) -> None:
        bridge = self._bridges[session] = Bridge(self, session)
        bridge.dial(self.tasks)

    def _go_on(self, session: Session) -> None:
        bridge = self._bridges.get(session)
        if bridge is not None:
            bridge.go_on()

    def _forward(self) -> None:
        commanded, self._commanded = self._commanded, {}
        for session in commanded:
            bridge = self._bridges.get(session)
            if bridge is not None:
                bridge.forward()
