"""Source text and tokens.

The words of a command are cut out of a file, escapes and macros are replaced, and a word may be
a specification with commands of its own. A `Token` is such a word: a string with the source
position of each of its characters. An error that is found three levels deep can therefore be
shown where it is written.

All text is Latin-1, one character for each byte: a script may contain any bytes, and they are
sent unchanged.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import NamedTuple

from holdfast.vtc.language.errors import Failure
from holdfast.vtc.language.position import Position

ENCODING = "latin-1"


class Source:
    """A file's name and text."""

    __slots__ = ("_starts", "name", "text")

    def __init__(self, name: str, text: str) -> None:
        self.name = name
        self.text = text
        self._starts: list[int] | None = None

    def position(self, offset: int) -> Position:
        """The place of the character at `offset`."""
        if self._starts is None:
            self._starts = [0]
            self._starts += [i + 1 for i, char in enumerate(self.text) if char == "\n"]
        row = bisect_right(self._starts, offset) - 1
        start = self._starts[row]
        end = self.text.find("\n", start)
        line = self.text[start:] if end < 0 else self.text[start:end]
        return Position(self.name, row + 1, offset - start + 1, line)

    def whole(self) -> Token:
        """The whole text as a token."""
        return Token(self.text, self, (TextRun(0, 0, True),))


class TextRun(NamedTuple):
    """A run of a token's characters and its source position."""

    start: int
    """Its first character, counted in the token."""
    offset: int
    """Where that is in the source."""
    literal: bool
    """Whether the run is literal source text; else all of it came from one position."""


class Token(str):
    """A word of a command: a string with the source position of each of its characters."""

    __slots__ = ("pieces", "source", "specification")

    source: Source
    pieces: tuple[TextRun, ...]
    specification: Specification | None
    """Its commands, once it was cut into them (`lexer.cut`)."""

    def __new__(cls, text: str, source: Source, pieces: tuple[TextRun, ...]) -> Token:
        self = super().__new__(cls, text)
        self.source = source
        self.pieces = pieces
        self.specification = None
        return self

    def __reduce__(self) -> tuple[type[str], tuple[str]]:
        """Another process gets the text alone."""
        return str, (str(self),)

    def offset(self, index: int = 0) -> int:
        """The place in the source of the character at `index`."""
        found = self.pieces[0]
        for piece in self.pieces:
            if piece.start > index:
                break
            found = piece
        return found.offset + (index - found.start if found.literal else 0)

    def position(self, index: int = 0) -> Position:
        """The position of the character at `index`."""
        return self.source.position(self.offset(index))


class Specification(NamedTuple):
    """The commands of a specification, in order."""

    commands: list[PlacedCommand]


class PlacedCommand(NamedTuple):
    """A command of a specification and where it stands."""

    position: Position
    line: str
    """The first line of the command, for the log."""
    words: list[Token]
    cut_at: list[Position]
    """The positions at which an invalid escape cut a string short."""
    failure: Failure | None
    """Why it cannot be cut into words. Nothing follows it then."""


class TokenBuilder:
    """Puts a token together from literal runs and replaced ones."""

    __slots__ = ("_length", "_parts", "_pieces", "_source")

    def __init__(self, source: Source) -> None:
        self._source = source
        self._parts: list[str] = []
        self._pieces: list[TextRun] = []
        self._length = 0

    def literal(self, text: str, offset: int) -> None:
        """Append text as it stands at `offset` of the source."""
        self._add(text, offset, True)

    def copy(self, token: Token, start: int, end: int) -> None:
        """Append a part of another token of the same source."""
        for number, piece in enumerate(token.pieces):
            following = token.pieces[number + 1 :][:1]
            first = max(start, piece.start)
            last = min(end, following[0].start if following else end)
            if first < last:
                offset = piece.offset + (first - piece.start if piece.literal else 0)
                self._add(token[first:last], offset, piece.literal)

    def replaced(self, text: str, offset: int) -> None:
        """Append text that stands for something else at `offset` of the source."""
        self._add(text, offset, False)

    def _add(self, text: str, offset: int, literal: bool) -> None:
        self._pieces.append(TextRun(self._length, offset, literal))
        self._parts.append(text)
        self._length += len(text)

    def build(self, offset: int) -> Token:
        """The token. An empty one stands at `offset`."""
        pieces = tuple(self._pieces) or (TextRun(0, offset, True),)
        return Token("".join(self._parts), self._source, pieces)
