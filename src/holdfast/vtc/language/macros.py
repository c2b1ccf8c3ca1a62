"""Macros: `${NAME}` and `${NAME ARGUMENTS}`.

Macros are expanded word by word, after a command is split into words, so a value is never split
or expanded again. The text between the braces is a name and its arguments, separated by blanks
or commas; quotes hold an argument together.

A reference may contain others: `${${which}_sock}`. The inner ones are expanded first. VTest2
has no nested references: a reference ends at the first `}`. The same applies here with `feature
ignore_unknown_macro` and for a reference that is not closed, because both are text for a
program with macros of its own.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Mapping

from holdfast.vtc.language.errors import Failure
from holdfast.vtc.language.numbers import integer
from holdfast.vtc.language.source import ENCODING, Source, Token, TokenBuilder

Function = Callable[[list[str]], str]
"""A macro with arguments. Raises `MacroError`."""

NESTING_MAX = 8
"""References within each other."""

_MARK = re.compile(r"\$\{|\}")
_ARGUMENT = re.compile(r'\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))\s*,?')

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = (
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
)  # fmt: skip


class MacroError(Exception):
    """A macro function was used wrongly. The message says how."""


def parse_definition(text: str) -> tuple[str, str]:
    """Name and value of `NAME=VALUE`, as a command line gives it. Raises `MacroError`."""
    name, mark, value = text.partition("=")
    if not name or not mark:
        raise MacroError(f"{text!r} is not NAME=VALUE")
    return name, os.fsencode(value).decode(ENCODING)


class Macros:
    """The macros of one test."""

    def __init__(self, values: Mapping[str, str] = {}) -> None:
        self._values = dict(values)
        self._functions: dict[str, Function] = {"date": _date, "string": _string}
        self.ignore_unknown = False
        """Whether an unknown reference is kept as text (`feature ignore_unknown_macro`)."""

    def define(self, name: str, value: str) -> None:
        """Set a macro; it may exist."""
        self._values[name] = value

    def undefine(self, name: str) -> bool:
        """Remove a macro. Says whether it existed."""
        return self._values.pop(name, None) is not None

    def names(self) -> list[str]:
        """All names, the oldest first."""
        return [*self._values, *self._functions]

    def get(self, name: str) -> str | None:
        """The value of a plain macro."""
        return self._values.get(name)

    def expand_text(self, text: str) -> str:
        """Return `text` with its macros expanded. Raises `Failure`."""
        try:
            return str(self.expand(Source("", text).whole()))
        except Failure as failure:
            failure.position = None  # the text has none; its command has
            raise

    def expand(self, token: Token) -> Token:
        """Return `token` with its macros expanded. Raises `Failure` with the position."""
        start = token.find("${")
        if start < 0:
            return token
        builder = TokenBuilder(token.source)
        place = 0
        while start >= 0 and (end := self._end(token, start)) >= 0:
            builder.copy(token, place, start)
            builder.replaced(self._reference(token, start, end), token.offset(start))
            place, start = end, token.find("${", end)
        builder.copy(token, place, len(token))
        return builder.build(token.offset())

    def _end(self, token: Token, start: int) -> int:
        """Where the reference at `start` ends, or -1 if it does not."""
        end = -1 if self.ignore_unknown else balanced_end(token, start)
        return end if end >= 0 else token.find("}", start) + 1 or -1

    def _reference(self, token: Token, start: int, end: int, depth: int = 1) -> str:
        """The value of the reference from `start` to before `end`."""
        try:
            if depth > NESTING_MAX:
                raise Failure(f"more than {NESTING_MAX} macros within each other")
            inside, place = [], start + 2
            nested = token.find("${", place, end)
            while nested >= 0 and not self.ignore_unknown:
                inner_end = balanced_end(token, nested)
                if not 0 <= inner_end < end:
                    break
                inside.append(token[place:nested])
                inside.append(self._reference(token, nested, inner_end, depth + 1))
                place = inner_end
                nested = token.find("${", place, end)
            inside.append(token[place : end - 1])
            return self._value(token[start:end], "".join(inside))
        except Failure as failure:
            failure.position = failure.position or token.position(start)
            raise

    def _value(self, reference: str, inside: str) -> str:
        try:
            words = split_arguments(inside)
            if words[0] in self._functions:
                return self._functions[words[0]](words[1:])
            value = self._values.get(words[0])
            if value is None:
                return self._unknown(reference)
            if len(words) > 1:
                raise MacroError("macro does not take arguments")
        except MacroError as error:
            raise Failure(f"Macro {reference} failed: {error}") from None
        return value

    def _unknown(self, reference: str) -> str:
        if not self.ignore_unknown:
            raise Failure(f"Macro {reference} not found")
        return reference


def balanced_end(text: str, start: int) -> int:
    """Where the reference at `start` ends with all those in it, or -1 if one is not closed."""
    depth = 0
    for mark in _MARK.finditer(text, start):
        depth += 1 if mark[0] == "${" else -1
        if depth == 0:
            return mark.end()
    return -1


def split_arguments(inside: str) -> list[str]:
    """The name and the arguments of a reference. Raises `MacroError`."""
    words: list[str] = []
    place = 0
    while inside[place:].strip():
        match = _ARGUMENT.match(inside, place)
        if not match:
            raise MacroError(_why_malformed(inside[place:].lstrip()))
        words.append(match[2] if match[1] is None else match[1])
        place = match.end()
    if not words:
        raise MacroError("it has no name")
    return words


def _why_malformed(rest: str) -> str:
    if rest.startswith('"'):
        return "Missing '\"'"
    return "Missing argument before ','" if rest.startswith(",") else "Invalid '\"'"


def http_date(seconds: float) -> str:
    """Return a time in HTTP's format (RFC 9110 section 5.6.7), for any locale."""
    now = time.gmtime(seconds)
    day, month = _DAYS[now.tm_wday], _MONTHS[now.tm_mon - 1]
    return f"{day}, {now.tm_mday:02} {month} {now.tm_year:04} {time.strftime('%H:%M:%S', now)} GMT"


def _date(arguments: list[str]) -> str:
    if arguments:
        raise MacroError("macro does not take arguments")
    return http_date(time.time())


def _string(arguments: list[str]) -> str:
    if not arguments:
        raise MacroError("missing action")
    if arguments[0] != "repeat":
        raise MacroError("unknown action")
    if len(arguments) != 3:
        raise MacroError("repeat takes 2 arguments")
    if not re.fullmatch(r"[0-9]{1,15}", arguments[1]):
        raise MacroError("invalid number of repetitions")
    return arguments[2] * integer(arguments[1])
