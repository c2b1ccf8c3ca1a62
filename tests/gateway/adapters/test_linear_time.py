"""What a client sends, and what others' text costs on a terminal, takes time as it is long."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from time import process_time

import pytest
from msgspec import structs
from tests.gateway.clients import GMCP, IAC, SB, SE
from tests.linear import check_linear

from holdfast.core.items import Formatted, Span, Text
from holdfast.core.limits import LineLimits, TelnetLimits
from holdfast.gateway.adapters.dialects import DialectError, HoldfastDialect
from holdfast.gateway.adapters.lines import LineAdapter
from holdfast.gateway.adapters.notifications import SessionActive
from holdfast.gateway.adapters.telnet import TelnetAdapter
from holdfast.gateway.adapters.webs import WebsDialect
from holdfast.protocols import webs

PIECE = 512
Work = Callable[[int], float]


def pieces(data: bytes) -> list[bytes]:
    return [data[at : at + PIECE] for at in range(0, len(data), PIECE)]


def lines(make: Callable[[int], bytes]) -> Work:
    """Reading that from a client of lines, in small pieces."""

    def work(size: int) -> float:
        adapter = LineAdapter("tcp", LineLimits(line_bytes_max=2 * size))
        adapter.begin(0.0)
        adapter.handle_timer(1.0)
        adapter.notify(SessionActive())
        data = pieces(make(size))
        begin = process_time()
        for piece in data:
            adapter.receive_data(piece, 1.0)
        return process_time() - begin

    return work


def telnet(make: Callable[[int], bytes]) -> Work:
    """Reading that from a Telnet client, in small pieces."""

    def work(size: int) -> float:
        size //= 8
        limits = structs.replace(
            TelnetLimits(),
            line_chars_max=2 * size,
            gmcp_bytes_max=2 * size,
            negotiation_burst_max=2 * size,
        )
        adapter = TelnetAdapter(limits)
        adapter.begin(0.0)
        data = pieces(bytes((IAC, 253, GMCP)) + make(size))
        begin = process_time()
        for piece in data:
            adapter.receive_data(piece, 1.0)
        adapter.data_to_send()
        return process_time() - begin

    return work


def shown(make: Callable[[int], Text | Formatted]) -> Work:
    """Writing that to a terminal."""

    def work(size: int) -> float:
        size //= 8
        adapter = LineAdapter("tcp", LineLimits())
        item = make(size)
        begin = process_time()
        adapter.encode(1, [item])
        return process_time() - begin

    return work


def message(make: Callable[[int], bytes]) -> Work:
    """Reading that as a message of holdfast.v1."""

    def work(size: int) -> float:
        text = make(size).decode()
        begin = process_time()
        with contextlib.suppress(DialectError):
            HoldfastDialect(msgpack=False).read(text)
        return process_time() - begin

    return work


def webs_message(size: int) -> float:
    """A message of WEBS that drips."""
    wire = webs.encode(webs.Message(webs.Opcode.INPUT, 1, bytes(size)))
    dialect = WebsDialect(2 * size)
    begin = process_time()
    for piece in pieces(wire):
        dialect.read(piece)
    return process_time() - begin


def gmcp(size: int) -> bytes:
    payload = b"A.B " + b"[" * 16 + b'"' + b'\\"' * (size // 2) + b'"' + b"]" * 16
    return bytes((IAC, SB, GMCP)) + payload + bytes((IAC, SE))


WORK: dict[str, Work] = {
    "resume-of-spaces": lines(lambda size: b"resume" + b" " * size + b"x\n"),
    "many-resumes": lines(lambda size: b"resume x\n" * (size // 64)),
    "no-line-at-all": lines(lambda size: b"x" * size),
    "empty-lines": lines(lambda size: b"\n" * (size // 32)),
    "telnet-line": telnet(lambda size: b"x" * size + b"\r\n"),
    "telnet-erasures": telnet(lambda size: b"x\x08" * (size // 2)),
    "telnet-tokens": telnet(lambda size: b"\xff\xf9" * (size // 32)),
    "telnet-gmcp": telnet(gmcp),
    "stars": shown(lambda size: Text("*" * size)),
    "lines-of-stars": shown(lambda size: Text("***\n" * (size // 4))),
    "nothing-before-stars": shown(lambda size: Text("\u200b" * size + "*")),
    "controls": shown(lambda size: Text("\x1b[" * (size // 2))),
    "spans": shown(
        lambda size: Formatted("x" * size, tuple(Span(at, 1, "bold") for at in range(0, size, 16)))
    ),
    "json-string": message(lambda size: b'{"t":"cmd","c":1,"d":"' + b"x" * size + b'"}'),
    "json-nesting": message(lambda size: b'{"t":"data","c":1,"p":"a","d":' + b"[" * size),
    "json-digits": message(lambda size: b'{"t":"ack","n":' + b"9" * size + b"}"),
    "webs-message": webs_message,
}


@pytest.mark.parametrize("work", WORK.values(), ids=WORK)
def test_work_is_linear(work: Work) -> None:
    check_linear(work)
