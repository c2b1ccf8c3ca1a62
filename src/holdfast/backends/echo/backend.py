"""The backend `echo`: says back what it is told. For trying out and for measuring."""

from __future__ import annotations

from collections.abc import Callable

from holdfast.core.clock import Clock
from holdfast.core.errors import Reason
from holdfast.core.items import MUST, Interrupt, Resized
from holdfast.core.login import (
    Authenticate,
    AuthResult,
    LoginRefusedError,
    Policy,
    ProfileSummary,
)
from holdfast.sessions.session import ResetReason, Session


class EchoBackend:
    """Applies each command by saying it back."""

    name = "echo"
    policy: Policy | None = Policy()

    def __init__(self, at_end_of_tick: Callable[[Callable[[], None]], None], clock: Clock) -> None:
        self._at_end_of_tick = at_end_of_tick
        self._clock = clock
        self._commanded: dict[Session, None] = {}

    def commanded(self, session: Session) -> None:
        if not self._commanded:
            self._at_end_of_tick(self._answer)
        self._commanded[session] = None

    def opened(self, session: Session) -> None:
        pass

    def resumed(self, session: Session) -> None:
        pass

    def resync(self, session: Session, reason: ResetReason) -> None:
        pass

    def resized(self, session: Session, size: Resized) -> None:
        pass

    def capabilities_changed(self, session: Session) -> None:
        pass

    def detached(self, session: Session, reason: Reason) -> None:
        pass

    def ended(self, session: Session, reason: Reason) -> None:
        self._commanded.pop(session, None)

    def relieved(self, session: Session) -> None:
        pass

    def keeps(self, *, known: bool) -> bool:
        return False

    async def authenticate(self, session: Session, claim: Authenticate) -> AuthResult:
        raise LoginRefusedError("an echo knows nobody")

    async def profiles(self, session: Session) -> list[ProfileSummary]:
        return []

    async def create_profile(self, session: Session, name: str) -> ProfileSummary:
        raise LoginRefusedError("an echo has no profiles")

    async def select_profile(self, session: Session, profile: str) -> ProfileSummary:
        raise LoginRefusedError("an echo has no profiles")

    def _answer(self) -> None:
        commanded, self._commanded = self._commanded, {}
        now = self._clock()
        for session in commanded:
            for queued in session.inbox.take():
                if not isinstance(queued.item, Interrupt):
                    session.emit(queued.item, MUST, now)
            session.applied(session.inbox.top)
