"""The OUT log: the numbered outputs of the backend to the client. Hot path.

Each output gets its number when it enters the window, before it may be written. The window is
bounded by messages, bytes and age; output that leaves it unacknowledged is a gap, which is
reported to the client. Entries are one flat list: the position is the number, so no number is
stored.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from msgspec import Struct

from holdfast.core.errors import ProtocolError
from holdfast.core.items import LATEST, MUST, VOLATILE, Output, Prompt, size_of
from holdfast.core.limits import SessionLimits
from holdfast.sessions.room import Room


class AckError(ProtocolError):
    """A client acknowledged output that was never sent to it."""


class OutputEntry(Struct, array_like=True, gc=False):
    """One output in the window."""

    item: Output
    time: float
    """The gateway's (`SteadyClock`): it outlives the process."""
    key: str
    """The key of a `latest:` output, else empty."""
    size: int
    """The size of an output in the window, in bytes."""


class SharedEntry(OutputEntry):
    """One output in the windows of many sessions: kept, and stored, once."""

    holders: int = 0
    """How many windows it is in."""


class Outbox:
    """The window of one session.

    `base` is the number of the newest output that left the window, `top` that of the newest
    output; `sent` the newest output given to the current connection; `acked` the newest output
    that the client provably has; `maybe_delivered` the newest that it may have beyond that, by
    the evidence of a lost connection; `assumed` the newest that counts as delivered by its age
    only, without the client knowing; `prompt` the text of the newest prompt without an answer.
    """

    __slots__ = (
        "_latest",
        "_limit",
        "_limits",
        "_room",
        "_shared_bytes",
        "_taken",
        "acked",
        "assumed",
        "base",
        "entries",
        "maybe_delivered",
        "prompt",
        "sent",
        "shared",
        "size",
    )

    def __init__(self, limits: SessionLimits, room: Room | None = None) -> None:
        self._limits = limits
        self._room = room or Room(math.inf)
        self._taken = 0
        """The reserved size of this window's own output, in bytes."""
        self._limit = 0
        """What the window may hold before more room is to be taken, in bytes."""
        self._shared_bytes = 0
        self.shared = 0
        """The number of the newest entry that other windows hold, too."""
        self.entries: list[OutputEntry] = []
        self.base = 0
        self.sent = 0
        self.acked = 0
        self.assumed = 0
        self.prompt = ""
        self.maybe_delivered = 0
        self.size = 0
        self._latest: dict[str, int] | None = None

    @property
    def top(self) -> int:
        return self.base + len(self.entries)

    @property
    def lost(self) -> int:
        """Entries that left the window before the client can have seen them."""
        return max(0, self.base - max(self.acked, self.maybe_delivered))

    @property
    def unsure(self) -> int:
        """Entries that left the window, which the client may have seen and not proven to have."""
        return max(0, min(self.base, self.maybe_delivered) - self.acked)

    def append(self, item: Output, delivery: str, now: float, size: int = 0) -> bool:
        """Number an output. `now` is the gateway's time; `delivery` is `must` or `latest:KEY`;
        `size` that of the item, if it is known.

        Returns whether the window is `over`.
        """
        key = ""
        entries = self.entries
        if delivery != MUST:
            key = delivery.removeprefix(LATEST)
            if self._latest is None:
                self._latest = {}
            self._latest[key] = self.base + len(entries) + 1
            if type(item) is Prompt:
                self.prompt = item.text
        size = size or size_of(item)
        entries.append(OutputEntry(item, now, key, size))
        self.size += size
        return self.size > self._limit or len(entries) > self._limits.window_messages_max

    def add(self, entry: OutputEntry) -> None:
        """Number an output that is in other windows, too, or was stored before."""
        self.entries.append(entry)
        self.size += entry.size
        if entry.key:
            if self._latest is None:
                self._latest = {}
            self._latest[entry.key] = self.top
            if type(entry.item) is Prompt:
                self.prompt = entry.item.text
        if type(entry) is SharedEntry:
            self._share(entry)
            self._set_limit()

    def add_shared(self, entry: SharedEntry) -> bool:
        """As `add`, of an output that many sessions get. Returns whether the window is `over`."""
        if entry.key:
            self.add(entry)
            return self.over
        entries = self.entries
        entries.append(entry)
        size = self.size = self.size + entry.size
        self._share(entry)
        limit, limits = self._taken + self._shared_bytes, self._limits
        self._limit = limit if limit < limits.window_bytes_max else limits.window_bytes_max
        return size > self._limit or len(entries) > limits.window_messages_max

    def _share(self, entry: SharedEntry) -> None:
        """The newest entry is in other windows, too."""
        self.shared = self.base + len(self.entries)
        if not entry.holders:
            self._room.charge(entry.size)
        entry.holders += 1
        self._shared_bytes += entry.size

    def open_prompt(self, last: int) -> str:
        """The prompt that stands, if it is not among the outputs after `last`; or nothing."""
        for entry in reversed(self.since(last)):
            if type(entry.item) is Prompt:
                return ""
        return self.prompt

    @property
    def over(self) -> bool:
        """Whether the window exceeds its limits or its reserved size."""
        return len(self.entries) > self._limits.window_messages_max or self.size > self._limit

    def crowded(self) -> bool:
        """Whether the window exceeds its limits, even with more reserved size."""
        limits = self._limits
        most = limits.window_bytes_max
        wanted = min(self.size - self._shared_bytes, most)
        self._taken = self._room.grow(self._taken, wanted, most)
        self._set_limit()
        return (
            wanted > self._taken
            or len(self.entries) > limits.window_messages_max
            or self.size > most
        )

    def fit(self) -> None:
        """Release the reserved size that is not needed."""
        self._taken = self._room.fit(self._taken, self.size - self._shared_bytes)
        self._set_limit()

    def _set_limit(self) -> None:
        self._limit = min(self._taken + self._shared_bytes, self._limits.window_bytes_max)

    def shrink(self, upto: int) -> None:
        """Drop the oldest outputs until the rest fits, but none above `upto`.

        It drops an eighth more than needed, so that it is not called for every output of a
        client that acknowledges nothing. It never drops the newest output that fits alone.
        """
        messages = self._limits.window_messages_max
        messages -= messages // 8
        limit = self._limit if self.size > self._limit else self._limits.window_bytes_max
        size = limit - limit // 8
        entries = self.entries
        kept, left = len(entries), self.size
        lowest = len(entries) - max(0, upto - self.base)
        while kept > lowest and (kept > messages or left > size):
            if kept == 1 and left <= limit:
                break
            left -= entries[-kept].size
            kept -= 1
        self._drop(len(entries) - kept)

    def take(self, limit: int) -> tuple[int, Sequence[Output | None]]:
        """The outputs after `sent`, up to number `limit`; they count as sent then.

        Returns the first one's number. A `None` stands where a newer output has
        taken the place of an older one with its key.
        """
        first = self.sent + 1
        start = self.sent - self.base
        end = limit - self.base
        if end - start == 1 and self._latest is None:  # the usual case, without a copy of the list
            self.sent = limit
            return first, (self.entries[start].item,)
        entries = self.entries[start:end] if start or end < len(self.entries) else self.entries
        self.sent = limit
        latest = self._latest
        if latest is None:
            return first, [entry.item for entry in entries]
        return first, [
            None if entry.key and latest[entry.key] != number else entry.item
            for number, entry in enumerate(entries, first)
        ]

    def view(self, after: int, upto: int) -> Sequence[Output | None]:
        """The outputs after `after`, up to number `upto`, as `take` gives them, for somebody who
        only watches: nothing counts as sent."""
        latest = self._latest or {}
        return [
            None if entry.key and latest[entry.key] != number else entry.item
            for number, entry in enumerate(self.since(after)[: upto - after], after + 1)
        ]

    def ack(self, seq: int) -> None:
        """The client has all outputs up to `seq`. Raises `AckError` beyond the sent ones."""
        if seq > self.sent:
            raise AckError(f"acknowledged {seq}; the last one sent was {self.sent}")
        self.prove(seq)

    def prove(self, seq: int) -> None:
        """There is evidence that the client has everything up to `seq`."""
        if seq > self.acked:
            self.acked = seq
            if seq > self.base:
                self._drop(seq - self.base)

    def rewind(self, last: int) -> None:
        """A connection begins whose client has all outputs up to `last`."""
        self.sent = last

    def trim_older(self, than: float) -> None:
        """Drop outputs that are older than the window's age allows; `than` is the gateway's
        time."""
        count = 0
        for entry in self.entries:
            if entry.time >= than:
                break
            count += 1
        self._drop(count)

    def beginning(self) -> tuple[int, bytes]:
        """After which number a client can begin that has nothing, and what prepares its screen
        for it."""
        return self.base, b""

    def since(self, seq: int) -> Sequence[OutputEntry]:
        """The entries after `seq`."""
        base = self.base
        return self.entries[seq - base if seq > base else 0 :]

    def fill(self, seq: int) -> float:
        """Which share of the window the entries after number `seq` take: 1 is all of it."""
        count, size = len(self.entries), self.size
        if seq > self.base:
            entries = self.since(seq)
            count, size = len(entries), sum(entry.size for entry in entries)
        limits = self._limits
        return max(count / limits.window_messages_max, size / limits.window_bytes_max)

    def skip_to(self, base: int) -> None:
        """Drop the outputs up to number `base`, whether they are in the window or not."""
        self._drop(min(base, self.top) - self.base if base > self.base else 0)
        self.base = max(self.base, base)

    def _drop(self, count: int) -> None:
        if not count:
            return
        entries = self.entries
        for entry in entries[:count]:
            self.size -= entry.size
        if self._shared_bytes:
            self._leave(entries[:count])
        del entries[:count]
        self.base += count
        if self._latest is not None:
            self._latest = {k: n for k, n in self._latest.items() if n > self.base} or None

    def _leave(self, entries: Sequence[OutputEntry]) -> None:
        """Count the shared entries among `entries` as in one window less."""
        for entry in entries:
            if type(entry) is SharedEntry:
                self._shared_bytes -= entry.size
                entry.holders -= 1
                if not entry.holders:
                    self._room.give(entry.size)
        self._set_limit()


def shared(item: Output, delivery: str, now: float) -> SharedEntry | None:
    """An output for many windows; `None` for one that is in none (`volatile`)."""
    if delivery == VOLATILE:
        return None
    key = "" if delivery == MUST else delivery.removeprefix(LATEST)
    return SharedEntry(item, now, key, size_of(item))
