"""Work grows with what comes, not with its square, however it is cut into pieces.

The CPU time of this process for each byte is compared at two sizes.
"""

from __future__ import annotations

from collections.abc import Callable
from time import process_time

import pytest
from tests.linear import LARGE, check_linear

from holdfast.core.limits import WebSocketLimits
from holdfast.protocols.frames import (
    Chunked,
    Delimited,
    Fixed,
    Framing,
    LengthPrefixed,
    Netstring,
    VarintPrefixed,
)
from holdfast.protocols.framing import LineDecoder
from holdfast.protocols.http_requests import RequestReader
from holdfast.protocols.proxy import ProxyDecoder, ProxyHeader, encode_v2
from holdfast.protocols.websocket import Headers, ServerConnection
from holdfast.protocols.websocket.handshake import is_upgrade
from holdfast.protocols.websocket.head import Request, parse_request

PIECE = 512


def frames(make: Callable[[int], Framing]) -> Callable[[int], float]:
    """Seconds for one frame of that size in small pieces."""

    def work(size: int) -> float:
        framing = make(size)
        wire = framing.encode(bytes(size))
        pieces = [wire[at : at + PIECE] for at in range(0, len(wire), PIECE)]
        found = 0
        begin = process_time()
        for piece in pieces:
            found += len(framing.receive_data(piece))
        seconds = process_time() - begin
        assert found == 1
        return seconds

    return work


def line(size: int) -> float:
    decoder = LineDecoder(2 * size)
    piece = b"x" * PIECE
    begin = process_time()
    for _ in range(size // PIECE):
        decoder.receive_data(piece)
    events = decoder.receive_data(b"\n")
    assert len(events) == 1
    return process_time() - begin


def endless_line(size: int) -> float:
    decoder = LineDecoder(1000)
    piece = b"x" * PIECE
    begin = process_time()
    for _ in range(size // PIECE):
        decoder.receive_data(piece)
    return process_time() - begin


def body(head: bytes, chunk: bytes, piece: int) -> Callable[[int], float]:
    def work(size: int) -> float:
        reader = RequestReader(head_bytes_max=1000, header_count_max=10)
        reader.receive_data(head % size if b"%d" in head else head)
        assert reader.take_head() is not None
        data = (chunk * (size // len(chunk) + 1))[:size]
        begin = process_time()
        for at in range(0, size, piece):
            reader.receive_data(data[at : at + piece])
            reader.take_body()
        return process_time() - begin

    return work


def head(size: int) -> float:
    """A head that drips."""
    size //= 8
    reader = RequestReader(head_bytes_max=2 * size, header_count_max=10)
    begin = process_time()
    for _ in range(size // 64):
        reader.receive_data(b"x" * 64)
        assert reader.take_head() is None
    return process_time() - begin


def fields(make: Callable[[int], bytes]) -> Callable[[int], float]:
    """Reading and judging a head of that size."""

    def work(size: int) -> float:
        size //= 8
        data = b"GET / HTTP/1.1\r\n" + make(size)
        begin = process_time()
        request: Request = parse_request(data, header_count_max=size)
        assert not is_upgrade(request)
        return process_time() - begin

    return work


def tokens(size: int) -> float:
    size //= 8
    headers = Headers((("sec-websocket-protocol", ", " * (size // 2)),))
    begin = process_time()
    assert headers.tokens("sec-websocket-protocol") == []
    return process_time() - begin


def websocket_head(size: int) -> float:
    """A head that drips, up to its limit."""
    size //= 64
    core = ServerConnection(WebSocketLimits(head_bytes_max=2 * size))
    begin = process_time()
    for _ in range(size // 16):
        core.receive_data(b"x" * 16)
    return process_time() - begin


def websocket_message(size: int) -> float:
    core = ServerConnection(WebSocketLimits(frame_bytes_max=LARGE, message_bytes_max=LARGE))
    core.receive_data(
        b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    core.accept()
    wire = b"\x82\xff" + size.to_bytes(8, "big") + bytes(4) + bytes(size)
    pieces = [wire[at : at + PIECE] for at in range(0, len(wire), PIECE)]
    found = 0
    begin = process_time()
    for piece in pieces:
        found += len(core.receive_data(piece))
    seconds = process_time() - begin
    assert found == 1
    return seconds


WORK: dict[str, Callable[[int], float]] = {
    "length": frames(LengthPrefixed),
    "varint": frames(VarintPrefixed),
    "delimited": frames(lambda size: Delimited(size, b"\r\n")),
    "fixed": frames(Fixed),
    "netstring": frames(Netstring),
    "chunked": frames(Chunked),
    "line": line,
    "endless-line": endless_line,
    "request-head": head,
    "request-body": body(b"POST / HTTP/1.1\r\nContent-Length: %d\r\n\r\n", b"x", PIECE),
    "request-chunks": body(
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"80\r\n" + bytes(128) + b"\r\n",
        PIECE,
    ),
    "header-of-spaces": fields(lambda size: b"A:" + b" " * size + b"x"),
    "header-of-tabs-and-spaces": fields(lambda size: b"A:" + b"\t " * (size // 2) + b"x"),
    "header-of-commas": fields(lambda size: b"Upgrade:" + b" ," * (size // 2)),
    "many-headers": fields(lambda size: b"\r\n".join([b"A: b"] * (size // 6))),
    "tokens": tokens,
    "websocket-head": websocket_head,
    "websocket-message": websocket_message,
}


@pytest.mark.parametrize("work", WORK.values(), ids=WORK)
def test_work_is_linear(work: Callable[[int], float]) -> None:
    check_linear(work)


def test_a_proxy_header_that_drips_is_bounded() -> None:
    """Its size is; each byte may then cost a copy of what came before."""
    wire = encode_v2(ProxyHeader(2, local=True))
    decoder = ProxyDecoder(4096)
    found = [header for byte in wire for header in decoder.receive_data(bytes([byte]))]
    assert len(found) == 1
