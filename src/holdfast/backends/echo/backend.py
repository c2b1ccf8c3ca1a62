"""The backend `echo`: echoes input. For trials, for measuring, as an example."""

from __future__ import annotations

from collections.abc import Sequence

from holdfast.backends.base import BackendConfig, BaseBackend, Moves, Services
from holdfast.core.errors import Reason
from holdfast.core.items import MUST, Interrupt
from holdfast.sessions.port import SessionPort
from holdfast.sessions.session import Session


class Config(BackendConfig, frozen=True):
    """The kind has no keys."""

    kind = "echo"


class EchoBackend(BaseBackend):
    """Applies each command by saying it back."""

    name = Config.kind

    def __init__(self, services: Services) -> None:
        self._port = services.open_port(self)
        self._at_end_of_tick = services.runtime.coalescer.add
        self._clock = services.clock
        self._commanded: dict[Session, None] = {}
        self.moves = EchoMoves(self._port, self)

    def commanded(self, session: Session) -> None:
        if not self._commanded:
            self._at_end_of_tick(self._answer)
        self._commanded[session] = None

    def ended(self, session: Session, reason: Reason) -> None:
        self.forget(session)

    def forget(self, session: Session) -> None:
        """Do not answer the session any more."""
        self._commanded.pop(session, None)

    def _answer(self) -> None:
        commanded, self._commanded = self._commanded, {}
        port, emit, now = self._port, self._port.emit, self._clock()
        for session in commanded:
            for queued in port.take(session):
                if not isinstance(queued.item, Interrupt):
                    emit(session, queued.item, MUST, now)
            port.applied(session, session.inbox.top)


class EchoMoves(Moves):
    """Its sessions move with the commands that are still to be echoed."""

    def __init__(self, port: SessionPort, echo: EchoBackend) -> None:
        self._port = port
        self._echo = echo

    def moved(self, session: Session) -> None:
        self._echo.forget(session)

    async def adopt(self, sids: Sequence[str]) -> None:
        for session in filter(None, map(self._port.find, sids)):
            if session.inbox.waiting:
                self._echo.commanded(session)
