"""A short run of the fuzzer, and a corpus of inputs that found something once.

The long run is `./dev bench fuzz`.
"""

from __future__ import annotations

import time

import pytest
from tests.protocols.websocket.fuzzing import LIMITS, PARTS
from tests.protocols.websocket.wire import frame

from holdfast.core.limits import WebSocketLimits
from holdfast.protocols.websocket import Deflate, ServerConnection, Violation
from holdfast.protocols.websocket.frames import Decoder

CORPUS = [
    pytest.param(b"\x82\xff\x7f" + b"\xff" * 7 + bytes(4), id="a-length-near-2^63"),
    pytest.param(frame(0, b"x", fin=False) * 3, id="continuations-of-nothing"),
    pytest.param(frame(1, b"", fin=False) + frame(0, b"", fin=False) * 20, id="empty-fragments"),
    pytest.param(frame(1, b"\xf0\x9f", fin=False) + frame(0, b"\x98"), id="half-a-character"),
    pytest.param(frame(9, bytes(125)) * 50, id="many-pings"),
    pytest.param(frame(8, b"\x03\xe8") + frame(1, b"late"), id="after-the-close"),
    pytest.param(frame(2, b"\x03\x00" * 2000, rsv=4), id="final-blocks-without-end"),
    pytest.param(frame(2, b"\x00" * 4000, rsv=4), id="stored-blocks-of-nothing"),
    pytest.param(frame(1, b"", rsv=4), id="compressed-nothing"),
    pytest.param(frame(2, b"", rsv=4, fin=False) + frame(0, b"\x00"), id="compressed-in-pieces"),
]


@pytest.mark.parametrize("part", PARTS)
def test_a_short_run(part: str) -> None:
    tally = PARTS[part](7, 1_500)
    assert tally.inputs == 1_500
    assert tally.violations > 100
    assert tally.messages > 100 or part == "handshake"


@pytest.mark.parametrize("data", CORPUS)
@pytest.mark.parametrize("step", [1, 7, 100_000])
def test_the_corpus_ends_in_events_or_a_violation(data: bytes, step: int) -> None:
    server = ServerConnection(LIMITS, Deflate())
    server.receive_data(
        b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
        b"Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n"
    )
    server.accept()
    events = []
    for start in range(0, len(data), step):
        events += server.receive_data(data[start : start + step])
    assert sum(isinstance(event, Violation) for event in events) <= 1


@pytest.mark.parametrize(
    "unit",
    [frame(9, b"ping"), frame(1, b"text"), frame(2, b"x" * 100, fin=False) + frame(0, b"y")],
    ids=["pings", "texts", "fragments"],
)
def test_time_grows_with_the_bytes(unit: bytes) -> None:
    """Four times the bytes take about four times the time, not sixteen."""

    def spent(count: int) -> float:
        data = unit * count
        best = float("inf")
        for _ in range(5):
            decoder = Decoder(LIMITS, masked=True)
            begun = time.process_time()
            decoder.receive_data(data)
            best = min(best, time.process_time() - begun)
        return best

    assert spent(16_000) < 9 * spent(4_000) + 0.002


@pytest.mark.parametrize(
    "value",
    [
        (b"a", b" ", b"b"),
        (b"", b" ", b"\0"),
        (b"", b"\t ", b"x"),
        (b"a", b", ", b"\0"),
        (b"", b"a;", b""),
    ],
    ids=["spaces-within", "spaces-and-a-null", "tabs", "commas", "semicolons"],
)
@pytest.mark.parametrize("name", [b"X", b"Sec-WebSocket-Extensions", b"Connection"])
def test_the_time_for_a_head_grows_with_its_bytes(name: bytes, value: tuple[bytes, ...]) -> None:
    limits = WebSocketLimits(head_bytes_max=200_000)

    def spent(count: int) -> float:
        before, repeated, after = value
        line = name + b": " + before + repeated * count + after + b"\r\n"
        head = b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n" + line + b"\r\n"
        best = float("inf")
        for _ in range(5):
            server = ServerConnection(limits, Deflate())
            begun = time.process_time()
            server.receive_data(head)
            best = min(best, time.process_time() - begun)
        return best

    assert spent(16_000) < 9 * spent(4_000) + 0.002
