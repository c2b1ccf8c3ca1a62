"""Macros: `${NAME}` and `${NAME ARGUMENTS}`.

Macros are filled in word by word, after a command was cut into words, so a
value is never cut again. An inside is a name and arguments, parted by blanks or
commas; quotes hold an argument together.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Mapping

from holdfast.vtc.language.errors import Failure
from holdfast.vtc.language.numbers import integer
from holdfast.vtc.language.source import ENCODING, Token, TokenBuilder

Function = Callable[[list[str]], str]
"""A macro with arguments. Raises `MacroError`."""

_REFERENCE = re.compile(r"\$\{([^}]*)\}")
_ARGUMENT = re.compile(r'\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))\s*,?')

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = (
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
)  # fmt: skip


class MacroError(Exception):
    """A macro function was used wrongly. The text says how."""


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
        """Whether an unknown reference stays as it is (`feature ignore_unknown_macro`)."""

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
        """`text` with its macros filled in. Raises `Failure`."""
        return _REFERENCE.sub(lambda match: self._value(match[0], match[1]), text)

    def expand(self, token: Token) -> Token:
        """`token` with its macros filled in. Raises `Failure` with the place."""
        if "${" not in token:
            return token
        builder = TokenBuilder(token.source)
        place = 0
        for match in _REFERENCE.finditer(token):
            builder.copy(token, place, match.start())
            try:
                value = self._value(match[0], match[1])
            except Failure as failure:
                failure.position = token.position(match.start())
                raise
            builder.replaced(value, token.offset(match.start()))
            place = match.end()
        builder.copy(token, place, len(token))
        return builder.build(token.offset())

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
    """A time as HTTP writes it (RFC 9110 section 5.6.7), whatever the locale is."""
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
