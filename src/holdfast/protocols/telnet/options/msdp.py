"""MSDP, the MUD Server Data Protocol: variables with values, tables and arrays.

    message = *( VAR name *( VAL value ) )
    value   = text
            | TABLE_OPEN *( VAR name VAL value ) TABLE_CLOSE
            | ARRAY_OPEN *( VAL value ) ARRAY_CLOSE

Outside the engine a value is JSON: a table is an object, an array an array, and all else a
string. https://tintin.mudhalla.net/protocols/msdp/
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

import msgspec
from msgspec import structs

from holdfast.core.items import value_in
from holdfast.protocols.telnet.events import Msdp
from holdfast.protocols.telnet.negotiation import Side
from holdfast.protocols.telnet.options.base import Host, Option

_VAR: Final = 1
_VAL: Final = 2
_TABLE_OPEN: Final = 3
_TABLE_CLOSE: Final = 4
_ARRAY_OPEN: Final = 5
_ARRAY_CLOSE: Final = 6
_VARIABLES_MAX: Final = 256
"""Of one message: each becomes an event."""
_VALUES_MAX: Final = 4096
"""Names and values in one message. Each takes two bytes at least, and much longer than text."""
_VALUES_PER_COMMAND: Final = 16
"""That a client may send at the price of a command of the protocol: they are as much work."""
_MARK: Final = re.compile(rb"[\x00-\x06]")
_NO_TEXT: Final = re.compile("[\x00-\x06]")

Value = str | list["Value"] | dict[str, "Value"]
"""What a variable may be."""


class MsdpSupported(Option):
    """Either side: MSDP flows both ways while the server performs it."""

    __slots__ = ()

    def enabled(self, host: Host, side: Side) -> None:
        host.learn(structs.replace(host.capabilities, msdp=True))

    def disabled(self, host: Host, side: Side) -> None:
        host.learn(structs.replace(host.capabilities, msdp=False))

    def weight(self, payload: bytes) -> int:
        return _values(payload) // _VALUES_PER_COMMAND

    def subnegotiation(self, host: Host, payload: bytes, now: float) -> None:
        try:
            variables = decode(payload, host.limits.msdp_depth_max)
        except MalformedMsdp:
            host.count_malformed()
            return
        for name, value in variables:
            host.emit(Msdp(name, msgspec.json.encode(value).decode()))


class MalformedMsdp(ValueError):
    """A message cannot be understood, or a value cannot be said."""


def decode(payload: bytes, depth_max: int) -> list[tuple[str, Value]]:
    """The variables of a message, in order. Raises `MalformedMsdp`.

    A variable with several values is an array (an older form). What is still open at the end is
    closed there.
    """
    if _values(payload) > _VALUES_MAX:
        raise MalformedMsdp(f"more than {_VALUES_MAX} names and values")
    reader = _Reader(payload, depth_max)
    variables: list[tuple[str, Value]] = []
    while not reader.ended:
        if len(variables) == _VARIABLES_MAX:
            raise MalformedMsdp(f"more than {_VARIABLES_MAX} variables")
        name = reader.name()
        values = reader.values()
        variables.append((name, values[0] if len(values) == 1 else values or ""))
    return variables


def _values(payload: bytes) -> int:
    """How many names and values a payload has."""
    return payload.count(_VAR) + payload.count(_VAL)


class _Reader:
    """Reads one payload. Its depth is bounded, so that it may call itself."""

    def __init__(self, data: bytes, depth_max: int) -> None:
        self._data = data
        self._position = 0
        self._deeper = depth_max

    @property
    def ended(self) -> bool:
        return self._position >= len(self._data)

    @property
    def _next(self) -> int | None:
        return None if self.ended else self._data[self._position]

    def name(self) -> str:
        """VAR and a name."""
        if self._next != _VAR:
            raise MalformedMsdp("expected VAR")
        self._position += 1
        return self._text()

    def values(self) -> list[Value]:
        """As many values as there are."""
        values: list[Value] = []
        while self._next == _VAL:
            self._position += 1
            values.append(self._value())
        return values

    def _text(self) -> str:
        start = self._position
        mark = _MARK.search(self._data, start)
        self._position = mark.start() if mark else len(self._data)
        return self._data[start : self._position].decode("utf-8", "replace")

    def _value(self) -> Value:
        if self._next == _TABLE_OPEN:
            return self._nested(self._table, _TABLE_CLOSE)
        if self._next == _ARRAY_OPEN:
            return self._nested(self.values, _ARRAY_CLOSE)
        return self._text()

    def _nested(self, read: Callable[[], Value], close: int) -> Value:
        if self._deeper == 0:
            raise MalformedMsdp("nested too deep")
        self._deeper -= 1
        self._position += 1
        value = read()
        if not self.ended:
            if self._next != close:
                raise MalformedMsdp("a table or an array is closed by something else")
            self._position += 1
        self._deeper += 1
        return value

    def _table(self) -> Value:
        table: dict[str, Value] = {}
        while self._next == _VAR:
            name = self.name()
            values = self.values()
            table[name] = values[0] if len(values) == 1 else values or ""
        return table


def encode(name: str, json: str, depth_max: int) -> bytes:
    """The payload that says that a variable has this value. Raises `MalformedMsdp`."""
    try:
        value = value_in(json or '""')
    except (ValueError, RecursionError) as error:
        raise MalformedMsdp(str(error)) from error
    return bytes((_VAR,)) + _encode_text(name) + _encode(value, depth_max)


def _encode(value: Any, depth: int) -> bytes:
    """VAL and a value."""
    if isinstance(value, dict | list) and depth == 0:
        raise MalformedMsdp("nested too deep")
    if isinstance(value, dict):
        parts = [
            bytes((_VAR,)) + _encode_text(name) + _encode(inner, depth - 1)
            for name, inner in value.items()
        ]
        said = bytes((_TABLE_OPEN,)) + b"".join(parts) + bytes((_TABLE_CLOSE,))
    elif isinstance(value, list):
        parts = [_encode(inner, depth - 1) for inner in value]
        said = bytes((_ARRAY_OPEN,)) + b"".join(parts) + bytes((_ARRAY_CLOSE,))
    else:
        said = _encode_text(_scalar(value))
    return bytes((_VAL,)) + said


def _scalar(value: str | float | bool | None) -> str:
    if value is None:
        return ""
    return str(int(value)) if isinstance(value, bool) else str(value)


def _encode_text(text: str) -> bytes:
    if _NO_TEXT.search(text):
        raise MalformedMsdp("a name or a text has a character between U+0000 and U+0006")
    return text.encode("utf-8", "replace")
