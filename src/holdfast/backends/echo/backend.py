"""The backend `echo`: echoes input. For trials, for measuring, as an example."""

from __future__ import annotations

from collections.abc import Sequence

from holdfast.backends.base import BackendConfig, BaseBackend, Services
from holdfast.core.errors import Reason
from holdfast.core.items import MUST, Interrupt
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

    def commanded(self, session: Session) -> None:
        if not self._commanded:
            self._at_end_of_tick(self._answer)
        self._commanded[session] = None

    def ended(self, session: Session, reason: Reason) -> None:
        self._commanded.pop(session, None)

    def moved(self, session: Session) -> None:
        self._commanded.pop(session, None)

    async def adopt(self, sids: Sequence[str]) -> None:
        for sid in sids:
            session = self._port.find(sid)
            if session is not None and session.inbox.waiting:
                self.commanded(session)

    def _answer(self) -> None:
        commanded, self._commanded = self._commanded, {}
        port, emit, now = self._port, self._port.emit, self._clock()
        for session in commanded:
            for queued in port.take(session):
                if not isinstance(queued.item, Interrupt):
                    emit(session, queued.item, MUST, now)
            port.applied(session, session.inbox.top)
