"""Numbers and error codes that a stream's commands are given."""

from __future__ import annotations

from holdfast.vtc.h2.frames import ERRORS
from holdfast.vtc.language.command import ParsedOption
from holdfast.vtc.language.errors import Failure
from holdfast.vtc.language.numbers import whole


def number(given: ParsedOption, bits: int = 32) -> int:
    """Parse an option's value as an unsigned number. Raises `Failure` if it is malformed or too
    big."""
    word = given.values[0]
    value = whole(word)
    if value is None:
        text = f"{given.flag} takes an integer as argument (found {word})"
        raise Failure(text, word.position())
    if value >> bits:
        text = f"{given.flag} must be a {bits}-bits integer (found {word})"
        raise Failure(text, word.position())
    return value


def error_code(given: ParsedOption) -> int:
    """An option's value as an error code, by number or name. Raises `Failure`."""
    word = given.values[0]
    return ERRORS.index(word) if word in ERRORS else number(given)
