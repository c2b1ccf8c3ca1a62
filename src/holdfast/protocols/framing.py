"""Framing for byte streams without frames: bounded lines."""

from __future__ import annotations

from typing import Final

from msgspec import Struct


class LineTooLong(Struct, frozen=True, gc=False):
    """A line outgrew its limit and is discarded whole: half a command must not be run."""

    bytes_max: int


Event = str | LineTooLong
"""A complete line is a plain `str`, without its end."""

_LF: Final = b"\n"
_UTF_8_BYTES_MAX: Final = 4  # of one character
_PIECE_BYTES: Final = 48
"""What a piece takes in memory beside its bytes."""


class LinesSnapshot(Struct, frozen=True):
    """The received part of an incomplete line."""

    partial: bytes
    discarding: bool
    """Whether it is too long, and is discarded up to its end."""


class LineDecoder:
    """Lines of UTF-8 text that end in LF or CR LF.

    Bytes that are not UTF-8 become U+FFFD. A line without its LF is never an event, because
    half a command must not run. A line longer than `bytes_max` is discarded; with `cuts`, it is
    split into several lines instead.
    """

    __slots__ = ("_bytes_max", "_cuts", "_discarding", "_pieces", "_size")

    def __init__(self, bytes_max: int, *, cuts: bool = False) -> None:
        self._bytes_max = bytes_max
        self._cuts = cuts
        self._pieces: list[bytes] = []
        """The received part of an incomplete line."""
        self._size = 0
        self._discarding = False

    def receive_data(self, data: bytes) -> list[Event]:
        """The lines that `data` completes, and a `LineTooLong` for each that is too long."""
        *ends, tail = data.split(_LF)
        events: list[Event] = []
        for end in ends:
            self._take(end, events)
            if not self._discarding:
                events.append(self._join().removesuffix(b"\r").decode(errors="replace"))
            self._discarding = False
        if tail:
            self._take(tail, events)
        return events

    @property
    def pending(self) -> int:
        """The memory that an incomplete line takes, in bytes: each piece of it, as it came."""
        return self._size + _PIECE_BYTES * len(self._pieces)

    def discard_input(self) -> None:
        """Drop the received part of an incomplete line."""
        self._join()

    @property
    def unfinished(self) -> str:
        """The received part of an incomplete line."""
        return b"".join(self._pieces).decode(errors="replace")

    def snapshot(self) -> LinesSnapshot:
        """The received part of an incomplete line."""
        return LinesSnapshot(b"".join(self._pieces), self._discarding)

    def restore(self, taken: LinesSnapshot) -> None:
        """Go on where `taken` was made."""
        self._pieces = [taken.partial] if taken.partial else []
        self._size = len(taken.partial)
        self._discarding = taken.discarding

    def _take(self, piece: bytes, events: list[Event]) -> None:
        if self._discarding:
            return
        if self._size + len(piece) > self._bytes_max:
            if self._cuts:
                self._cut(self._join() + piece, events)
                return
            self._discarding = True
            self._join()
            events.append(LineTooLong(self._bytes_max))
            return
        self._pieces.append(piece)
        self._size += len(piece)

    def _cut(self, line: bytes, events: list[Event]) -> None:
        start = 0
        while len(line) - start > self._bytes_max:
            end = whole_characters(line, start + self._bytes_max)
            events.append(line[start:end].decode(errors="replace"))
            start = end
        self._pieces.append(line[start:])
        self._size = len(line) - start

    def _join(self) -> bytes:
        pieces = self._pieces
        line = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        self._pieces = []
        self._size = 0
        return line


def whole_characters(line: bytes | bytearray, end: int) -> int:
    """Return the position at or before `end` that does not split a UTF-8 character."""
    for place in range(end, max(0, end - _UTF_8_BYTES_MAX), -1):
        if place >= len(line) or line[place] & 0xC0 != 0x80:
            return place
    return end
