"""The OUT log of a terminal: a ring of bytes. Hot path.

A number is an offset: how many bytes the session has put out up to there. What a client has
acknowledged stays as long as it fits, for a client that comes with an empty screen. Short
outputs are joined, so that the ring takes little more than its bytes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Final

from holdfast.core.items import Binary, Output
from holdfast.core.limits import KIB, SessionLimits
from holdfast.sessions.outbox import Outbox, OutputEntry
from holdfast.sessions.room import Room
from holdfast.sessions.screen_modes import ScreenModes

_CHUNK_BYTES: Final = 1 * KIB
"""Outputs are joined up to this size."""
_LINE_BYTES_MAX: Final = 4 * KIB
"""So far the end of a line is looked for, where the ring begins."""


class Ring(Outbox):
    """The window of one terminal. It holds `Binary` outputs alone."""

    __slots__ = ("_chunks", "_modes")

    def __init__(self, limits: SessionLimits, room: Room | None = None) -> None:
        super().__init__(limits, room)
        self._chunks: deque[bytes] = deque()
        self._modes = ScreenModes()
        """Those in which the output before `base` has left a terminal."""

    @property
    def top(self) -> int:
        return self.base + self.size

    def append(self, item: Output, delivery: str, now: float, size: int = 0) -> bool:
        if type(item) is not Binary:
            raise TypeError(f"expected Binary for a terminal, found {type(item).__name__}")
        data, chunks = item.data, self._chunks
        if chunks and len(chunks[-1]) + len(data) <= _CHUNK_BYTES:
            chunks[-1] += data
        else:
            chunks.append(data)
        self.size += len(data)
        return self.size > self._limit

    def open_prompt(self, last: int) -> str:
        return ""

    def shrink(self, upto: int) -> None:
        most = self._limit if self.size > self._limit else self._limits.window_bytes_max
        self._drop(max(0, min(self.size - (most - most // 8), upto - self.base)))

    def take(self, limit: int) -> tuple[int, Sequence[Output | None]]:
        sent, chunks = self.sent, self._chunks
        top = self.sent = self.base + self.size
        unsent = top - sent
        if chunks and 0 < unsent <= len(chunks[-1]):  # the usual case, in few steps
            return sent + 1, (Binary(chunks[-1][-unsent:]),)
        return sent + 1, self.view(sent, top)

    def view(self, after: int, upto: int) -> Sequence[Output | None]:
        parts = []
        end = self.top
        for chunk in reversed(self._chunks):
            if end <= after:
                break
            start = end - len(chunk)
            if start < upto:
                inside = start >= after and end <= upto
                data = chunk if inside else chunk[max(0, after - start) : upto - start]
                parts.append(Binary(data))
            end = start
        parts.reverse()
        return parts

    def prove(self, seq: int) -> None:
        self.acked = max(self.acked, seq)

    def rewind(self, last: int) -> None:
        self.sent = self.acked = last

    def trim_older(self, than: float) -> None:
        """Nothing: a screen does not grow old."""

    def since(self, seq: int) -> Sequence[OutputEntry]:
        """Nothing: a terminal is not stored."""
        return ()

    def fill(self, seq: int) -> float:
        return (self.top - max(seq, self.base)) / self._limits.window_bytes_max

    def beginning(self) -> tuple[int, bytes]:
        """Where a client without the output before it can begin, and what restores the modes of
        its terminal there."""
        if not self.base:
            return 0, b""
        head = self._head()
        skipped = head.find(b"\n") + 1
        if not skipped:  # not in the middle of a character
            skipped = next((at for at, byte in enumerate(head) if byte & 0xC0 != 0x80), 0)
        modes = self._modes.copy()
        modes.feed(head[:skipped])
        return self.base + skipped, modes.restore()

    def _head(self) -> bytes:
        head = b""
        for chunk in self._chunks:
            head += chunk[: _LINE_BYTES_MAX - len(head)]
            if len(head) >= _LINE_BYTES_MAX:
                break
        return head

    def _drop(self, count: int) -> None:
        self.size -= count
        self.base += count
        chunks, feed = self._chunks, self._modes.feed
        while count:
            chunk = chunks.popleft()
            if len(chunk) > count:
                chunks.appendleft(chunk[count:])
                chunk = chunk[:count]
            feed(chunk)
            count -= len(chunk)
