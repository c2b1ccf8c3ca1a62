"""Framing of byte streams that have none of their own: bounded lines."""

from __future__ import annotations

from typing import Final

from msgspec import Struct


class LineTooLong(Struct, frozen=True, gc=False):
    """A line outgrew its limit. It is the last event: where the next line begins is unknown."""

    bytes_max: int


Event = str | LineTooLong
"""A complete line is a plain `str`, without its end."""

_LF: Final = b"\n"


class LineDecoder:
    """Lines of UTF-8 text that end in LF or CR LF.

    Bytes that are not UTF-8 become U+FFFD. A line that its LF never follows is
    never an event: half a command must not run.
    """

    __slots__ = ("_bytes_max", "_done", "_tail")

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._tail = b""
        self._done = False

    def receive_data(self, data: bytes) -> list[Event]:
        """The lines that `data` completes; `LineTooLong` ends the list and the decoder."""
        if self._done:
            return []
        *lines, self._tail = (self._tail + data).split(_LF)
        events: list[Event] = []
        for line in lines:
            if len(line) > self._bytes_max:
                return self._overflow(events)
            events.append(line.removesuffix(b"\r").decode(errors="replace"))
        if len(self._tail) > self._bytes_max:
            return self._overflow(events)
        return events

    @property
    def unfinished(self) -> str:
        """What has come of a line whose end has not."""
        return self._tail.decode(errors="replace")

    def _overflow(self, events: list[Event]) -> list[Event]:
        self._done = True
        self._tail = b""
        events.append(LineTooLong(self._bytes_max))
        return events
