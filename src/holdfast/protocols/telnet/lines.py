"""Received lines: the keyboard of the Network Virtual Terminal (RFC 854).

Receiving is lenient, because clients differ: CR LF; CR NUL (inetutils in character mode); a
bare LF (tf and inetutils in BINARY); a bare CR. Each ends one line, also in BINARY, where the
RFC gives none of them a meaning. (A NUL is dropped everywhere, also after a CR.) BS and DEL
always edit: a client whose terminal edits never sends them, and a client on a raw terminal may
not have reported it.

Whole lines are decoded, so a code point is never split. While the character set is unknown,
each line is evidence: valid UTF-8 beyond ASCII is hardly ever anything else. The path of one
chunk with some plain lines is optimised.
"""

from __future__ import annotations

import codecs
from typing import Final

from holdfast.core.limits import TelnetLimits
from holdfast.core.text import TYPED_CONTROLS
from holdfast.protocols.framing import whole_characters
from holdfast.protocols.telnet.charsets import AUTOMATIC, UTF_8, Charsets
from holdfast.protocols.telnet.events import CharsetHeard, Event, LineTooLong
from holdfast.protocols.telnet.snapshot import LinesSnapshot

_BS: Final = b"\x08"
_DEL: Final = b"\x7f"
_KEPT_CONTROLS: Final = b"\x08" + TYPED_CONTROLS.encode()  # BS edits
_DROPPED: Final = bytes(set(range(32)) - set(_KEPT_CONTROLS + b"\n"))

_CHARACTER_BYTES_MAX: Final = 4  # in UTF-8 and GB 18030
_TAIL_BYTES_MAX: Final = 64
"""The end of a line in which the last character is searched. In a character set with several
bytes for a character, its start is found only by scanning from the left."""
_NEVER_WITHIN: Final = frozenset(range(0x30))
"""Bytes that are a whole character in every character set."""


class Lines:
    """Makes lines of received data."""

    __slots__ = (
        "_after_cr",
        "_chars_max",
        "_cuts",
        "_legacy",
        "_partial",
        "_too_long",
        "heard",
        "undecodable",
    )

    def __init__(
        self, limits: TelnetLimits, charsets: Charsets = AUTOMATIC, *, cuts: bool = False
    ) -> None:
        self.undecodable = 0
        """Lines that were not in the character set they should have been in."""
        self.heard = charsets.fallback
        """The character set of the last line beyond ASCII, while the peer's is unknown."""
        self._legacy = charsets.legacy
        self._chars_max = limits.line_chars_max
        self._cuts = cuts
        """Whether a line that is too long is split into several lines."""
        self._partial: bytearray | None = None
        self._too_long = False  # the line is being discarded
        self._after_cr = False  # a LF now belongs to the CR before it

    def receive(self, data: bytes, charset: str) -> list[Event]:
        """The lines that `data` completes, in the peer's character set; empty: it is unknown."""
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

    @property
    def pending(self) -> int:
        """The bytes of an incomplete line."""
        return len(self._partial) if self._partial is not None else 0

    def unfinished(self, charset: str) -> str:
        """The incomplete line, without an incomplete code point at its end."""
        line = bytes(self._partial or b"")
        if charset in ("", UTF_8):
            try:
                return codecs.utf_8_decode(line, "strict", False)[0]
            except UnicodeDecodeError:
                pass
        return line.decode(charset or self._legacy, "replace")

    def erase_character(self, charset: str) -> None:
        """EC, BS, DEL: take back the last character of the line, whole (RFC 854)."""
        if self._partial:
            del self._partial[self._last_character(self._partial, charset) :]

    def erase_line(self) -> None:
        """EL: take back the line so far (RFC 854)."""
        self._partial = None
        self._too_long = False

    def snapshot(self) -> LinesSnapshot:
        """The line so far."""
        partial = None if self._partial is None else bytes(self._partial)
        return LinesSnapshot(partial, self._too_long, self._after_cr, self.heard, self.undecodable)

    def restore(self, taken: LinesSnapshot) -> None:
        """Go on where `taken` was made."""
        self._partial = None if taken.partial is None else bytearray(taken.partial)
        self._too_long, self._after_cr = taken.too_long, taken.after_cr
        self.heard, self.undecodable = taken.heard, taken.undecodable

    def _receive(self, data: bytes, charset: str) -> list[Event]:
        if not data:
            return []
        if self._after_cr:
            data = data.removeprefix(b"\n")
        self._after_cr = data.endswith(b"\r")
        data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n").translate(None, _DROPPED)
        edited = _BS in data or _DEL in data
        *pieces, rest = data.split(b"\n")
        lines: list[Event] = []
        for piece in pieces:
            heard = self.heard
            whole = self._partial is None and not self._too_long
            if whole and not edited and len(piece) <= self._chars_max:
                lines.append(self._decode(piece, charset))
            else:
                self._append(piece, charset)
                if self._cuts:
                    self._cut(lines, charset)
                lines.append(self._end(charset))
            if self.heard != heard:
                lines.append(CharsetHeard(self.heard))
        self._append(rest, charset)
        if self._cuts:
            self._cut(lines, charset)
        return lines

    def _cut(self, lines: list[Event], charset: str) -> None:
        """Return the part beyond the longest line as further lines."""
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

    def _append(self, piece: bytes, charset: str) -> None:
        run, *after_erasures = piece.replace(_DEL, _BS).split(_BS)
        self._extend(run)
        for run in after_erasures:
            self.erase_character(charset)
            self._extend(run)

    def _extend(self, run: bytes) -> None:
        if not run or self._too_long:
            return
        if self._partial is None:
            self._partial = bytearray()
        self._partial += run
        if len(self._partial) > self._chars_max * _CHARACTER_BYTES_MAX and not self._cuts:
            self._partial = None
            self._too_long = True

    def _decode(self, line: bytes, charset: str) -> str:
        if charset:
            try:
                return line.decode(charset)
            except UnicodeDecodeError:
                self.undecodable += 1
                return line.decode(charset, "replace")
        try:
            text = line.decode(UTF_8)
        except UnicodeDecodeError:
            self.undecodable += 1
            self.heard = self._legacy
            return line.decode(self._legacy, "replace")
        if not text.isascii():
            self.heard = UTF_8
        return text

    def _last_character(self, line: bytearray, charset: str) -> int:
        """Where the last character begins."""
        start = _last_code_point(line) if charset in ("", UTF_8) else None
        if start is not None:
            return start
        charset = charset or self._legacy
        return len(line) - 1 if charset == UTF_8 else _last_of_legacy(line, charset)


def _last_code_point(line: bytearray) -> int | None:
    """Where the last character begins, if it is one of UTF-8."""
    start = len(line) - 1
    while start > len(line) - _CHARACTER_BYTES_MAX and start > 0 and line[start] & 0xC0 == 0x80:
        start -= 1
    try:
        line[start:].decode(UTF_8)
    except UnicodeDecodeError:
        return None
    return start


def _last_of_legacy(line: bytearray, charset: str) -> int:
    """Where the last character begins in a character set of one or more bytes each."""
    start = len(line) - 1
    first = max(0, len(line) - _TAIL_BYTES_MAX)
    while start > first and line[start - 1] not in _NEVER_WITHIN:
        start -= 1
    before = line[start:].decode(charset, "replace")[:-1]
    # What is not in the character set may be longer as it is encoded than as it came.
    return min(start + len(before.encode(charset, "replace")), len(line) - 1)
