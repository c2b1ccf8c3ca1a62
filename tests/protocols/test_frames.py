"""Frames: bytes on the wire and what they are."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.protocols.frames import (
    Chunked,
    Delimited,
    Fixed,
    FrameError,
    FrameTooLargeError,
    Framing,
    LengthPrefixed,
    Netstring,
    VarintPrefixed,
)

Make = Callable[[], Framing]
MAKERS: dict[str, Make] = {
    "length-1": lambda: LengthPrefixed(200, 1),
    "length-2": lambda: LengthPrefixed(200, 2),
    "length-4": lambda: LengthPrefixed(200),
    "length-8-little": lambda: LengthPrefixed(200, 8, "little"),
    "varint": lambda: VarintPrefixed(200),
    "delimited": lambda: Delimited(200, b"\r\n"),
    "netstring": lambda: Netstring(200),
    "chunked": lambda: Chunked(200),
}


@pytest.mark.parametrize(
    ("framing", "wire", "frames"),
    [
        (LengthPrefixed(9, 1), b"\x02ab\x00\x01c", [b"ab", b"", b"c"]),
        (LengthPrefixed(9, 2), b"\x00\x02ab", [b"ab"]),
        (LengthPrefixed(9, 2, "little"), b"\x02\x00ab", [b"ab"]),
        (LengthPrefixed(9, 4), b"\x00\x00\x00\x02ab", [b"ab"]),
        (LengthPrefixed(9, 8), b"\x00\x00\x00\x00\x00\x00\x00\x02ab", [b"ab"]),
        (VarintPrefixed(300), b"\xac\x02" + 300 * b"x", [300 * b"x"]),
        (VarintPrefixed(300), b"\x00\x01a", [b"", b"a"]),
        (Delimited(9, b"--"), b"a-b--c----", [b"a-b", b"c", b""]),
        (Fixed(3), b"abcdef", [b"abc", b"def"]),
        (Netstring(99), b"5:hello,0:,2:,,,", [b"hello", b"", b",,"]),
        (Chunked(99), b"5\r\nhello\r\n1a\r\n" + 26 * b"x" + b"\r\n", [b"hello", 26 * b"x"]),
        (Chunked(99), b"2\r\n\r\n\r\n0\r\n\r\n1\r\na\r\n0\r\n\r\n", [b"\r\n", b"", b"a", b""]),
    ],
)
def test_frames_both_ways(framing: Framing, wire: bytes, frames: list[bytes]) -> None:
    assert framing.receive_data(wire) == frames
    framing.receive_eof()
    assert b"".join(map(framing.encode, frames)) == wire


@pytest.mark.parametrize(
    ("framing", "wire", "error", "fault"),
    [
        (LengthPrefixed(9, 1), b"\x0a", FrameTooLargeError, "at most 9 bytes, found 10"),
        (VarintPrefixed(9), b"\x0a", FrameTooLargeError, "at most 9 bytes, found 10"),
        (VarintPrefixed(9), 10 * b"\x80", FrameError, "a length of at most 10 bytes"),
        (Delimited(3, b"--"), b"abcd-", FrameTooLargeError, "at most 3 bytes, found 4"),
        (Delimited(3, b"-"), b"abcd-", FrameTooLargeError, "at most 3 bytes"),
        (Netstring(9), b"10:", FrameTooLargeError, "at most 9 bytes, found 10"),
        (Netstring(9), b"10", FrameTooLargeError, "at most 9 bytes, found 10"),
        (Netstring(9), b"01:a,", FrameError, "expected a length and a colon, found b'01'"),
        (Netstring(9), b"a:", FrameError, "expected a length and a colon, found b'a'"),
        (Netstring(9), b":", FrameError, "expected a length before the colon"),
        (Netstring(9), b"1:ab", FrameError, "expected a comma after the frame, found b'b'"),
        (Chunked(9), b"a\r\n", FrameTooLargeError, "at most 9 bytes, found 10"),
        (Chunked(9), b"-1\r\n", FrameError, "expected the size of a chunk, found b'-1'"),
        (Chunked(9), b"\r\n", FrameError, "expected the size of a chunk, found b''"),
        (Chunked(9), 256 * b"1", FrameError, "the size of a chunk within 256 bytes"),
        (Chunked(9), b"1\r\nabc", FrameError, "a line end after a chunk, found b'bc'"),
        (Chunked(9), b"0\r\n" + 8192 * b"x", FrameTooLargeError, "trailer fields of at most 8192"),
    ],
)
def test_what_is_no_frame_is_refused(
    framing: Framing, wire: bytes, error: type[FrameError], fault: str
) -> None:
    with pytest.raises(error, match=fault):
        framing.receive_data(wire)


@pytest.mark.parametrize(
    ("framing", "frame", "fault"),
    [
        (LengthPrefixed(300, 1), bytes(256), "a length of 1 bytes, found a frame of 256"),
        (LengthPrefixed(9), bytes(10), "at most 9 bytes, found 10"),
        (VarintPrefixed(9), bytes(10), "at most 9 bytes"),
        (Netstring(9), bytes(10), "at most 9 bytes"),
        (Delimited(9, b"\n"), b"a\nb", r"no b'\\n' in a frame"),
        (Delimited(9, b"\n"), bytes(10), "at most 9 bytes"),
        (Fixed(3), b"ab", "a frame of 3 bytes, found 2"),
    ],
)
def test_what_the_other_side_would_refuse_is_not_sent(
    framing: Framing, frame: bytes, fault: str
) -> None:
    with pytest.raises(FrameError, match=fault):
        framing.encode(frame)


def test_a_delimiter_has_a_byte() -> None:
    with pytest.raises(ValueError, match="at least one byte"):
        Delimited(9, b"")


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_an_end_within_a_frame_is_told(make: Make) -> None:
    framing = make()
    wire = framing.encode(b"hello")
    assert framing.receive_data(wire[:-1]) == []
    with pytest.raises(FrameError, match=f"the rest of a frame after {len(wire) - 1} bytes"):
        framing.receive_eof()


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
@given(
    frames=st.lists(st.binary(max_size=199).map(lambda data: data.replace(b"\r", b"")), max_size=5),
    cuts=st.lists(st.integers(1, 40)),
)
def test_what_is_encoded_is_decoded_however_it_is_cut(
    make: Make, frames: list[bytes], cuts: list[int]
) -> None:
    framing = make()
    wire = b"".join(map(framing.encode, frames))
    found: list[bytes] = []
    at = 0
    for cut in [*cuts, len(wire) or 1]:
        found += framing.receive_data(wire[at : at + cut])
        at += cut
    assert found == frames
    framing.receive_eof()


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
@given(data=st.binary())
def test_arbitrary_bytes_give_frames_or_an_error_and_nothing_else(make: Make, data: bytes) -> None:
    with contextlib.suppress(FrameError):
        assert all(len(frame) <= 200 for frame in make().receive_data(data))


def test_lengths_of_as_many_digits_as_the_limit_wait_for_their_colon() -> None:
    framing = Netstring(15)
    assert framing.receive_data(b"15") == []
    assert framing.receive_data(b":" + bytes(15) + b",") == [bytes(15)]
    with pytest.raises(FrameTooLargeError, match="at most 15 bytes, found 16"):
        framing.receive_data(b"16:")


def test_extensions_of_chunks_and_trailers_are_left_out() -> None:
    """RFC 9112 sections 7.1.1 and 7.1.2."""
    wire = b'2;a=b;c="d"\r\nab\r\n0 ;e\r\nSome: trailer\r\nOther: one\r\n\r\n1\r\nc\r\n'
    assert Chunked(9).receive_data(wire) == [b"ab", b"", b"c"]
