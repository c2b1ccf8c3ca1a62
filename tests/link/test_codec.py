from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.link.structs import values

from holdfast.core.errors import ProtocolError, Source
from holdfast.link.codec import (
    FrameDecoder,
    LinkProtocolError,
    encode_batch,
    encode_notification,
    encode_request,
    encode_response,
    fitting,
)
from holdfast.link.messages import LinkFault, Message, Notification, Request, Response

SMALL = 64
"""The largest frame in most of these tests."""

plain: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.integers(-(2**63), 2**64 - 1) | st.text(max_size=9) | st.binary(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=4,
)
ids = st.integers(0, 2**64 - 1)


@st.composite
def messages(draw: st.DrawFn) -> tuple[bytes, Message]:
    """A frame and what it says."""
    body = draw(plain)
    raw = msgspec.Raw(msgspec.msgpack.encode(body))
    kind = draw(st.sampled_from([Request, Response, Notification]))
    if kind is Request:
        number, method = draw(ids), draw(st.text(max_size=9))
        return encode_request(number, method, body), Request(number, method, raw)
    if kind is Response:
        number, error = draw(ids), draw(st.none() | values(LinkFault))
        return encode_response(number, error, body), Response(number, error, raw)
    method = draw(st.text(max_size=9))
    return encode_notification(method, body), Notification(method, raw)


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    """`data` in pieces of these sizes, and the rest."""
    found, pos = [], 0
    for cut in cuts:
        found.append(data[pos : pos + cut])
        pos += cut
    return [*found, data[pos:]]


cut_sizes = st.lists(st.integers(0, 9))


@given(sent=st.lists(messages(), max_size=5), cuts=cut_sizes)
def test_what_was_said_is_heard_however_it_is_cut(
    sent: list[tuple[bytes, Message]], cuts: list[int]
) -> None:
    decoder = FrameDecoder(1 << 20)
    heard = []
    for piece in pieces(b"".join(frame for frame, _ in sent), cuts):
        heard += decoder.receive_data(piece)
    assert heard == [message for _, message in sent]


@given(sent=st.lists(messages(), min_size=1, max_size=5))
def test_a_message_is_heard_as_soon_as_it_is_whole(sent: list[tuple[bytes, Message]]) -> None:
    decoder = FrameDecoder(1 << 20)
    for frame, message in sent:
        for byte in frame[:-1]:
            assert decoder.receive_data(bytes((byte,))) == []
        assert decoder.receive_data(frame[-1:]) == [message]


def held(decoder: FrameDecoder) -> int:
    framing = decoder._framing
    assert sum(map(len, framing._parts)) == framing._have
    return framing._have


GOOD = encode_notification("m", None)


@given(data=st.binary(max_size=300), cuts=cut_sizes)
@example(data=GOOD + GOOD[:-1], cuts=[])
@example(data=b"\x00\x00\x00\x40" + bytes(63), cuts=[5])
@example(data=b"\x00\x00\x00\x06\x93\x02\xa1\xff\xc0\xc0", cuts=[])
@example(data=b"\x00\x00\x00\x05\x93\x02\xa1m\xc1", cuts=[])
def test_any_bytes_are_messages_or_an_error_in_bounded_memory(data: bytes, cuts: list[int]) -> None:
    decoder = FrameDecoder(SMALL)
    for piece in pieces(data, cuts):
        try:
            decoder.receive_data(piece)
        except LinkProtocolError:
            return
        assert held(decoder) < 4 + SMALL


@given(body=st.binary(max_size=SMALL))
def test_any_body_is_a_message_or_an_error(body: bytes) -> None:
    frame = len(body).to_bytes(4, "big") + body
    try:
        (message,) = FrameDecoder(SMALL).receive_data(frame)
    except LinkProtocolError:
        pass
    else:
        assert isinstance(message, Request | Response | Notification)


