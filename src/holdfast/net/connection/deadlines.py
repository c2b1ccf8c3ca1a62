"""The limits of time of one connection: which comes next, and which is reached. No I/O."""

from __future__ import annotations

from enum import Enum, auto
from typing import Final

from msgspec import Struct

FOREVER: Final = float("inf")


class Reached(Enum):
    """The kinds of deadlines."""

    NOTHING = auto()
    CLOSE = auto()
    """The limit of the phase: of the handshake, of the whole life, or of our close."""
    STALL = auto()
    """The peer has read too little for too long, unless `still_stalled` returns false."""
    IDLE = auto()
    """Nothing has come for too long."""
    WAKE = auto()
    """The time that the handler asked for."""


class _Stall(Struct, gc=False):
    due: float
    unsent: int


class Deadlines(Struct, gc=False):
    """The deadlines of one connection, in the runtime's time; `FOREVER` for one that is off.

    Idleness is counted from `heard`, which the connection keeps: it moves with every read.
    """

    close: float
    wake: float = FOREVER
    _told_at: float = -FOREVER
    """`heard` when the handler was last told that the connection is idle."""
    _stall: _Stall | None = None
    _last: float = FOREVER
    """The latest end of our close."""

    def begin_close(self, due: float, last: float) -> None:
        """From here on only the time for our close is limited. It may be put off up to `last`."""
        self.close, self._last = due, last
        self.wake = FOREVER
        self._stall = None

    def put_off_close(self, now: float, due: float) -> bool:
        """Close by `due` instead, or by the latest end if that is earlier. Returns false at the
        latest end."""
        self.close = min(due, self._last)
        return now < self._last

    def next(self, heard: float, idle_seconds: float) -> float:
        """When something is due next. `idle_seconds` is `FOREVER` while idleness is not limited."""
        due = min(self.close, self.wake, self._idle_due(heard, idle_seconds))
        return due if self._stall is None else min(due, self._stall.due)

    def reach(self, now: float, heard: float, idle_seconds: float) -> Reached:
        """Return what is due now: one kind, each once."""
        if now >= self.close:
            self.close = FOREVER
            return Reached.CLOSE
        if self._stall is not None and now >= self._stall.due:
            return Reached.STALL
        if now >= self._idle_due(heard, idle_seconds):
            self._told_at = heard
            return Reached.IDLE
        if now >= self.wake:
            self.wake = FOREVER
            return Reached.WAKE
        return Reached.NOTHING

    def stall(self, due: float, unsent: int) -> None:
        """The peer takes nothing for now, of `unsent` bytes; by `due` it should have taken some."""
        self._stall = _Stall(due, unsent)

    def end_stall(self) -> None:
        """The peer has read the written data."""
        self._stall = None

    def still_stalled(self, due: float, unsent: int) -> bool:
        """Whether no byte was taken since `stall`. If one was, the next is expected by `due`."""
        stalled = self._stall is None or unsent >= self._stall.unsent
        self._stall = None if stalled else _Stall(due, unsent)
        return stalled

    def _idle_due(self, heard: float, idle_seconds: float) -> float:
        """Once for each silence, so that a handler that sends a goodbye can be woken after it."""
        return FOREVER if self._told_at == heard else heard + idle_seconds
