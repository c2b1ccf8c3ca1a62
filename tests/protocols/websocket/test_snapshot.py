"""A connection that is written down and restored goes on as if nothing had been."""

from __future__ import annotations

import os
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.core.limits import WebSocketLimits
from holdfast.protocols.websocket import (
    ClientConnection,
    Close,
    ConnectionSnapshot,
    Deflate,
    DeflateSettings,
    Event,
    NotBetweenMessagesError,
    Offer,
    ServerConnection,
    State,
)
from holdfast.protocols.websocket.head import Request

LIMITS = WebSocketLimits(message_bytes_max=100_000, frame_bytes_max=60_000, fragments_max=8)
SETTINGS = DeflateSettings(threshold_bytes=1)


def written(snapshot: ConnectionSnapshot) -> ConnectionSnapshot:
    """As it is read again after it was written."""
    return msgspec.msgpack.decode(msgspec.msgpack.encode(snapshot), type=ConnectionSnapshot)


def offer(*, deflates: bool) -> Offer:
    return Offer("example.org", "/", deflate=Deflate(SETTINGS) if deflates else None)


class Pair:
    """Both ends. What one queues is given to the other in pieces; each may be restored between."""

    def __init__(self, *, deflates: bool) -> None:
        self.offer = offer(deflates=deflates)
        self.deflate = Deflate(SETTINGS) if deflates else None
        self.client = ClientConnection(LIMITS, self.offer, os.urandom)
        self.server = ServerConnection(LIMITS, self.deflate)

    def restore_server(self) -> None:
        snapshot = written(self.server.snapshot())
        self.server = ServerConnection.restore(snapshot, LIMITS, self.deflate)

    def restore_client(self) -> None:
        snapshot = written(self.client.snapshot())
        self.client = ClientConnection.restore(snapshot, LIMITS, self.offer, os.urandom)

    def restore(self) -> None:
        for restore in (self.restore_server, self.restore_client):
            try:
                restore()
            except NotBetweenMessagesError:
                assert self.deflate is not None

    def open(self) -> None:
        (request,) = self.server.receive_data(self.client.data_to_send())
        assert isinstance(request, Request)
        self.server.accept()
        self.client.receive_data(self.server.data_to_send())
        assert self.client.state is self.server.state is State.OPEN


MESSAGES = st.lists(
    st.text(max_size=40)
    | st.binary(max_size=300)
    | st.sampled_from(["€" * 50, b"\0" * 2_000, "abc" * 400, "a€😀" * 100]),
    max_size=6,
)


def frames(client: ClientConnection, messages: list[str | bytes], parts: int) -> bytes:
    """What a client sends: messages, whole or in `parts`, with a ping within each of those."""
    out = b""
    for message in messages:
        if parts == 1:
            out += b"".join(client.encode_parts(message))
            continue
        data, text = (message.encode(), True) if isinstance(message, str) else (message, False)
        cut = [data[len(data) * n // parts : len(data) * (n + 1) // parts] for n in range(parts)]
        for n, part in enumerate(cut):
            first, final = n == 0, n == parts - 1
            out += client.encode_fragment(part, text=text, first=first, final=final)
            client.ping(b"within")
            out += client.data_to_send()
    return out


@given(
    messages=MESSAGES,
    parts=st.integers(1, 3),
    cuts=st.lists(st.floats(0, 1), max_size=6),
    deflates=st.booleans(),
    end=st.sampled_from([b"", b"\x88\x80abcd", b"\x83\x80abcd", b"\x81\x82\0\0\0\0\xff\xff"]),
)
def test_at_any_point_it_changes_no_later_event(
    messages: list[str | bytes], parts: int, cuts: list[float], deflates: bool, end: bytes
) -> None:
    pair = Pair(deflates=deflates)
    pair.open()
    data = frames(pair.client, messages, parts) + end
    whole = ServerConnection.restore(written(pair.server.snapshot()), LIMITS, pair.deflate)
    expected = whole.receive_data(data)
    found: list[Event] = []
    points = sorted({0, len(data), *(int(cut * len(data)) for cut in cuts)})
    for begin, stop in pairwise(points):
        found += pair.server.receive_data(data[begin:stop])
        pair.restore()
    assert found == expected
    assert pair.server.state is whole.state
    assert whole.state is State.CLOSED or pair.server.unfinished == whole.unfinished
    assert pair.server.data_to_send() == whole.data_to_send()


@given(messages=MESSAGES, deflates=st.booleans(), keeps=st.booleans())
def test_both_ends_understand_each_other_afterwards(
    messages: list[str | bytes], deflates: bool, keeps: bool
) -> None:
    pair = Pair(deflates=deflates)
    pair.open()
    for message in messages * 2:
        to_server = b"".join(pair.client.encode_parts(message))
        assert pair.server.receive_data(to_server) == [message]
        to_client = b"".join(pair.server.encode_parts(message))
        assert pair.client.receive_data(to_client) == [message]
        pair.restore() if keeps else pair.restore_server()


@pytest.mark.parametrize("cut", range(0, 160, 7))
def test_the_opening_may_be_restored_on_both_sides(cut: int) -> None:
    pair = Pair(deflates=True)
    asked = pair.client.data_to_send()
    assert pair.server.receive_data(asked[:cut]) == []
    pair.restore()
    (request,) = pair.server.receive_data(asked[cut:])
    assert isinstance(request, Request)
    pair.restore()
    pair.server.accept()
    pair.restore()
    answer = pair.server.data_to_send()
    assert pair.client.receive_data(answer[:cut]) == []
    pair.restore()
    pair.client.receive_data(answer[cut:])
    assert pair.client.state is pair.server.state is State.OPEN
    assert pair.client.deflate is not None


def test_what_is_queued_goes_out_once() -> None:
    pair = Pair(deflates=False)
    pair.open()
    pair.server.close(1001, "away")
    pair.restore()
    (close,) = pair.client.receive_data(pair.server.data_to_send())
    assert close == Close(1001, "away")
    pair.restore()
    assert pair.server.data_to_send() == b""
    assert pair.server.state is State.CLOSING
    pair.server.receive_data(pair.client.data_to_send())
    assert pair.server.state is pair.client.state is State.CLOSED


def test_a_compressed_message_in_part_is_no_point() -> None:
    pair = Pair(deflates=True)
    pair.open()
    frame = b"".join(pair.client.encode_parts("hello " * 100))
    assert pair.server.receive_data(frame[:-3]) == []
    with pytest.raises(NotBetweenMessagesError):
        pair.server.snapshot()
    assert pair.server.receive_data(frame[-3:]) == ["hello " * 100]
    pair.restore_server()


def test_a_snapshot_changes_nothing() -> None:
    pair = Pair(deflates=False)
    pair.open()
    frame = b"".join(pair.client.encode_parts(bytes(range(256)) * 10))
    half = len(frame) // 2
    assert pair.server.receive_data(frame[:half]) == []
    assert pair.server.snapshot() == pair.server.snapshot()
    assert pair.server.receive_data(frame[half:]) == [bytes(range(256)) * 10]
