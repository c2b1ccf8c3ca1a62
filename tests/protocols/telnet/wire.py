"""What the Telnet tests share: bytes by their names, peers, and a measure of memory."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterable
from enum import Enum
from itertools import pairwise
from types import BuiltinFunctionType, FunctionType, ModuleType

from hypothesis import settings
from hypothesis import strategies as st

from holdfast.core.limits import TelnetLimits
from holdfast.protocols.telnet import Event, TelnetClient, TelnetServer, Terminal
from holdfast.protocols.telnet.codes import IAC, SB, SE
from holdfast.protocols.telnet.connection import TelnetCore
from holdfast.protocols.telnet.options.base import Options

LIMITS = TelnetLimits()
TERMINAL = Terminal(name="Hold", version="1", type="xterm", width=80, height=24)
BURST = bytes.fromhex("fffd18 fffd1f fffd27 fffb2a fffb19 fffbc9")
"""The server's opening: DO TTYPE, NAWS, NEW-ENVIRON, WILL CHARSET, EOR, GMCP."""

properties = settings(deadline=None, max_examples=100)


def wire(*parts: int | str | bytes) -> bytes:
    """Bytes from codes and texts."""
    made = bytearray()
    for part in parts:
        if isinstance(part, int):
            made.append(part)
        else:
            made += part.encode("utf-8") if isinstance(part, str) else part
    return bytes(made)


def sb(option: int, *parts: int | str | bytes) -> bytes:
    """A subnegotiation as it is on the wire."""
    return wire(IAC, SB, option, wire(*parts).replace(b"\xff", b"\xff\xff"), IAC, SE)


def silent_server(limits: TelnetLimits = LIMITS) -> TelnetServer:
    """A server at time 0 whose opening has been sent."""
    server = TelnetServer(limits, 0.0)
    assert server.data_to_send() == BURST
    return server


def telnet_server(*received: bytes) -> TelnetServer:
    """A server that has received this from a client and sent what it had to say."""
    server = silent_server()
    server.receive_data(b"".join(received), 0.0)
    server.data_to_send()
    return server


def client() -> TelnetClient:
    return TelnetClient(LIMITS, TERMINAL)


def feed(core: TelnetCore, chunks: Iterable[bytes], now: float = 0.0) -> tuple[list[Event], bytes]:
    """All events and all sent bytes."""
    events: list[Event] = []
    sent = b""
    for chunk in chunks:
        events += core.receive_data(chunk, now)
        sent += core.data_to_send()
    return events, sent


def converse(a: TelnetCore, b: TelnetCore, now: float = 0.0) -> tuple[list[Event], list[Event]]:
    """Carry bytes both ways until both are silent; return the events of each."""
    events_a: list[Event] = []
    events_b: list[Event] = []
    for _ in range(100):
        to_b, to_a = a.data_to_send(), b.data_to_send()
        if not to_b and not to_a:
            return events_a, events_b
        events_b += b.receive_data(to_b, now)
        events_a += a.receive_data(to_a, now)
    raise AssertionError("they talk for ever")


def cut(data: bytes, places: Iterable[int]) -> list[bytes]:
    """`data` in pieces."""
    stops = sorted({place % (len(data) + 1) for place in places} | {0, len(data)})
    return [data[start:stop] for start, stop in pairwise(stops)]


cuts = st.lists(st.integers(0, 10_000), max_size=20)

_SHARED = (type, ModuleType, FunctionType, BuiltinFunctionType, Enum, TelnetLimits, Options)


def footprint(thing: object) -> int:
    """The bytes of `thing` and of everything that it alone holds."""
    seen: set[int] = set()
    waiting: list[object] = [thing]
    size = 0
    while waiting:
        one = waiting.pop()
        if id(one) in seen or isinstance(one, _SHARED):
            continue
        seen.add(id(one))
        size += sys.getsizeof(one)
        waiting += gc.get_referents(one)
    return size
