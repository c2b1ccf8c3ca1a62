"""Splits a specification into commands and a command into words.

A command is one line of words up to an unquoted newline; a backslash before the newline joins
lines. The first character of a word decides its kind:

- `"` extends to the next `"` on the same line and supports escapes;
- `{` extends to the matching `}` and is raw: braces are counted, nothing else;
- any other word extends to the next white space.

A line whose first character is `#` is a comment. `cut` splits a whole specification. A syntax
error is a failure of its own command: the commands before it run.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from holdfast.vtc.language.errors import Failure
from holdfast.vtc.language.source import PlacedCommand, Specification, Token, TokenBuilder

WORDS_MAX = 200
BAD_ESCAPE = "this is no escape: the string ends before it, and another word begins behind it"

_BLANK = re.compile(r"(?:[ \t\n\v\f\r]+|#[^\n]*(?:\n|\Z))*")
_GAP = re.compile(r"(?:[ \t\v\f\r]|\\\n)*")
_BARE = re.compile(r"[^ \t\n\v\f\r]+")
_PLAIN = re.compile(r'[^"\\\n]*')
_ESCAPE = re.compile(r'\\(?:([nrt"\\])|([0-7]{1,3})|x([0-9a-fA-F]{2}))')
_BRACE = re.compile(r"[{}]")

_ESCAPED = {"n": "\n", "r": "\r", "t": "\t", '"': '"', "\\": "\\"}


def find_command(spec: str, start: int) -> int:
    """Return the start of the next command at or after `start`, or -1 if there is none."""
    match = _BLANK.match(spec, start)
    found = match.end() if match else start
    return found if found < len(spec) else -1


def command_line(spec: str, start: int) -> str:
    """Return the first line of the command at `start`, for the log."""
    end = spec.find("\n", start)
    return spec[start:] if end < 0 else spec[start:end]


def cut(spec: Token) -> Specification:
    """The commands of `spec`. The token keeps them: it is cut once."""
    if spec.specification is None:
        spec.specification = Specification(list(_commands(spec)))
    return spec.specification


def _commands(spec: Token) -> Iterator[PlacedCommand]:
    place = find_command(spec, 0)
    while place >= 0:
        position, line = spec.position(place), command_line(spec, place)
        try:
            command = tokenise(spec, place)
        except Failure as failure:
            yield PlacedCommand(position, line, [], [], failure)
            return
        cut_at = [spec.position(at) for at in command.cut_at]
        yield PlacedCommand(position, line, command.words, cut_at, None)
        place = find_command(spec, command.end)


class CutCommand(NamedTuple):
    """A command that was cut into words."""

    words: list[Token]
    end: int
    """Where to look for the next command."""
    cut_at: list[int]
    """The positions at which an invalid escape cut a string short."""


def tokenise(spec: Token, start: int) -> CutCommand:
    """The command at `start`.

    Raises `Failure` for an unterminated string, an unbalanced brace and too many words.
    """
    words: list[Token] = []
    cut_at: list[int] = []
    place = start
    while True:
        gap = _GAP.match(spec, place)
        place = gap.end() if gap else place
        if place >= len(spec) or spec[place] == "\n":
            return CutCommand(words, place, cut_at)
        if len(words) == WORDS_MAX - 1:
            raise Failure(f"more than {WORDS_MAX - 1} words in a command", spec.position(place))
        if spec[place] == '"':
            word, place = _quoted(spec, start, place, cut_at)
        elif spec[place] == "{":
            word, place = _braced(spec, place)
        else:
            word, place = _bare(spec, place)
        words.append(word)


def _bare(spec: Token, start: int) -> tuple[Token, int]:
    match = _BARE.match(spec, start)
    end = match.end() if match else start
    return _cut(spec, start, end), end


def _braced(spec: Token, start: int) -> tuple[Token, int]:
    depth = 0
    for match in _BRACE.finditer(spec, start):
        depth += 1 if match[0] == "{" else -1
        if depth == 0:
            return _cut(spec, start + 1, match.start()), match.end()
    raise Failure("unbalanced '{': it is never closed", spec.position(start))


def _quoted(spec: Token, line: int, start: int, cut_at: list[int]) -> tuple[Token, int]:
    builder = TokenBuilder(spec.source)
    place = start + 1
    while True:
        plain = _PLAIN.match(spec, place)
        end = plain.end() if plain else place
        builder.copy(spec, place, end)
        place = end
        if place < len(spec) and spec[place] == '"':
            return _as_c_string(builder.build(spec.offset(start + 1))), place + 1
        escape = _ESCAPE.match(spec, place)
        if escape:
            builder.replaced(_unescape(escape), spec.offset(place))
            place = escape.end()
        elif place < len(spec) and spec[place] == "\\":
            # VTest2 ends the string before an escape that it does not know and
            # goes on behind the backslash; one of its own tests depends on that.
            cut_at.append(place)
            return _as_c_string(builder.build(spec.offset(start + 1))), place + 1
        else:
            text = f"Unterminated quoted string in line: {spec[line:place]}"
            raise Failure(text, spec.position(start))


def _unescape(match: re.Match[str]) -> str:
    simple, octal, hexadecimal = match.groups()
    if simple:
        return _ESCAPED[simple]
    return chr(int(octal, 8) & 0xFF if octal else int(hexadecimal, 16))


def _cut(spec: Token, start: int, end: int) -> Token:
    builder = TokenBuilder(spec.source)
    builder.copy(spec, start, end)
    return builder.build(spec.offset(start))


def _as_c_string(token: Token) -> Token:
    """A word ends at its first NUL: to the reference it is a C string."""
    nul = token.find("\0")
    return token if nul < 0 else _cut(token, 0, nul)
