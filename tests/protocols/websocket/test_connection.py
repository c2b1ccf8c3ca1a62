"""What a connection sends: frames by hand, in parts, and in its state."""

from __future__ import annotations

import pytest
from tests.protocols.websocket.wire import KEY, frame

from holdfast.core.limits import WebSocketLimits
from holdfast.protocols.websocket import (
    ClientConnection,
    CloseCode,
    Offer,
    Ping,
    Pong,
    ServerConnection,
    State,
)
from holdfast.protocols.websocket.broadcast import Broadcast
from holdfast.protocols.websocket.connection import UNCOPIED_BYTES_MIN

LIMITS = WebSocketLimits()


def entropy(size: int) -> bytes:
    return KEY[:size] if size == 4 else bytes(size)


def pair() -> tuple[ServerConnection, ClientConnection]:
    server = ServerConnection(LIMITS)
    client = ClientConnection(LIMITS, Offer("a", subprotocols=("p",)), entropy)
    server.receive_data(client.data_to_send())
    server.accept("p")
    client.receive_data(server.data_to_send())
    return server, client


def test_both_ends_know_the_sub_protocol() -> None:
    server, client = pair()
    assert (server.subprotocol, client.subprotocol) == ("p", "p")
    assert (server.state, client.state) == (State.OPEN, State.OPEN)
    snapshot = server.snapshot()
    assert snapshot.subprotocol == "p"
    assert ServerConnection.restore(snapshot, LIMITS).subprotocol == "p"
    assert client.snapshot().subprotocol == "p"


@pytest.mark.parametrize(
    ("text", "first", "final", "opcode"),
    [
        (True, True, True, 0x81),
        (True, True, False, 0x01),
        (True, False, False, 0x00),
        (True, False, True, 0x80),
        (False, True, True, 0x82),
        (False, True, False, 0x02),
        (False, False, True, 0x80),
    ],
)
def test_a_fragment_says_where_it_stands(text: bool, first: bool, final: bool, opcode: int) -> None:
    server, client = pair()
    expected = frame(opcode & 15, b"ab", fin=bool(opcode & 0x80), key=None)
    assert server.encode_fragment(b"ab", text=text, first=first, final=final) == expected
    expected = frame(opcode & 15, b"ab", fin=bool(opcode & 0x80))
    assert client.encode_fragment(b"ab", text=text, first=first, final=final) == expected


def test_fragments_are_one_message() -> None:
    server, client = pair()
    parts = [
        server.encode_fragment(b"a", text=True, first=True, final=False),
        server.encode_fragment(b"b", text=True, first=False, final=False),
        server.encode_fragment(b"c", text=True, first=False, final=True),
    ]
    assert client.receive_data(b"".join(parts)) == ["abc"]


@pytest.mark.parametrize(("size", "pieces"), [(UNCOPIED_BYTES_MIN - 1, 1), (UNCOPIED_BYTES_MIN, 2)])
def test_a_large_message_of_a_server_is_not_copied(size: int, pieces: int) -> None:
    server, client = pair()
    data = bytes(size)
    parts = server.encode_parts(data)
    assert len(parts) == pieces
    assert pieces == 1 or parts[1] is data
    assert b"".join(parts) == server.encode_binary(data) == frame(2, data, key=None)
    assert client.encode_parts(data) == (frame(2, data),)
    assert server.encode_parts("é") == (frame(1, "é".encode(), key=None),)


def test_pings_and_pongs_carry_their_data() -> None:
    server, client = pair()
    server.ping()
    server.ping(b"a")
    server.pong()
    server.pong(b"b")
    sent = server.data_to_send()
    expected = [(9, b""), (9, b"a"), (10, b""), (10, b"b")]
    assert sent == b"".join(frame(opcode, data, key=None) for opcode, data in expected)
    assert server.data_to_send() == b""
    assert client.receive_data(sent) == [Ping(b""), Ping(b"a"), Pong(b""), Pong(b"b")]
    assert client.data_to_send() == frame(10, b"") + frame(10, b"a")


def test_nothing_is_asked_after_the_close() -> None:
    server, client = pair()
    server.close(CloseCode.GOING_AWAY, "bye")
    assert server.data_to_send() == frame(8, b"\x03\xe9bye", key=None)
    server.ping(b"a")
    server.pong(b"a")
    server.close()
    server.receive_data(client.encode_text(b"late") + frame(9, b"late"))
    assert server.data_to_send() == b""


def test_what_is_queued_goes_out_after_what_was_before() -> None:
    server, _ = pair()
    server.ping(b"a")
    server.queue(b"xyz")
    assert server.data_to_send() == frame(9, b"a", key=None) + b"xyz"


def test_a_close_without_a_code_and_the_default() -> None:
    server, client = pair()
    client.close()
    assert client.data_to_send() == frame(8, b"\x03\xe8")
    server.close(1005)
    assert server.data_to_send() == frame(8, b"", key=None)


@pytest.mark.parametrize(
    ("extra", "fits"), [(0, True), (1, False)], ids=["the-limit", "one-byte-more"]
)
@pytest.mark.parametrize("pieces", [1, 2])
def test_a_head_has_a_limit(extra: int, fits: bool, pieces: int) -> None:
    limits = WebSocketLimits(head_bytes_max=300)
    head = (
        b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nX: "
    )
    head += b"x" * (300 + extra - len(head))
    server = ServerConnection(limits)
    whole = head + b"\r\n\r\n"
    cut = len(whole) if pieces == 1 else len(head) - 5
    events = server.receive_data(whole[:cut]) + server.receive_data(whole[cut:])
    assert len(events) == 1
    if fits:
        server.accept()
        assert server.state is State.OPEN
    else:
        assert server.state is State.CLOSED
        assert server.data_to_send().startswith(b"HTTP/1.1 431 ")


@pytest.mark.parametrize(("size", "fits"), [(600, True), (601, False)])
def test_what_comes_before_the_answer_has_a_limit(size: int, fits: bool) -> None:
    limits = WebSocketLimits(head_bytes_max=300)
    server = ServerConnection(limits)
    request = ClientConnection(limits, Offer("a"), entropy).data_to_send()
    server.receive_data(request)
    early = frame(1, bytes(b"x" * 100)) * 6
    kept = len(request)  # with the head, which is kept until the answer
    events = server.receive_data(early[: size - kept])
    assert (events == []) is fits
    assert (server.state is State.CLOSED) is not fits


def test_a_broadcast_says_its_size() -> None:
    assert Broadcast("é").size == 2
    assert Broadcast(b"abc").size == 3


def test_messages_are_what_they_were() -> None:
    server, client = pair()
    messages: list[str | bytes] = ["a", b"b", "é" * 40_000, bytes(70_000), "", b""]
    assert client.receive_data(server.encode_all(messages)) == messages
    assert server.receive_data(client.encode_all(messages)) == messages
    assert client.receive_data(server.encode_text(b"a") + server.encode_binary(b"a")) == ["a", b"a"]
