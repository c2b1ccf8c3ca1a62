"""The IN log: what the client said to the backend, numbered. Hot path.

Two numbers meet here. A resumable client numbers its own commands, 1, 2, 3 …
(`cin` is the highest of its unbroken run); whatever else types (a Telnet
client) has its commands numbered by us. The backend sees one number for both,
`cseq`, which grows with every command and is the same for the same command
whatever crashes: `cseq = c + offset`, where the offset counts the commands that
were not the resumable client's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum, auto

from msgspec import Struct

from holdfast.core.items import Command, size_of
from holdfast.core.limits import SessionLimits

UNCLEAN_JUMP = 1 << 20
"""After an unclean stop, our own numbering skips every number that may have been used."""


class Queued(Struct, array_like=True, gc=False):
    """One command that the backend has not applied."""

    cseq: int
    item: Command
    size: int
    """What it counts for in the queue, in bytes."""


class Verdict(Enum):
    """What became of a command."""

    ACCEPTED = auto()
    REPEATED = auto()
    """It came before; it is acknowledged again and not forwarded."""
    GAP = auto()
    """One before it is missing; the client is asked to send from there."""
    FULL = auto()
    """The queue is full; it was not taken."""


class Inbox:
    """The queue of one session: `applied` ≤ `forwarded` ≤ `top`."""

    __slots__ = ("_limits", "_next", "applied", "cin", "entries", "offset", "size")

    def __init__(self, limits: SessionLimits) -> None:
        self._limits = limits
        self._next = 0
        """Where in `entries` the first one stands that was not forwarded."""
        self.entries: list[Queued] = []
        self.applied = 0
        self.cin = 0
        self.offset = 0
        self.size = 0

    @property
    def top(self) -> int:
        """The number of the newest command, as the backend sees it."""
        return self.cin + self.offset

    @property
    def forwarded_bytes(self) -> int:
        """What the commands count for that were forwarded and are not applied."""
        return sum(entry.size for entry in self.entries[: self._next])

    @property
    def full(self) -> bool:
        limits = self._limits
        return len(self.entries) >= limits.queue_messages_max or self.size >= limits.queue_bytes_max

    def accept(self, item: Command) -> Verdict:
        """Take a command that we number."""
        if self.full:
            return Verdict.FULL
        self.offset += 1
        self._queue(item)
        return Verdict.ACCEPTED

    def accept_numbered(self, c: int, item: Command) -> Verdict:
        """Take a command that the client has numbered `c`."""
        if c <= self.cin:
            return Verdict.REPEATED
        if c != self.cin + 1:
            return Verdict.GAP
        if self.full:
            return Verdict.FULL
        self.cin = c
        self._queue(item)
        return Verdict.ACCEPTED

    def take(self) -> Sequence[Queued]:
        """The commands not yet forwarded; they count as forwarded then."""
        entries = self.entries[self._next :] if self._next else self.entries.copy()
        self._next = len(self.entries)
        return entries

    def apply(self, cseq: int) -> int:
        """The backend has applied everything up to `cseq`. Returns the bytes set free."""
        if cseq <= self.applied:
            return 0
        self.applied = cseq
        done = size = 0
        for entry in self.entries:
            if entry.cseq > cseq:
                break
            size += entry.size
            done += 1
        del self.entries[:done]
        self._next = max(0, self._next - done)
        self.size -= size
        return size

    def rewind(self) -> None:
        """Another backend takes over: what was not applied is forwarded again."""
        self._next = 0

    def since(self, cseq: int) -> Sequence[Queued]:
        """The commands after `cseq` that are not applied."""
        return [entry for entry in self.entries if entry.cseq > cseq]

    def restore(self, entry: Queued) -> None:
        """Put back a command that was stored, after those before it."""
        self.entries.append(entry)
        self.size += entry.size

    def jump(self) -> None:
        """Leave every number unused that an unclean stop may have forgotten."""
        self.offset += UNCLEAN_JUMP

    def _queue(self, item: Command) -> None:
        cseq = self.cin + self.offset
        if cseq <= self.applied:
            return  # a backend that outlived us has applied it already
        size = size_of(item)
        self.entries.append(Queued(cseq, item, size))
        self.size += size
