"""The output of a terminal: bytes by their offset, kept as long as they fit."""

from __future__ import annotations

import random
from itertools import combinations

import pytest

from holdfast.core.items import MUST, Binary, Text
from holdfast.core.limits import SessionLimits
from holdfast.sessions.outbox import AckError
from holdfast.sessions.ring import Ring
from holdfast.sessions.screen_modes import ScreenModes

LIMITS = SessionLimits(window_bytes_max=8_192)


def ring(*outputs: bytes) -> Ring:
    it = Ring(LIMITS)
    for output in outputs:
        add(it, output)
    return it


def add(it: Ring, output: bytes) -> None:
    if it.append(Binary(output), MUST, 0.0) and it.crowded():
        it.shrink(it.top)


def taken(it: Ring) -> bytes:
    _, items = it.take(it.top)
    return b"".join(item.data for item in items if isinstance(item, Binary))


def test_numbers_are_offsets() -> None:
    it = ring(b"hello ", b"world")
    assert (it.base, it.top, it.size) == (0, 11, 11)
    assert taken(it) == b"hello world"
    it.ack(6)
    assert (it.acked, it.base) == (6, 0), "what is acknowledged stays"
    with pytest.raises(AckError, match="acknowledged 12; the last one sent was 11"):
        it.ack(12)


def test_any_offset_is_exact() -> None:
    data = bytes(random.Random(1).randbytes(5_000))
    it = ring(*(data[at : at + 7] for at in range(0, 5_000, 7)))
    for offset in (0, 1, 6, 7, 1_023, 1_024, 4_999, 5_000):
        it.rewind(offset)
        assert taken(it) == data[offset:]


def test_few_large_pieces_are_kept_of_many_small_ones() -> None:
    it = ring(*[b"x" * 100] * 70)
    _, pieces = it.take(it.top)
    assert [len(piece.data) for piece in pieces if isinstance(piece, Binary)] == [1_000] * 7


def test_the_oldest_leaves_first() -> None:
    data = bytes(random.Random(2).randbytes(30_000))
    it = ring(*(data[at : at + 100] for at in range(0, 30_000, 100)))
    assert it.size <= LIMITS.window_bytes_max
    assert it.top == 30_000
    it.rewind(it.base)
    assert taken(it) == data[it.base :]


def test_nothing_leaves_that_was_not_sent() -> None:
    it = ring(b"a" * 4_000)
    taken(it)
    it.append(Binary(b"b" * 8_000), MUST, 0.0)
    it.crowded()
    it.shrink(it.sent)
    assert it.base == 4_000


def test_it_holds_bytes_alone() -> None:
    with pytest.raises(TypeError, match="expected Binary for a terminal, found Text"):
        ring().append(Text("hello"), MUST, 0.0)


def test_it_begins_with_a_line() -> None:
    it = ring(*[b"%04d\r\n" % number for number in range(3_000)])
    begin, prologue = it.beginning()
    assert begin % 6 == 0
    assert begin >= it.base
    assert prologue == b""


def test_it_begins_with_a_character() -> None:
    it = ring("é".encode() * 6_001 + b"x")
    it.skip_to(8_001)
    begin, _ = it.beginning()
    it.rewind(begin)
    assert taken(it).decode().startswith("é")


def test_the_modes_of_what_left_are_restored() -> None:
    it = ring(b"\x1b[?1049h\x1b[?25l\x1b[?20", b"04h", *[b"line\r\n"] * 4_000)
    assert it.beginning()[1] == b"\x1b[?1049h\x1b[?25l\x1b[?2004h"
    assert ring(b"\x1b[?25l").beginning() == (0, b""), "nothing is gone"


@pytest.mark.parametrize(
    ("pieces", "restored"),
    [
        ((b"plain",), b""),
        ((b"\x1b[?1;2004h",), b"\x1b[?1h\x1b[?2004h"),
        ((b"\x1b[?25l", b"\x1b[?25h"), b""),
        ((b"\x1b[?7l",), b"\x1b[?7l"),
        ((b"\x1b[?1006h\x1bc",), b""),
        ((b"\x1b", b"[", b"?", b"1049", b"h"), b"\x1b[?1049h"),
        ((b"\x1b[?99h\x1b[?h\x1b[31m",), b""),
        ((b"\x1b[?" + b"1" * 60, b"049h"), b""),
    ],
)
def test_modes(pieces: tuple[bytes, ...], restored: bytes) -> None:
    modes = ScreenModes()
    for piece in pieces:
        modes.feed(piece)
    assert modes.restore() == restored
    assert modes.copy().restore() == restored


def test_a_part_of_the_output_has_no_empty_pieces() -> None:
    it = ring(b"a" * 3_000, b"b" * 3_000, b"c" * 2_000)

    def pieces(after: int, upto: int) -> list[bytes]:
        return [item.data for item in it.view(after, upto) if isinstance(item, Binary)]

    ends = sorted({0, 100, it.top, *(len(data) for data in pieces(0, it.top))})
    for after, upto in combinations(ends, 2):
        assert all(pieces(after, upto)), (after, upto)
        assert sum(map(len, pieces(after, upto))) == upto - after
