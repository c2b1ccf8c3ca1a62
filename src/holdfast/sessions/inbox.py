"""The IN log: the numbered commands of the client to the backend. Hot path.

Two numberings meet here. A resumable client numbers its own commands, 1, 2, 3 … (`cin` is the
highest of the unbroken run); commands of other clients (Telnet, say) are numbered here. The
backend sees one number for both, `cseq`, which increases with every command and is the same for
the same command across crashes: `cseq = c + offset`, where the offset counts the commands that
the resumable client has not numbered.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from enum import Enum, auto
from typing import Final, NamedTuple

from msgspec import Struct

from holdfast.core.items import Command, Text, lines_of, size_of
from holdfast.core.limits import SessionLimits
from holdfast.sessions.room import Room

UNCLEAN_JUMP = 1 << 20
"""After an unclean stop, our own numbering skips every number that may have been used."""


class Queued(Struct, array_like=True, gc=False):
    """One command that the backend has not applied."""

    cseq: int
    item: Command
    size: int
    """The size of a command in the queue, in bytes."""


class _Hidden(NamedTuple):
    """A command that is never stored."""

    cseq: int
    cin: int
    """The client's newest command before it, if `numbered`."""
    offset: int
    numbered: bool
    """Whether the client sends it again."""


class Verdict(Enum):
    """The result of taking a command."""

    ACCEPTED = auto()
    REPEATED = auto()
    """A repeat; it is acknowledged again and not forwarded."""
    GAP = auto()
    """One before it is missing; the client is asked to send from there."""
    FULL = auto()
    """The queue is full; it was not taken."""
    REFUSED = auto()
    """It has too many lines: it is never accepted. A client's number for it is used."""


ACCEPTED: Final = Verdict.ACCEPTED
FULL: Final = Verdict.FULL
REFUSED: Final = Verdict.REFUSED
"""Looked up once: before Python 3.12 an enum's members are dear to reach."""


