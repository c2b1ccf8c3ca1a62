"""Received lines: the keyboard of the Network Virtual Terminal (RFC 854).

Receiving is lenient, for what clients really send: CR LF; CR NUL (inetutils in
character mode); a bare LF (tf and inetutils in BINARY); a bare CR. Each ends
one line, also in BINARY, where the RFC gives none of them a meaning. (A NUL is
dropped wherever it stands, so behind a CR it needs no thought.) BS and
DEL always edit: a client whose terminal edits never sends them, and one on a
raw terminal may not have said so.

Bytes are decoded by whole lines, so a code point is never split. Written for
speed where one chunk is some plain lines.
"""

from __future__ import annotations

from typing import Final

from holdfast.core.limits import TelnetLimits
from holdfast.protocols.framing import whole_characters
from holdfast.protocols.telnet.capabilities import LATIN_1, UTF_8
from holdfast.protocols.telnet.events import Event, LineTooLong

_BS: Final = b"\x08"
_DEL: Final = b"\x7f"
_KEPT_CONTROLS: Final = b"\x08\t\x1b"  # BS edits; TAB and ESC are text
_DROPPED: Final = bytes(set(range(32)) - set(_KEPT_CONTROLS))

_UTF_8_BYTES_MAX: Final = 4  # of one character


class Lines:
    """Makes lines of received data."""

    __slots__ = ("_after_cr", "_chars_max", "_cuts", "_partial", "_too_long", "undecodable")

    def __init__(self, limits: TelnetLimits, *, cuts: bool = False) -> None:
        self.undecodable = 0
        """Lines that were not in the character set they should have been in."""
        self._chars_max = limits.line_chars_max
        self._cuts = cuts
        """Whether a line that is too long comes in pieces, a line each."""
        self._partial: bytearray | None = None
        self._too_long = False  # the line is being discarded
        self._after_cr = False  # a LF now belongs to the CR before it

    def receive(self, data: bytes, charset: str) -> list[Event]:
        """The lines that `data` completes, in the peer's character set."""
        if (
            self._partial is None
            and not self._too_long
            and data.endswith(b"\r\n")
            and data.isascii()
            and len(data) <= self._chars_max
        ):
            lines = data[:-2].decode("ascii").split("\r\n")
            if all(map(str.isprintable, lines)):
                self._after_cr = False
                return [*lines]
        return self._receive(data, charset)

    def unfinished(self, charset: str) -> str:
        """The line so far."""
        return self._decode(bytes(self._partial or b""), charset)

    def erase_character(self) -> None:
        """EC, BS, DEL: take back the last character of the line, whole (RFC 854)."""
        if self._partial:
            del self._partial[_last_character(self._partial) :]

    def erase_line(self) -> None:
        """EL: take back the line so far (RFC 854)."""
        self._partial = None
        self._too_long = False

    def _receive(self, data: bytes, charset: str) -> list[Event]:
        if not data:
            return []
        if self._after_cr:
            data = data.removeprefix(b"\n")
        self._after_cr = data.endswith(b"\r")
        *pieces, rest = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        lines: list[Event] = []
        for piece in pieces:
            self._append(piece)
            if self._cuts:
                self._cut(lines, charset)
            lines.append(self._end(charset))
        self._append(rest)
        if self._cuts:
            self._cut(lines, charset)
        return lines

    def _cut(self, lines: list[Event], charset: str) -> None:
        """Give what is longer than a line may be as lines of their own."""
        line = self._partial
        if line is None or len(line) <= self._chars_max:
            return
        start = 0
        while len(line) - start > self._chars_max:
            end = whole_characters(line, start + self._chars_max)
            lines.append(self._decode(bytes(line[start:end]), charset))
            start = end
        del line[:start]

    def _end(self, charset: str) -> Event:
        line, too_long = self._partial or b"", self._too_long
        self.erase_line()
        if not too_long:
            text = self._decode(bytes(line), charset)
            if len(text) <= self._chars_max:
                return text
        return LineTooLong()

    def _append(self, piece: bytes) -> None:
        run, *after_erasures = piece.translate(None, _DROPPED).replace(_DEL, _BS).split(_BS)
        self._extend(run)
        for run in after_erasures:
            self.erase_character()
            self._extend(run)

    def _extend(self, run: bytes) -> None:
        if not run or self._too_long:
            return
        if self._partial is None:
            self._partial = bytearray()
        self._partial += run
        if len(self._partial) > self._chars_max * _UTF_8_BYTES_MAX and not self._cuts:
            self._partial = None
            self._too_long = True

    def _decode(self, line: bytes, charset: str) -> str:
        if charset == LATIN_1:
            return line.decode("latin-1")
        try:
            return line.decode("utf-8")
        except UnicodeDecodeError:
            self.undecodable += 1
            return line.decode("utf-8", "replace") if charset == UTF_8 else line.decode("latin-1")


def _last_character(line: bytearray) -> int:
    """Where the last character begins: one code point of UTF-8, else one byte."""
    start = len(line) - 1
    while start > len(line) - _UTF_8_BYTES_MAX and start > 0 and line[start] & 0xC0 == 0x80:
        start -= 1
    try:
        line[start:].decode("utf-8")
    except UnicodeDecodeError:
        return len(line) - 1
    return start
