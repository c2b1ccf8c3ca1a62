"""MSSP, the MUD Server Status Protocol: what crawlers list of a server.

By option, `IAC SB MSSP (VAR name (VAL value)...)... IAC SE`; or as text, to a client whose first
line is `MSSP-REQUEST`. https://tintin.mudhalla.net/protocols/mssp/
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from holdfast.protocols.telnet.codes import MSSP
from holdfast.protocols.telnet.events import Mssp
from holdfast.protocols.telnet.negotiation import Side
from holdfast.protocols.telnet.options.base import Host, Option

REQUEST: Final = "MSSP-REQUEST"
_FIELD: Final = re.compile(rb"([\1\2])([^\1\2]*)")
_VAR: Final = b"\1"
_VAL: Final = b"\2"

Value = str | int | Sequence[str]
Values = Mapping[str, Value]
"""By MSSP's names: `NAME`, `PLAYERS` and `UPTIME` (the start, in seconds of Unix time) at least."""


class ServerStatus(Option):
    """The server's side: it tells the values of the moment."""

    __slots__ = ("values",)

    def __init__(self, values: Callable[[], Values]) -> None:
        self.values = values

    def enabled(self, host: Host, side: Side) -> None:
        host.send_subnegotiation(MSSP, encode(self.values()))


class ServerStatusAsked(Option):
    """The client's side: it hears what the server says of itself."""

    __slots__ = ()

    def subnegotiation(self, host: Host, payload: bytes, now: float) -> None:
        host.emit(Mssp(decode(payload)))


def decode(payload: bytes) -> dict[str, str | list[str]]:
    """The values in a payload; a variable that comes again replaces the one before."""
    told: dict[str, list[str]] = {}
    name = ""
    for mark, field in _FIELD.findall(payload):
        text = _plain(field.decode("utf-8", "replace"))
        if mark == _VAR:
            name = text
            told.pop(name, None)
        elif name:
            told.setdefault(name, []).append(text)
    return {name: texts[0] if len(texts) == 1 else texts for name, texts in told.items()}


def encode(values: Values) -> bytes:
    """The payload that tells these values."""
    parts = bytearray()
    for name, texts in _texts(values):
        parts += _VAR + name.encode()
        for text in texts:
            parts += _VAL + text.encode()
    return bytes(parts)


def as_text(values: Values) -> str:
    """The same for a client without the option."""
    lines = [f"{name}\t" + "\t".join(texts) for name, texts in _texts(values)]
    return "\n".join(["", "MSSP-REPLY-START", *lines, "MSSP-REPLY-END", ""])


def _texts(values: Values) -> Iterator[tuple[str, list[str]]]:
    for name, value in values.items():
        several = [value] if isinstance(value, str | int) else value
        yield _plain(name), [_plain(str(one)) for one in several]


def _plain(text: str) -> str:
    """Without controls, which would end a value or a line."""
    return "".join(char for char in text if char.isprintable())
