from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.protocols.framing import Event, LineDecoder, LineTooLong


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
