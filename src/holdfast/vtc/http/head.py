"""Message heads: finding their end, taking them apart, looking a field up. No I/O."""

from __future__ import annotations

import re

from holdfast.vtc.language.source import ENCODING

FIELDS_MAX = 64
"""Entries of a head, the three of its first line included."""

_END = re.compile(rb"\n\r?\n")
_WORD = re.compile(r"[^ \t\r\n]*")
_REST = re.compile(r"[^\r\n]*(?:\r(?!\n)[^\r\n]*)*")
_BREAK = re.compile(r"\r?\n")

Head = list[str | None]
"""The three words of the first line, of which the last may be missing, then the fields."""


class HttpHeadError(ValueError):
    """A malformed head. The message says why."""


def find_end(data: bytes | bytearray) -> int:
    """Return the end of the head at the start of `data`, after its empty line; -1 if it is
    incomplete."""
    found = _END.search(data)
    return found.end() if found else -1


def split_head(data: bytes | bytearray) -> Head:
    """A head, ended or not, taken apart. An empty one has no entries. Raises `HttpHeadError`."""
    text = data.decode(ENCODING).partition("\0")[0]
    if not text:
        return []
    place = len(text) - len(text.lstrip(" \t\r\n"))
    first, place = _word(text, place)
    second, place = _word(text, _skip_blanks(text, place))
    if not second:
        raise HttpHeadError(f"the first line has less than two words: {first!r}")
    third: str | None = None
    if not _BREAK.match(text, place):
        third, place = _line(text, _skip_blanks(text, place))
    entries: Head = [first, second, third]
    place = _skip_break(text, place)
    while place < len(text) and not _BREAK.match(text, place):
        if len(entries) == FIELDS_MAX:
            raise HttpHeadError(f"more than {FIELDS_MAX} lines in a head")
        field, place = _line(text, place)
        entries.append(field)
        place = _skip_break(text, place)
    return entries


def _word(text: str, place: int) -> tuple[str, int]:
    match = _WORD.match(text, place)
    return (match[0], match.end()) if match else ("", place)


def _line(text: str, place: int) -> tuple[str, int]:
    match = _REST.match(text, place)
    return (match[0], match.end()) if match else ("", place)


def _skip_blanks(text: str, place: int) -> int:
    while place < len(text) and text[place] in " \t":
        place += 1
    return place


def _skip_break(text: str, place: int) -> int:
    match = _BREAK.match(text, place)
    return match.end() if match else place


def find_field(head: Head, name: str) -> str | None:
    """The value of the first field of that name; case does not matter."""
    return next(iter(_values(head, name)), None)


def count_fields(head: Head, name: str) -> int:
    """How many fields have that name."""
    return len(_values(head, name))


def _values(head: Head, name: str) -> list[str]:
    prefix = name.lower() + ":"
    return [
        field[len(prefix) :].lstrip(" \t")
        for field in head[3:]
        if field is not None and field.lower().startswith(prefix)
    ]