MALFORMED = [
    pytest.param(b"", id="empty"),
    pytest.param(b"\xc0", id="nil"),
    pytest.param(b"\x80", id="a-map"),
    pytest.param(b"\x90", id="an-empty-array"),
    pytest.param(b"\x93\x03\xa1m\xc0", id="unknown-kind"),
    pytest.param(b"\x93\xa12\xa1m\xc0", id="kind-as-text"),
    pytest.param(b"\x92\x02\xa1m", id="no-params"),
    pytest.param(b"\x94\x00\xa11\xa1m\xc0", id="id-as-text"),
    pytest.param(b"\x94\x01\x01\xa1e\xc0", id="error-as-text"),
    pytest.param(b"\x93\x02\x01\xc0", id="method-as-number"),
    pytest.param(b"\x93\x02\xa1\xff\xc0", id="method-not-utf-8"),
    pytest.param(b"\x93\x02\xa1m", id="cut-short"),
    pytest.param(b"\x93\x02\xa1m\xc0\xc0", id="something-after-it"),
    pytest.param(b"\x93\x02\xa1m\xc1", id="the-byte-that-is-never-used"),
    pytest.param(b"\x93\x02\xa1m" + 50_000 * b"\x91" + b"\xc0", id="too-deep"),
]


@pytest.mark.parametrize("body", MALFORMED)
def test_a_malformed_message_is_an_error(body: bytes) -> None:
    with pytest.raises(LinkProtocolError, match=r"a malformed message: .") as caught:
        FrameDecoder(1 << 20).receive_data(len(body).to_bytes(4, "big") + body)
    assert isinstance(caught.value, ProtocolError)
    assert caught.value.source is Source.REMOTE


@pytest.mark.parametrize("size", [SMALL + 1, 1 << 31, (1 << 32) - 1])
def test_a_frame_that_is_too_large_is_an_error_before_any_of_it_has_come(size: int) -> None:
    with pytest.raises(LinkProtocolError, match=f"at most 64 bytes, found {size}"):
        FrameDecoder(SMALL).receive_data(size.to_bytes(4, "big"))


def test_a_frame_of_exactly_the_limit_is_heard() -> None:
    frame = encode_notification("m", bytes(SMALL - 6))
    assert len(frame) == 4 + SMALL
    assert FrameDecoder(SMALL).receive_data(frame) == [
        Notification("m", msgspec.Raw(msgspec.msgpack.encode(bytes(SMALL - 6))))
    ]


def test_a_large_frame_is_joined_once() -> None:
    """Not once for every chunk: that would be quadratic."""
    frame = encode_notification("m", bytes(1 << 20))
    decoder = FrameDecoder(1 << 24)
    for start in range(0, len(frame) - 1, 1 << 12):
        decoder.receive_data(frame[start : start + (1 << 12)][: len(frame) - 1 - start])
    assert len(decoder._framing._parts) > 200
    (message,) = decoder.receive_data(frame[-1:])
    assert isinstance(message, Notification)
    assert held(decoder) == 0


# --- cutting


@given(entries=st.lists(st.binary(max_size=400), max_size=40), bytes_max=st.integers(1, 2_000))
def test_a_batch_is_cut_into_frames_of_the_size_that_is_allowed(
    entries: list[bytes], bytes_max: int
) -> None:
    data = encode_batch("events", entries, bytes_max)
    found: list[bytes] = []
    for message in FrameDecoder(1 << 20).receive_data(data):
        assert isinstance(message, Notification)
        part = msgspec.msgpack.decode(message.params, type=list[bytes])
        assert len(part) < 2 or len(encode_notification("events", part)) <= bytes_max
        found += part
    assert found == entries


def test_what_fits_leaves_in_one_frame() -> None:
    entries = [b"x" * 10] * 100
    assert encode_batch("events", entries, 1 << 20) == encode_notification("events", entries)


@given(values=st.lists(st.binary(max_size=50), max_size=20), bytes_max=st.integers(0, 300))
def test_how_many_fit_is_counted_as_they_are_encoded(values: list[bytes], bytes_max: int) -> None:
    count = fitting(values, bytes_max)
    sizes = [len(msgspec.msgpack.encode(value)) for value in values]
    assert sum(sizes[:count]) <= bytes_max
    assert count == len(values) or sum(sizes[: count + 1]) > bytes_max


def test_a_batch_is_one_frame_as_long_as_it_fits() -> None:
    whole = encode_batch("m", ["a" * 10, "b" * 10], 1_000)
    assert whole == encode_notification("m", ["a" * 10, "b" * 10])
    assert encode_batch("m", ["a" * 10, "b" * 10], len(whole)) == whole
    halves = encode_notification("m", ["a" * 10]) + encode_notification("m", ["b" * 10])
    assert encode_batch("m", ["a" * 10, "b" * 10], len(whole) - 1) == halves
    assert encode_batch("m", ["a" * 10], 5) == encode_notification("m", ["a" * 10])
