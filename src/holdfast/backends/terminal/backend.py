"""The backend of terminals: a session is one terminal, of whatever kind its opener makes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Final

from msgspec import Struct

from holdfast.backends.base import BaseBackend, Services
from holdfast.backends.terminal.bridge import Bridge, BridgeContext, screen_size, terminal
from holdfast.backends.terminal.kind import Opener
from holdfast.backends.terminal.places import Places
from holdfast.backends.terminal.recording import Recorder
from holdfast.backends.terminal.stats import TerminalCounts, TerminalView
from holdfast.core.errors import Reason
from holdfast.core.items import Resized
from holdfast.core.login import Authenticate, AuthResult, LoginRefusedError
from holdfast.sessions.position import ResetReason
from holdfast.sessions.session import Session
from holdfast.sessions.states import SessionState

_CHECK_SECONDS: Final = 1.0


class TerminalSettings(Struct, frozen=True):
    """What the kinds have in common."""

    name: str
    kind: str
    pauses: bool
    record: str
    """A folder, or nothing."""
    record_input: bool


class TerminalBackend(BaseBackend):
    """Sessions on terminals. Use it inside `run`."""

    def __init__(self, settings: TerminalSettings, opener: Opener, services: Services) -> None:
        self.name = settings.name
        self.kind = settings.kind
        self.counts = TerminalCounts()
        self._runtime = services.runtime
        self._at_end_of_tick = services.runtime.coalescer.add
        limits = services.limits.terminal
        timers = services.runtime.timers
        self._context = BridgeContext(
            kind=settings.kind,
            opener=opener,
            port=services.open_port(self),
            clock=services.clock,
            now=lambda: timers.now,
            later=services.runtime.loop.call_later,
            at_end_of_tick=self._at_end_of_tick,
            limits=limits,
            places=Places(limits),
            security=services.security,
            counts=self.counts,
            recorder=Recorder(
                settings.record,
                settings.record_input,
                limits.recording_bytes_max,
                lambda: timers.now,
                services.clock,
            ),
            pauses=settings.pauses,
        )
        self._group = asyncio.TaskGroup()
        self._tasks: dict[Session, asyncio.Task[None]] = {}
        self._bridges: dict[Session, Bridge] = {}
        self._commanded: dict[Session, None] = {}

    async def run(self, started: Callable[[], None]) -> None:
        """Serve terminals until cancelled; then end each, with what runs in it."""
        async with self._group:
            started()
            while True:
                await asyncio.sleep(_CHECK_SECONDS)
                for bridge in list(self._bridges.values()):
                    bridge.alone(bridge.check)

    def view(self, session: Session) -> TerminalView | None:
        """The terminal of a session, as an operator sees it."""
        bridge = self._bridges.get(session)
        return bridge.view() if bridge is not None else None

    def views(self) -> Iterator[tuple[str, TerminalView]]:
        """Each terminal, by its session's id."""
        for session, bridge in self._bridges.items():
            yield session.sid, bridge.view()

    # --- what becomes of sessions

    def commanded(self, session: Session) -> None:
        if not self._commanded:
            self._at_end_of_tick(self._forward)
        self._commanded[session] = None

    def opened(self, session: Session) -> None:
        bridge = self._bridges[session] = Bridge(self._context, terminal(session))
        task = self._tasks[session] = self._group.create_task(bridge.run())
        task.add_done_callback(lambda _: self._released(session))

    def resumed(self, session: Session) -> None:
        self._bridges[session].attached(afresh=False)

    def resync(self, session: Session, reason: ResetReason) -> None:
        self._bridges[session].attached(afresh=True)

    def relieved(self, session: Session) -> None:
        self._go_on(session)

    def detached(self, session: Session, reason: Reason) -> None:
        self._go_on(session)

    def keeps(self, *, known: bool) -> bool:
        return known

    def resized(self, session: Session, size: Resized) -> None:
        bridge = self._bridges.get(session)
        if bridge is not None:
            bridge.resize(size)

    def capabilities_changed(self, session: Session) -> None:
        self.resized(session, screen_size(session))

    def ended(self, session: Session, reason: Reason) -> None:
        self._commanded.pop(session, None)
        bridge, task = self._bridges.get(session), self._tasks.get(session)
        if task is None:
            self._bridges.pop(session, None)
        elif bridge is not None and not bridge.life.closing:
            task.cancel()

    def _released(self, session: Session) -> None:
        """All of a terminal is released. Its client may still come for the last output."""
        self._tasks.pop(session, None)
        if session.state is SessionState.CLOSED:
            self._bridges.pop(session, None)

    async def authenticate(self, session: Session, claim: Authenticate) -> AuthResult:
        raise LoginRefusedError("the server asks for itself who you are")

    def _go_on(self, session: Session) -> None:
        bridge = self._bridges.get(session)
        if bridge is not None:
            bridge.go_on()

    def _forward(self) -> None:
        commanded, self._commanded = self._commanded, {}
        for session in commanded:
            bridge = self._bridges.get(session)
            if bridge is not None:
                bridge.alone(bridge.forward)
