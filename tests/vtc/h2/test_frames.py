import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.vtc.h2.frames import (
    HEADER_BYTES,
    Flag,
    Frame,
    FrameType,
    Http2FrameError,
    Priority,
    error_name,
    parse_header,
    parse_payload,
    type_name,
)


def parsed(kind: int, payload: bytes, flags: int = 0, stream: int = 1) -> Frame:
    frame = Frame(kind, flags, stream, payload)
    parse_payload(frame)
    return frame


@given(st.integers(0, 255), st.integers(0, 255), st.integers(0, 2**32 - 1), st.binary(max_size=99))
def test_a_frame_that_is_written_is_read_again(
    kind: int, flags: int, stream: int, payload: bytes
) -> None:
    data = Frame(kind, flags, stream, payload).encode()
    size, frame = parse_header(data[:HEADER_BYTES])
    assert (size, frame.type, frame.flags, frame.stream) == (len(payload), kind, flags, stream)
    assert data[HEADER_BYTES:] == payload


@given(st.sampled_from(FrameType), st.integers(0, 255), st.binary(max_size=40))
def test_any_payload_is_taken_apart_or_refused(kind: FrameType, flags: int, payload: bytes) -> None:
    frame = Frame(kind, flags, 0, payload)
    try:
        parse_payload(frame)
    except Http2FrameError:
        return
    assert len(frame.content) <= len(payload)


def test_padding_is_taken_off() -> None:
    frame = parsed(FrameType.DATA, b"\x02abcXX", Flag.PADDED)
    assert (frame.content, frame.padding) == (b"abc", 2)


def test_a_priority_stands_before_the_fields() -> None:
    payload = b"\x01" + bytes.fromhex("80000003 10") + b"fields" + b"X"
    frame = parsed(FrameType.HEADERS, payload, Flag.PADDED | Flag.PRIORITY)
    assert frame.priority == Priority(3, True, 16)
    assert frame.content == b"fields"


def test_a_frame_may_have_no_fields_behind_its_priority() -> None:
    alone = parsed(FrameType.HEADERS, bytes.fromhex("00000003 10"), Flag.PRIORITY)
    assert (alone.priority, alone.content) == (Priority(3, False, 16), b"")
    assert parsed(FrameType.HEADERS, b"abc").content == b"abc", "without the flag there is none"
    assert parsed(FrameType.DATA, b"abcdef", Flag.PRIORITY).content == b"abcdef"
    assert parsed(FrameType.PUSH_PROMISE, bytes(4)).content == b""


def test_a_promise_names_a_stream() -> None:
    frame = parsed(FrameType.PUSH_PROMISE, bytes.fromhex("00000002") + b"fields")
    assert (frame.promised, frame.content) == (2, b"fields")


def test_settings_are_pairs() -> None:
    frame = parsed(FrameType.SETTINGS, bytes.fromhex("0001 00001000 0004 0000ffff"), stream=0)
    assert frame.settings == {1: 4096, 4: 65535}


def test_a_goodbye_has_a_reason() -> None:
    frame = parsed(FrameType.GOAWAY, bytes.fromhex("00000005 00000002") + b"why")
    assert (frame.last_stream, frame.code, frame.debug) == (5, 2, b"why")
    assert parsed(FrameType.GOAWAY, bytes(8)).debug is None


@pytest.mark.parametrize(
    ("kind", "payload", "flags", "stream", "reason"),
    [
        (FrameType.DATA, b"\x05abc", Flag.PADDED, 1, "invalid padding"),
        (FrameType.DATA, b"", Flag.PADDED, 1, "invalid padding"),
        (FrameType.HEADERS, b"abcd", Flag.PRIORITY, 1, "too short"),
        (FrameType.DATA, b"\x04abc", Flag.PADDED, 1, "size is only 4"),
        (FrameType.PUSH_PROMISE, b"abc", 0, 1, "too short"),
        (FrameType.PRIORITY, b"abc", 0, 1, "Size should be 5"),
        (FrameType.RST_STREAM, b"abc", 0, 1, "Size should be 4"),
        (FrameType.SETTINGS, b"abc", 0, 0, "multiple of 6"),
        (FrameType.SETTINGS, b"", 0, 1, "only be on stream 0"),
        (FrameType.PING, b"abc", 0, 0, "Size should be 8"),
        (FrameType.GOAWAY, b"abc", 0, 0, "at least 8"),
        (FrameType.GOAWAY, b"\x80" + bytes(7), 0, 0, "reserved"),
        (FrameType.WINDOW_UPDATE, b"abc", 0, 0, "Size should be 4"),
        (77, b"", 0, 0, "unknown frame type 77"),
    ],
)
def test_a_frame_that_breaks_the_rules_is_refused(
    kind: int, payload: bytes, flags: int, stream: int, reason: str
) -> None:
    with pytest.raises(Http2FrameError, match=reason):
        parsed(kind, payload, flags, stream)


def test_names() -> None:
    assert type_name(8) == "WINDOW_UPDATE"
    assert type_name(99) == "?"
    assert error_name(8) == "CANCEL"
    assert error_name(99) == "unknown"
