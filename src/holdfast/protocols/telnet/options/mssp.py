"""MSSP, the MUD Server Status Protocol: what crawlers list of a server.

By option, `IAC SB MSSP (VAR name (VAL value)...)... IAC SE`; or as text, to a client whose first
line is `MSSP-REQUEST`. https://tintin.mudhalla.net/protocols/mssp/
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from holdfast.protocols.telnet.codes import MSSP
from holdfast.protocols.telnet.negotiation import Side
from holdfast.protocols.telnet.options.base import Host, Option

REQUEST: Final = "MSSP-REQUEST"
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
