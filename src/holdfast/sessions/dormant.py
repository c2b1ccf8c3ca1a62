"""Stored sessions that were not used since the start.

They are found, counted, listed and ended here, and loaded on first use. A loaded session stays
loaded.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import ClassVar, Final

from msgspec import Struct

from holdfast.sessions.session import SessionBackend
from holdfast.sessions.states import TABLE, SessionInput, SessionState

DETACHED: Final = {
    state.value: state if state.detached else TABLE.step(state, SessionInput.DROPPED).state
    for state in SessionState
}
"""By the state that is stored: the state of a session whose client cannot be there any more.

One that cannot wait for its client is `CLOSED`.
"""


class DormantSession(Struct, gc=False, eq=False):
    """A dormant session. It is detached. There may be many, so it has only the necessary fields."""

    connection: ClassVar[int] = 0
    """No connection of this run has had it."""

    sid: str
    app: str
    backend: SessionBackend
    state: SessionState
    user: str
    address: str
    protocol: str
    detached: float
    """Since when its client is away."""
    lasting: bool
    code: bytes
    code_before: bytes
    instance: str
    known: bool
    network: str
    """The network of its client (`Population`)."""


class DormantSessions:
    """All dormant sessions, by `sid`."""

    def __init__(self) -> None:
        self.states: Counter[SessionState] = Counter()
        """How many there are, by state."""
        self._sessions: dict[str, DormantSession] = {}

    def __len__(self) -> int:
        return len(self._sessions)

    def __contains__(self, sid: str) -> bool:
        return sid in self._sessions

    def __iter__(self) -> Iterator[DormantSession]:
        return iter(self._sessions.values())

    def add(self, session: DormantSession) -> None:
        self._sessions[session.sid] = session
        self.states[session.state] += 1

    def get(self, sid: str) -> DormantSession | None:
        return self._sessions.get(sid)

    def pop(self, sid: str) -> DormantSession | None:
        """Remove a session, which was loaded or has ended."""
        session = self._sessions.pop(sid, None)
        if session is not None:
            self.states[session.state] -= 1
        return session

    def of(self, backend: SessionBackend) -> Iterable[DormantSession]:
        """The dormant sessions of one backend."""
        return (session for session in self if session.backend is backend)
