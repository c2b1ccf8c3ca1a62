"""Stored sessions that were not used since the start.

They are found, counted, listed and ended here, and loaded on first use. A loaded session stays
loaded.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Final

from holdfast.sessions.records import Head
from holdfast.sessions.session import SessionBackend
from holdfast.sessions.states import TABLE, SessionInput, SessionState

DETACHED: Final = {
    state.value: state if state.detached else TABLE.step(state, SessionInput.DROPPED).state
    for state in SessionState
}
"""By the state that is stored: the state of a session whose client cannot be there any more.

One that cannot wait for its client is `CLOSED`.
"""


class DormantSession:
    """A dormant session. It is detached. There may be many, so it has only the necessary fields."""

    connection = 0
    """No connection of this run has had it."""

    __slots__ = (
        "address",
        "app",
        "backend",
        "code",
        "code_before",
        "detached",
        "instance",
        "known",
        "lasting",
        "network",
        "protocol",
        "sid",
        "state",
        "user",
    )

    def __init__(self, head: Head, backend: SessionBackend, detached: float) -> None:
        self.sid = head.sid
        self.app = head.app
        self.backend = backend
        self.state = DETACHED[head.state]
        self.user = head.user
        self.address = head.address
        self.network = ""
        """The network of its client (`Population`)."""
        self.protocol = head.protocol
        self.detached = detached
        """Since when its client is away."""
        self.lasting = head.kept or backend.keeps(known=head.known)
        self.code = head.code
        self.code_before = head.code_before
        self.instance = head.instance
        self.known = head.known


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
