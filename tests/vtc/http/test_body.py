import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.vtc.http.body import (
    c_string,
    digits,
    first_off_pattern,
    gunzip,
    gzip,
    pattern_body,
    random_body,
)


def reference_pattern(length: int) -> bytes:
    """The generated body, character by character as VTest2 makes it."""
    body = bytearray()
    shown = first = ord("!")
    for place in range(length):
        if place % 64 == 63:
            body.append(ord("\n"))
            first = ord("!") if first + 1 == ord("~") else first + 1
            shown = first
        else:
            body.append(shown)
            shown = ord("!") if shown + 1 == ord("~") else shown + 1
    body[length - 1] = ord("\n")
    return bytes(body)


@pytest.mark.parametrize("length", [1, 2, 63, 64, 65, 128, 5951, 5952, 5953, 100_000])
def test_a_generated_body_is_the_reference_s(length: int) -> None:
    assert pattern_body(length) == reference_pattern(length)


def test_a_random_body_has_lines() -> None:
    body = random_body(200)
    assert len(body) == 200
    assert [place for place, code in enumerate(body) if code == 10] == [63, 127, 191, 199]
    assert all(32 <= code < 127 or code == 10 for code in body)
    assert random_body(200) != body


def test_digits_repeat_and_a_break_is_found() -> None:
    assert digits(10) == b"0123456701"
    assert first_off_pattern(b"0123456701") == -1
    assert first_off_pattern(b"") == -1
    assert first_off_pattern(b"0123x567") == 4


@given(st.binary(max_size=500), st.integers(0, 9), st.booleans())
def test_what_is_packed_is_unpacked(data: bytes, level: int, fragments: bool) -> None:
    assert gunzip(gzip(data, level, fragments=fragments)) == data


def test_a_stored_body_has_the_reference_s_length() -> None:
    assert len(gzip(b"FOO", 0)) == 26


@pytest.mark.parametrize("data", [b"", b"no gzip", gzip(b"hello", 9)[:-1]])
def test_what_is_no_gzip_is_refused(data: bytes) -> None:
    with pytest.raises(zlib.error):
        gunzip(data)


def test_a_body_ends_at_its_nul_for_expect() -> None:
    assert c_string(b"a\0b") == b"a"
    assert c_string(bytearray(b"ab")) == b"ab"
