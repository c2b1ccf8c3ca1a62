"""Lines of standard input, and both sides of their limit."""

from __future__ import annotations

import stat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.cli.keyboard import LINE_BYTES_MAX, LineSplitter, _may_wait


@pytest.mark.parametrize("size", [1, 2, 3, 100])
@pytest.mark.parametrize(
    ("data", "lines"),
    [
        (b"", []),
        (b"a\nbc\n", [b"a", b"bc"]),
        (b"a\n\nb", [b"a", b"", b"b"]),
        (b"1234\n", [b"1234"]),
        (b"12345\nb\n", [None, b"b"]),
        (b"12345678901\n1234\n", [None, b"1234"]),
        (b"12345", [None]),
        (b"1234", [b"1234"]),
        (b"123\n4567\n89", [b"123", b"4567", b"89"]),
        (b"a\r\n", [b"a\r"]),
    ],
)
def test_a_line_ends_with_lf_and_has_a_limit(
    data: bytes, lines: list[bytes | None], size: int
) -> None:
    splitter = LineSplitter(4)
    found: list[bytes | None] = []
    for start in range(0, len(data), size):
        found += splitter.receive_data(data[start : start + size])
    assert found + splitter.receive_eof() == lines
    assert splitter.receive_eof() == []


def test_what_is_too_long_is_not_kept() -> None:
    splitter = LineSplitter(4)
    for _ in range(1000):
        assert splitter.receive_data(b"xy") == []
    assert splitter._parts == []


@given(st.lists(st.binary(max_size=6).filter(lambda line: b"\n" not in line)))
def test_lines_come_as_they_were(lines: list[bytes]) -> None:
    splitter = LineSplitter(4)
    found = splitter.receive_data(b"".join(line + b"\n" for line in lines))
    assert found == [line if len(line) <= 4 else None for line in lines]


def test_a_line_of_a_mebibyte_is_kept() -> None:
    assert LINE_BYTES_MAX == 1 << 20


def test_only_what_may_have_to_wait_is_read_by_the_event_loop() -> None:
    assert _may_wait(stat.S_IFIFO | 0o600)
    assert _may_wait(stat.S_IFSOCK | 0o600)
    assert not _may_wait(stat.S_IFREG | 0o600)
    assert not _may_wait(stat.S_IFCHR | 0o600)