class Inbox:
    """The queue of one session: `applied` ≤ `forwarded` ≤ `top`."""

    __slots__ = (
        "_hidden",
        "_limit",
        "_limits",
        "_next",
        "_room",
        "applied",
        "cin",
        "entries",
        "forwarded_bytes",
        "offset",
        "size",
    )

    def __init__(self, limits: SessionLimits, room: Room | None = None) -> None:
        self._limits = limits
        self._room = room or Room(math.inf)
        self._limit = 0
        """The reserved size of the queue, in bytes."""
        self._hidden: tuple[_Hidden, ...] = ()
        self._next = 0
        """Where in `entries` the first one stands that was not forwarded."""
        self.entries: list[Queued] = []
        self.applied = 0
        self.cin = 0
        self.offset = 0
        self.size = 0
        self.forwarded_bytes = 0
        """The size of the commands that are forwarded and not applied."""

    @property
    def top(self) -> int:
        """The number of the newest command, as the backend sees it."""
        return self.cin + self.offset

    @property
    def oldest(self) -> int:
        """The number of the oldest command that is not applied, or 0."""
        return self.entries[0].cseq if self.entries else 0

    @property
    def waiting(self) -> bool:
        """Whether there are commands that were not forwarded."""
        return self._next < len(self.entries)

    def is_full(self) -> bool:
        """Return whether the queue has all that its limits allow."""
        limits = self._limits
        return len(self.entries) >= limits.queue_messages_max or self.size >= limits.queue_bytes_max

    def accept(self, item: Command) -> Verdict:
        """Take a command that we number."""
        most = self._limits.queue_messages_max
        if (self.size >= self._limit or len(self.entries) >= most) and self._crowded():
            return FULL
        if type(item) is Text and ("\n" in item.text or "\r" in item.text) and self._refuses(item):
            return REFUSED
        self.offset += 1
        if self.cin + self.offset <= self.applied:
            # A store that went back in time knows less than the backend: this one is new for all
            # that, as nobody sends an unnumbered command again.
            self.offset = self.applied + 1 - self.cin
        self._queue(item)
        return ACCEPTED

    def accept_numbered(self, c: int, item: Command) -> Verdict:
        """Take a command that the client has numbered `c`."""
        if c != self.cin + 1:
            return Verdict.GAP if c > self.cin else Verdict.REPEATED
        most = self._limits.queue_messages_max
        if (self.size >= self._limit or len(self.entries) >= most) and self._crowded():
            return FULL
        self.cin = c
        if type(item) is Text and ("\n" in item.text or "\r" in item.text) and self._refuses(item):
            return REFUSED
        cseq = c + self.offset
        if cseq > self.applied:  # as `_queue`, without its call
            size = size_of(item)
            self.entries.append(Queued(cseq, item, size))
            self.size += size
        return ACCEPTED

    def hide(self, *, numbered: bool) -> None:
        """The newest command was typed while input is hidden: it is never stored.

        A client that numbers commands gets no acknowledgement before it is applied, and sends
        it again to a gateway that has lost it. A command of another client is lost with the
        gateway.
        """
        if self.entries and self.entries[-1].cseq == self.top:
            hidden = _Hidden(self.top, self.cin - 1, self.offset, numbered)
            self._hidden = (*self._hidden, hidden)

    def kept(self) -> tuple[int, int]:
        """Return `cin` and `offset` as they may be stored: before the commands that the client is
        to send again."""
        if self._hidden:
            for hidden in self._hidden:
                if hidden.numbered:
                    return hidden.cin, hidden.offset
        return self.cin, self.offset

    def skip(self, c: int) -> bool:
        """The client has acknowledgements up to `c`. Return whether any of these commands is
        unknown.

        A store that went back in time lacks them. Their numbers are used, so the client
        continues after them.
        """
        if c <= self.cin:
            return False
        self.cin = c
        return True

    def take(self) -> Sequence[Queued]:
        """The commands not yet forwarded; they count as forwarded then."""
        entries = self.entries
        taken = entries[self._next :] if self._next else entries.copy()
        self._next = len(entries)
        self.forwarded_bytes = self.size
        return taken

    def take_within(self, bytes_max: int) -> Sequence[Queued]:
        """As `take`, but only while less than `bytes_max`, and less than the session's own
        limit, is in flight. The command that exceeds it is still taken."""
        own = self._limits.forwarded_bytes_max
        bytes_max = bytes_max if bytes_max < own else own
        entries = self.entries
        start = end = self._next
        if self.size <= bytes_max:  # the usual case: what `take` does, without its call
            self._next = len(entries)
            self.forwarded_bytes = self.size
            return entries[start:]
        under_way = self.forwarded_bytes
        while end < len(entries) and under_way < bytes_max:
            under_way += entries[end].size
            end += 1
        self._next = end
        self.forwarded_bytes = under_way
        return entries[start:end]

    def apply(self, cseq: int) -> int:
        """The backend has applied everything up to `cseq`.

        Returns the bytes of those that were forwarded.
        """
        if cseq <= self.applied:
            return 0
        self.applied = cseq
        if self._hidden:
            self._hidden = tuple([hidden for hidden in self._hidden if hidden.cseq > cseq])
        entries, forwarded = self.entries, self.forwarded_bytes
        if not entries or entries[-1].cseq <= cseq:
            entries.clear()
            self._next = self.size = self.forwarded_bytes = 0
            return forwarded
        done = size = 0
        for entry in entries:
            if entry.cseq > cseq:
                break
            size += entry.size
            done += 1
        del entries[:done]
        self.size -= size
        self.forwarded_bytes = max(0, forwarded - size)
        self._next = max(0, self._next - done)
        return forwarded - self.forwarded_bytes

    def rewind(self) -> None:
        """Another backend takes over: commands that are not applied are forwarded again."""
        self._next = self.forwarded_bytes = 0

    def since(self, cseq: int) -> Sequence[Queued]:
        """The commands after `cseq` that are not applied and may be stored."""
        if not self.entries:
            return []
        if not self._hidden:
            return [entry for entry in self.entries if entry.cseq > cseq]
        hidden = {it.cseq for it in self._hidden}
        upto = sum(self.kept())
        return [it for it in self.entries if cseq < it.cseq <= upto and it.cseq not in hidden]

    def restore(self, entry: Queued) -> None:
        """Put back a command that was stored, after those before it."""
        self.entries.append(entry)
        self.size += entry.size

    def jump(self) -> None:
        """Leave every number unused that an unclean stop may have forgotten."""
        self.offset += UNCLEAN_JUMP

    def _refuses(self, item: Text) -> bool:
        """Whether a text has so many lines that it would get past the rate of commands."""
        return len(lines_of(item.text)) > self._limits.command_lines_max

    def _crowded(self) -> bool:
        """Whether the queue cannot take another command, even with more reserved size."""
        if self.is_full():
            return True
        most = self._limits.queue_bytes_max
        self._limit = self._room.grow(self._limit, self.size + 1, most)
        return self.size >= self._limit

    def fit(self) -> None:
        """Release the reserved size that is not needed."""
        self._limit = self._room.fit(self._limit, self.size)

    def _queue(self, item: Command) -> None:
        cseq = self.cin + self.offset
        if cseq <= self.applied:
            return  # a backend that outlived us has applied it already
        size = size_of(item)
        self.entries.append(Queued(cseq, item, size))
        self.size += size
