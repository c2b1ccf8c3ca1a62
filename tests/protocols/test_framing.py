from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.protocols.framing import Event, LineDecoder, LineTooLong, whole_characters


@pytest.mark.parametrize(
    ("data", "events"),
    [
        pytest.param(b"look\n", ["look"], id="lf"),
        pytest.param(b"look\r\n", ["look"], id="cr-lf"),
        pytest.param(b"a\nb\r\n\n", ["a", "b", ""], id="several"),
        pytest.param(b"a\rb\n", ["a\rb"], id="cr-alone-is-text"),
        pytest.param(b"half", [], id="half-a-line-is-nothing"),
        pytest.param("é€\n".encode(), ["é€"], id="utf8"),
        pytest.param(b"\xff\n", ["\ufffd"], id="not-utf8"),
        pytest.param(b"12345678\n", ["12345678"], id="just-fits"),
        pytest.param(b"a\n123456789\nb\n", ["a", LineTooLong(8), "b"], id="too-long"),
        pytest.param(b"123456789", [LineTooLong(8)], id="too-long-without-end"),
    ],
)
@pytest.mark.parametrize("size", [1, 3, 100])
def test_lines(data: bytes, events: list[Event], size: int) -> None:
    decoder = LineDecoder(8)
    found = []
    for start in range(0, len(data), size):
        found += decoder.receive_data(data[start : start + size])
    assert found == events


@pytest.mark.parametrize("size", [1, 3, 100])
def test_long_lines_may_come_in_pieces_of_whole_characters(size: int) -> None:
    data = b"ab\n1234567" + "€".encode() + b"8901\n"
    decoder = LineDecoder(8, cuts=True)
    found = []
    for start in range(0, len(data), size):
        found += decoder.receive_data(data[start : start + size])
    assert found == ["ab", "1234567", "€8901"]
    assert decoder.unfinished == ""


def test_a_line_in_many_pieces_takes_no_more_time_for_each() -> None:
    """The work is that of one pass over the bytes: pieces are joined once."""
    decoder = LineDecoder(1 << 30)
    for _ in range(100_000):
        decoder.receive_data(b"x")
    assert len(decoder._pieces) == 100_000  # nothing was copied yet
    assert decoder.receive_data(b"\n") == ["x" * 100_000]


@given(data=st.binary(max_size=60), cuts=st.lists(st.integers(1, 9)))
def test_chunking_never_changes_the_lines(data: bytes, cuts: list[int]) -> None:
    whole = LineDecoder(8).receive_data(data)
    decoder = LineDecoder(8)
    events: list[Event] = []
    pos = 0
    for cut in [*cuts, len(data) or 1]:
        events += decoder.receive_data(data[pos : pos + cut])
        pos += cut
    assert events == whole


@pytest.mark.parametrize(
    ("line", "end", "place"),
    [
        (b"abc", 3, 3),
        (b"abc", 2, 2),
        ("aé".encode(), 2, 1),
        ("é".encode(), 2, 2),
        ("a€b".encode(), 3, 1),
        ("a€b".encode(), 4, 4),
        ("a😀".encode(), 4, 1),
        ("a😀".encode(), 5, 5),
        (b"a" + b"\x80" * 9, 8, 8),
        (b"a" + b"\x80" * 4, 4, 4),
        (b"\x80\x80", 1, 1),
    ],
)
def test_a_cut_splits_no_character(line: bytes, end: int, place: int) -> None:
    assert whole_characters(line, end) == place


def test_a_line_that_may_be_cut_is_cut_at_the_limit_and_no_earlier() -> None:
    decoder = LineDecoder(4, cuts=True)
    assert decoder.receive_data(b"1234") == []
    assert decoder.unfinished == "1234"
    assert decoder.receive_data(b"5") == ["1234"]
    assert decoder.unfinished == "5"
    assert decoder.receive_data(b"6789abc\n") == ["5678", "9abc"]


def test_a_line_after_one_that_is_discarded_has_the_whole_limit() -> None:
    decoder = LineDecoder(4)
    assert decoder.receive_data(b"123") == []
    assert decoder.receive_data(b"45") == [LineTooLong(4)]
    assert decoder.unfinished == ""
    assert decoder.receive_data(b"6\n1234\n") == ["1234"]


@given(data=st.binary(max_size=30), at=st.integers(0, 30), cuts=st.booleans())
def test_a_decoder_goes_on_where_a_snapshot_was_made(data: bytes, at: int, cuts: bool) -> None:
    whole, first, second = (LineDecoder(4, cuts=cuts) for _ in range(3))
    events = first.receive_data(data[:at])
    second.restore(first.snapshot())
    assert events + second.receive_data(data[at:] + b"12345\n") == whole.receive_data(
        data + b"12345\n"
    )


def test_an_incomplete_line_takes_its_bytes_and_something_for_each_piece() -> None:
    decoder = LineDecoder(4, cuts=True)
    assert decoder.pending == 0
    decoder.receive_data(b"12")
    one = decoder.pending
    decoder.receive_data(b"34")
    assert decoder.pending == 2 * one > 4
    decoder.receive_data(b"56")
    assert (decoder.unfinished, decoder.pending) == ("56", one), "four bytes were a line"
    decoder.receive_data(b"\n")
    assert decoder.pending == 0
