"""Validation of the values of applications, before they get a number. Hot path.

The SDK validates at the call, and the gateway validates again, for applications in any
language. A wrong type raises `TypeError`, a value that cannot be sent `UnsendableError`; both
name the value found and the value expected. Every adapter, the link and the store can encode a
valid value.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from holdfast.core.errors import HoldfastError
from holdfast.core.items import (
    LATEST,
    MUST,
    OVERHEAD_BYTES,
    VOLATILE,
    Binary,
    Data,
    Formatted,
    Notice,
    Output,
    Prompt,
    Span,
    Text,
    size_of,
)
from holdfast.core.text import is_package

_INT_MAX: Final = (1 << 53) - 1
"""The largest number that every language and format holds exactly."""
_INT64_MIN: Final = -(1 << 63)
_UINT64_MAX: Final = (1 << 64) - 1
_MANY_DIGITS: Final = re.compile(rb"[0-9]{19}")
"""Only a number of so many digits can be beyond 64 bits."""
_SHOWN_CHARS_MAX: Final = 60
_SHOWN_BITS_MAX: Final = 128


class UnsendableError(HoldfastError, ValueError):
    """A value that cannot be sent. The message names the value found and the value expected."""


def check_output(item: Output, bytes_max: int) -> int:
    """The size of an output, in bytes. Raises `TypeError`, `UnsendableError`."""
    if type(item) is Text:
        text = item.text
        if type(text) is str and text.isascii() and len(text) <= bytes_max:
            return len(text) + OVERHEAD_BYTES
    return _check(item, bytes_max)


def check_delivery(delivery: str, key_bytes_max: int) -> None:
    """Raise `TypeError` or `UnsendableError` for an invalid delivery class."""
    if delivery in (MUST, VOLATILE):
        return
    _check_type("delivery", delivery, str)
    if not delivery.startswith(LATEST):
        raise UnsendableError(
            f"delivery: expected must, volatile or latest:KEY; found {_short(delivery)}"
        )
    check_text("the key of latest", delivery.removeprefix(LATEST), key_bytes_max)


def check_text(name: str, value: str, bytes_max: int) -> int:
    """The size in bytes of a text called `name`. Raises `TypeError`, `UnsendableError`."""
    _check_type(name, value, str)
    try:
        size = len(value.encode())
    except UnicodeEncodeError as error:
        raise UnsendableError(
            f"{name}: expected Unicode text; found the lone surrogate"
            f" {value[error.start]!r} at character {error.start}"
        ) from None
    _check_size(name, size, bytes_max)
    return size


def check_data(name: str, data: bytes, bytes_max: int) -> int:
    """The size of bytes called `name`. Raises `TypeError`, `UnsendableError`."""
    _check_type(name, data, bytes)
    _check_size(name, len(data), bytes_max)
    return len(data)


def check_choice(name: str, value: str, choices: Sequence[str]) -> None:
    """Raise `TypeError` or `UnsendableError` for a value that is not in `choices`."""
    _check_type(name, value, str)
    if value not in choices:
        raise UnsendableError(
            f"{name}: expected one of {', '.join(choices)}; found {_short(value)}"
        )


def to_json(name: str, value: Any) -> str:
    """`value` as JSON. Raises `TypeError`, `UnsendableError` for what JSON cannot hold."""
    try:
        encoded = msgspec.json.encode(value)
        if b"null" in encoded or _MANY_DIGITS.search(encoded):  # NaN is written as null
            _check_numbers(name, msgspec.to_builtins(value))
    except RecursionError:
        raise UnsendableError(f"{name}: expected JSON; found values nested too deeply") from None
    except UnicodeEncodeError as error:
        raise UnsendableError(f"{name}: expected Unicode text; found {error.reason}") from None
    return encoded.decode()


def _check(item: Output, bytes_max: int) -> int:
    match item:
        case Text(text) | Prompt(text) | Notice(text):
            return check_text(type(item).__name__.lower(), text, bytes_max) + OVERHEAD_BYTES
        case Binary(data):
            return check_data("binary", data, bytes_max) + OVERHEAD_BYTES
        case Formatted(text, spans):
            check_text("formatted", text, bytes_max)
            for span in spans:
                _check_span(span, bytes_max)
        case Data(package, json):
            _check_package(package)
            check_text("data", json, bytes_max)
            _check_json(json)
        case _:
            raise TypeError(f"expected an output; found {type(item).__name__}")
    size = size_of(item)
    _check_size(type(item).__name__.lower(), size, bytes_max)
    return size


def _check_span(span: Span, bytes_max: int) -> None:
    _check_type("a span", span, Span)
    for name, value in (("start", span.start), ("length", span.length)):
        _check_type(f"a span's {name}", value, int)
        if not 0 <= value <= _INT_MAX:
            raise UnsendableError(f"a span's {name}: expected 0 or more; found {_short(value)}")
    check_text("a span's style", span.style, bytes_max)


def _check_package(package: str) -> None:
    _check_type("a package", package, str)
    if not is_package(package):
        raise UnsendableError(
            f"a package: expected letters, digits, '_', '.' and '-'; found {_short(package)}"
        )


def _check_json(json: str) -> None:
    """JSON that every format can hold."""
    encoded = json.encode()
    try:
        if _MANY_DIGITS.search(encoded) is None:
            msgspec.json.decode(encoded, type=msgspec.Raw)
        else:
            _check_numbers("data", msgspec.json.decode(encoded))
    except (msgspec.MsgspecError, RecursionError) as error:
        raise UnsendableError(f"data: expected JSON text; found {_short(json)}: {error}") from None


def _check_numbers(name: str, value: Any) -> None:
    """Raises `UnsendableError` if a number anywhere in a plain value cannot be sent."""
    match value:
        case float() if not math.isfinite(value):
            raise UnsendableError(f"{name}: expected finite numbers; found {value}")
        case int() if not _INT64_MIN <= value <= _UINT64_MAX:
            raise UnsendableError(f"{name}: expected integers of 64 bits; found {_short(value)}")
        case list() | tuple():
            for inner in value:
                _check_numbers(name, inner)
        case Mapping():
            for key, inner in value.items():
                _check_numbers(name, key)
                _check_numbers(name, inner)
        case _:
            pass


def _check_type(name: str, value: object, kind: type) -> None:
    if type(value) is not kind:
        raise TypeError(f"{name}: expected {kind.__name__}; found {type(value).__name__}")


def _check_size(name: str, size: int, bytes_max: int) -> None:
    if size > bytes_max:
        raise UnsendableError(f"{name}: expected at most {bytes_max} bytes; found {size}")


def _short(value: str | int) -> str:
    if isinstance(value, int):
        return str(value) if value.bit_length() <= _SHOWN_BITS_MAX else "a larger number"
    return ascii(value if len(value) <= _SHOWN_CHARS_MAX else f"{value[:_SHOWN_CHARS_MAX]}...")
