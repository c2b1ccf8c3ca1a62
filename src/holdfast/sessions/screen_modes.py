"""Which private modes of a terminal (DECSET) an output has left set. Pure."""

from __future__ import annotations

import re
from typing import Final

_SET: Final = re.compile(rb"\x1b(?:\[\?([0-9;]{1,32})([hl])|(c))")
_UNFINISHED: Final = re.compile(rb"\x1b(?:\[(?:\?[0-9;]{0,32})?)?")
_UNFINISHED_BYTES_MAX: Final = 40
_DEFAULTS: Final = {
    1049: False,  # the alternate screen, in its three forms: before what happens on it
    1047: False,
    47: False,
    1: False,  # cursor keys send application sequences
    7: True,  # lines wrap
    25: True,  # the cursor is shown
    1000: False,  # reports of the mouse, and how they are written
    1002: False,
    1003: False,
    1004: False,
    1005: False,
    1006: False,
    2004: False,  # pasted text is marked
}
"""The modes that are followed, in the order in which they are restored."""


class ScreenModes:
    """The modes that differ from those of a terminal that was reset."""

    __slots__ = ("_changed", "_unfinished")

    def __init__(self) -> None:
        self._changed: frozenset[int] = frozenset()
        self._unfinished = b""

    def feed(self, data: bytes) -> None:
        """Follow the modes through `data`."""
        if self._unfinished:
            data = self._unfinished + data
            self._unfinished = b""
        if b"\x1b" not in data:
            return
        for match in _SET.finditer(data):
            if match[3]:
                self._changed = frozenset()
            else:
                self._set(match[1], on=match[2] == b"h")
        tail = data[data.rindex(b"\x1b") :]
        if len(tail) <= _UNFINISHED_BYTES_MAX and _UNFINISHED.fullmatch(tail):
            self._unfinished = tail

    def copy(self) -> ScreenModes:
        """The same modes, to be followed apart."""
        other = ScreenModes()
        other._changed, other._unfinished = self._changed, self._unfinished
        return other

    def restore(self) -> bytes:
        """What sets these modes in a terminal that was reset."""
        return b"".join(
            b"\x1b[?%d%c" % (mode, b"l" if default else b"h")
            for mode, default in _DEFAULTS.items()
            if mode in self._changed
        )

    def _set(self, modes: bytes, *, on: bool) -> None:
        for digits in modes.split(b";"):
            mode = int(digits or b"0")
            if mode not in _DEFAULTS:
                continue
            if on is _DEFAULTS[mode]:
                self._changed -= {mode}
            else:
                self._changed |= {mode}
