"""What the backend keeps of a session in its row: the changes of its state that are to be sent.

A change is stored before it is sent, with its number: when it is sent again after a crash, it has
the same number and the same content.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec
from msgspec import Struct

OPENED: Final = "opened"
RESUMED: Final = "resumed"
RESYNC: Final = "resync"
DETACHED: Final = "detached"
CLOSED: Final = "closed"
_PENDING_MAX: Final = 16
"""Changes that are kept. With more, a client that came and went several times did so once. What
it may have missed meanwhile is still told."""


class StateEvent(Struct, frozen=True, array_like=True):
    """A change of a session's state."""

    number: int
    after: int
    """The newest command that came before it."""
    kind: str
    reason: str = ""


class Notes(Struct, frozen=True, array_like=True):
    """The changes of one session's state."""

    number: int = 0
    """The number of the newest."""
    attached: bool = False
    """Whether the application thinks that the client is there, after all of them."""
    pending: tuple[StateEvent, ...] = ()
    """Those that the application is not known to have."""
    missed: str = ""
    """Why the client may have missed output, if the change that said so was left out: the next
    `resumed` says so instead."""

    def add(self, kind: str, after: int, reason: str = "") -> Notes:
        """A change has happened."""
        number = self.number + 1
        pending, missed = self.pending, self.missed
        if len(pending) >= _PENDING_MAX:
            missed = missed or _missed_in(pending[-2:])
            pending = pending[:-2]
        if kind == RESUMED and missed:
            kind, reason = RESYNC, missed
        if kind == RESYNC:
            missed = ""
        event = StateEvent(number, after, kind, reason)
        return Notes(number, kind not in (DETACHED, CLOSED), (*pending, event), missed)

    def confirm(self, events: Sequence[StateEvent]) -> Notes:
        """The application has these."""
        numbers = {event.number for event in events}
        pending = tuple(event for event in self.pending if event.number not in numbers)
        return Notes(self.number, self.attached, pending, self.missed)


def _missed_in(events: Sequence[StateEvent]) -> str:
    return next((event.reason for event in reversed(events) if event.kind == RESYNC), "")


def read_notes(data: bytes) -> Notes:
    """The notes in a row."""
    return msgspec.msgpack.decode(data, type=Notes) if data else Notes()


def write_notes(notes: Notes) -> bytes:
    """Notes for a row."""
    return msgspec.msgpack.encode(notes)
