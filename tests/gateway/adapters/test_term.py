"""`holdfast.term.v1` as events and frames."""

from __future__ import annotations

import json
from typing import Any

import pytest

from holdfast.core.items import Binary, Data, Notice, Prompt, Resized, Text
from holdfast.core.limits import WebSocketLimits
from holdfast.gateway.adapters.dialects import DialectError, Ping
from holdfast.gateway.adapters.events import Ack, Capable, CodeWanted, Enter, Left, Numbered
from holdfast.gateway.adapters.term import TermDialect
from holdfast.protocols import holdfast_v1 as wire
from holdfast.protocols import term
from holdfast.protocols.websocket import ServerConnection
from holdfast.sessions.position import ClientPosition


def read(**message: Any) -> list[Any]:
    return list(TermDialect().read(json.dumps(message)))


def payloads(frames: bytes) -> list[bytes]:
    """The payloads of a server's frames."""
    found = []
    while frames:
        size, at = frames[1], 2
        if size == 126:
            size, at = int.from_bytes(frames[2:4]), 4
        elif size == 127:
            size, at = int.from_bytes(frames[2:10]), 10
        found.append(frames[at : at + size])
        frames = frames[at + size :]
    return found


CORE = ServerConnection(WebSocketLimits())


def test_what_is_typed() -> None:
    assert TermDialect().read(term.write_input(7, b"ls\r")) == [Numbered(7, Binary(b"ls\r"))]
    assert read(t="answer", c=8, text="yes") == [Numbered(8, Text("yes"))]
    assert read(t="signal", c=9, name="INT") == [Numbered(9, Data("Terminal.Signal", '"INT"'))]


def test_what_is_said_of_the_terminal() -> None:
    assert read(t="ack", n=5) == [Ack(5)]
    assert read(t="resize", cols=100, rows=30) == [Resized(100, 30)]
    assert read(t="code") == [CodeWanted()]
    assert read(t="close") == [Left(done=True)]
    assert read(t="ping") == [Ping()]


def test_the_first_message() -> None:
    capable, enter = read(t="open", cols=100, rows=30, term="xterm", attempt=3)
    assert isinstance(capable, Capable)
    assert (capable.capabilities.width, capable.capabilities.terminal) == (100, "xterm")
    assert capable.capabilities.binary
    assert enter == Enter(attempt=3)
    _, enter = read(t="attach", token="T", n=44, acked=2)
    assert enter == Enter("T", "", ClientPosition("", 44), acked=2)


@pytest.mark.parametrize(
    "message",
    [
        "{}",
        "[]",
        '{"t":"nothing"}',
        '{"t":"ack","n":-1}',
        '{"t":"ack","n":1,"more":2}',
        '{"t":"resize","cols":0,"rows":5}',
        '{"t":"resize","cols":80,"rows":100000}',
        '{"t":"answer","c":0,"text":"x"}',
        "[" * 100_000,
        b"",
        b"\0\0\0\0\1",
        b"\1\0\0\0\1x",
        b"\0\0\0\0\0x",
    ],
)
def test_malformed_messages(message: str | bytes) -> None:
    with pytest.raises(DialectError):
        TermDialect().read(message)


def test_output_is_raw_and_joined_up_to_a_limit() -> None:
    dialect = TermDialect()
    assert payloads(dialect.write(CORE, 1, [Binary(b"a"), Binary(b"b")])) == [b"ab"]
    big = Binary(b"x" * 40_000)
    assert payloads(dialect.write(CORE, 1, [big, big])) == [big.data, big.data]
    assert dialect.write(CORE, 1, []) == b""


@pytest.mark.parametrize(
    ("item", "message"),
    [
        (Notice("hello"), {"t": "notify", "text": "hello"}),
        (Data("Terminal.Exit", '{"status":3}'), {"t": "exit", "status": 3}),
        (Data("Terminal.Empty", "{}"), {"t": "empty"}),
        (Binary(b"\x1b[?25l"), {"t": "screen", "d": "\x1b[?25l"}),
    ],
)
def test_what_is_no_output(item: Any, message: dict[str, Any]) -> None:
    (payload,) = payloads(TermDialect().volatile(CORE, item))
    assert json.loads(payload) == message


def test_a_prompt_is_told_as_data() -> None:
    assert TermDialect().volatile(CORE, Prompt("User: ")) == b""


def test_a_gap_is_told() -> None:
    dialect = TermDialect()
    dialect.read(json.dumps({"t": "attach", "token": "T", "n": 100}))
    reset = wire.Reset("s", "t", "e", "trimmed", top=1_100, cin=4, heartbeat=30.0)
    (payload,) = payloads(dialect.frame(CORE, reset))
    assert json.loads(payload) | {"heartbeat": 0, "bytes_max": 0} == {
        "t": "ready",
        "sid": "s",
        "token": "t",
        "n": 1_100,
        "gap": 1_000,
        "c": 4,
        "heartbeat": 0,
        "bytes_max": 0,
    }
