"""What one session has to send to its application, and where that stands. No I/O.

One request at a time is under way. A request that failed is sent again as it was; what is new waits
behind it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from holdfast.backends.http.notes import Notes, StateEvent
from holdfast.sessions.inbox import Queued
from holdfast.sessions.session import Session

ALONE: Final = ":alone"
"""The end of an `Idempotency-Key`, for one event of a request that was refused."""


class Request(NamedTuple):
    """The events of one request."""

    states: Sequence[StateEvent]
    commands: Sequence[Queued]
    alone: bool = False
    """Whether it has one event of a request that was refused."""

    @property
    def length(self) -> int:
        """How many events it has."""
        return len(self.states) + len(self.commands)

    def key(self, sid: str, applied: int) -> str:
        """Its `Idempotency-Key`: the session, its newest command, and the newest change of its
        state, if there is one. An event alone has another key than the request that had it."""
        cseq = self.commands[-1].cseq if self.commands else applied
        state = f".{self.states[-1].number}" if self.states else ""
        return f"{sid}:{cseq}{state}{ALONE if self.alone else ''}"


class Delivery:
    """The events of one session, which are in order."""

    __slots__ = (
        "_singly",
        "commands",
        "ended",
        "gone",
        "moved",
        "notes",
        "request",
        "running",
        "session",
        "told",
    )

    def __init__(self, session: Session, notes: Notes) -> None:
        self.session = session
        self.notes = notes
        self.moved = False
        """Whether another node has the session, and sends its events."""
        self.commands: deque[Queued] = deque()
        """Taken of the session's queue, and not applied."""
        self.request: Request | None = None
        """The request under way."""
        self.running = False
        """Whether a task sends its events."""
        self.told = False
        """Whether the client was told that the application is away."""
        self.ended = False
        """Whether the session is being closed: its last events are kept apart."""
        self.gone = False
        """Whether that is durable, so that they may be sent."""
        self._singly = 0
        """Events that are sent alone, because one of them was refused."""

    @property
    def due(self) -> bool:
        """Whether there is anything to send."""
        return bool(self.notes.pending or self.commands)

    def take(self, commands: Iterable[Queued]) -> None:
        """Commands of the session's queue."""
        self.commands.extend(commands)

    def next(self, events_max: int, bytes_max: int) -> Request:
        """The request to send now: the one that failed, or the next events."""
        if self.request is None:
            most = 1 if self._singly else events_max
            self.request = self._collect(most, bytes_max)
        return self.request

    def split(self) -> bool:
        """A request of several events was refused: send each alone, to find out which it is."""
        request = self.request
        assert request is not None
        if request.length == 1:
            return False
        self._singly = request.length
        self.request = None
        return True

    def confirm(self) -> Request:
        """The application has the events under way. Returns them."""
        request = self.request
        assert request is not None
        self.request = None
        for _ in request.commands:
            self.commands.popleft()
        self.notes = self.notes.confirm(request.states)
        self._singly = max(0, self._singly - request.length)
        return request

    def _collect(self, events_max: int, bytes_max: int) -> Request:
        """The oldest events. A change of state goes behind the commands that came before it."""
        states: list[StateEvent] = []
        commands: list[Queued] = []
        size = 0
        pending = deque(self.notes.pending)
        waiting = iter(self.commands)
        command = next(waiting, None)
        while len(states) + len(commands) < events_max and size < bytes_max:
            if pending and (command is None or command.cseq > pending[0].after):
                states.append(pending.popleft())
            elif command is not None:
                commands.append(command)
                size += command.size
                command = next(waiting, None)
            else:
                break
        return Request(states, commands, self._singly > 0)
