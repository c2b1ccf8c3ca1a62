import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.vtc.http.head import (
    FIELDS_MAX,
    HttpHeadError,
    count_fields,
    find_end,
    find_field,
    split_head,
)


@pytest.mark.parametrize(
    ("data", "end"),
    [
        (b"", -1),
        (b"GET / HTTP/1.1\r\n", -1),
        (b"GET / HTTP/1.1\r\n\r\n", 18),
        (b"GET / HTTP/1.1\r\n\r\nbody", 18),
        (b"GET / HTTP/1.1\n\n", 16),
        (b"GET / HTTP/1.1\n\r\nx", 17),
        (b"a\r\n\rb\r\n\r\n", 9),
        (b"\n\n", 2),
        (b"a\r\r\n", -1),
    ],
)
def test_a_head_ends_at_its_empty_line(data: bytes, end: int) -> None:
    assert find_end(data) == end


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", []),
        (b"GET / HTTP/1.1\r\n\r\n", ["GET", "/", "HTTP/1.1"]),
        (b"HTTP/1.1 200\r\n\r\n", ["HTTP/1.1", "200", None]),
        (b"HTTP/1.1 404 Not Found\r\n\r\n", ["HTTP/1.1", "404", "Not Found"]),
        (b"\r\nGET  /  x\n\n", ["GET", "/", "x"]),
        (b"GET / x\r\nA: 1\r\nB:2\r\n\r\n", ["GET", "/", "x", "A: 1", "B:2"]),
        (b"GET / x\nA: 1\n folded\n\n", ["GET", "/", "x", "A: 1", " folded"]),
        (b"GET / x\r\nA: \xe9\r\n\r\n", ["GET", "/", "x", "A: \xe9"]),
        (b"GET / x\r\nA: 1", ["GET", "/", "x", "A: 1"]),
        (b"GET / x\r\nA: 1\r2\r\n\r\n", ["GET", "/", "x", "A: 1\r2"]),
    ],
)
def test_a_head_is_taken_apart(data: bytes, expected: list[str | None]) -> None:
    assert split_head(data) == expected


@pytest.mark.parametrize("data", [b"\r\n\r\n", b"GET\r\n\r\n", b"GET \r\n\r\n"])
def test_a_first_line_has_two_words(data: bytes) -> None:
    with pytest.raises(HttpHeadError):
        split_head(data)


def test_a_head_has_a_limit() -> None:
    fields = b"A: 1\r\n" * (FIELDS_MAX - 3)
    assert len(split_head(b"GET / x\r\n" + fields + b"\r\n")) == FIELDS_MAX
    with pytest.raises(HttpHeadError, match=f"more than {FIELDS_MAX} lines"):
        split_head(b"GET / x\r\n" + fields + b"A: 1\r\n\r\n")


@pytest.mark.parametrize(
    ("name", "value", "number"),
    [("a", "1", 2), ("A", "1", 2), ("b", "", 1), ("c", None, 0), ("long", "\tx y", 1)],
)
def test_fields_are_found_by_name(name: str, value: str | None, number: int) -> None:
    head = split_head(b"GET / x\r\nA:  1\r\nB:\r\na: 2\r\nLong:\tx y\r\n\r\n")
    wanted = value.lstrip("\t") if value else value
    assert find_field(head, name) == wanted
    assert count_fields(head, name) == number


TOKEN = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=12)
VALUE = st.text(st.characters(min_codepoint=33, max_codepoint=255), min_size=1, max_size=20)


@given(TOKEN, TOKEN, TOKEN, st.lists(st.tuples(TOKEN.map(lambda t: t.replace(":", "x")), VALUE)))
def test_a_head_that_is_written_is_read_again(
    method: str, url: str, proto: str, fields: list[tuple[str, str]]
) -> None:
    lines = [f"{method} {url} {proto}", *(f"{name}: {value}" for name, value in fields[:60])]
    data = "\r\n".join([*lines, "", ""]).encode("latin-1")
    assert find_end(data) == len(data)
    assert split_head(data) == [method, url, proto, *lines[1:]]


@given(st.binary(max_size=80))
def test_any_bytes_give_a_head_or_an_error(data: bytes) -> None:
    try:
        head = split_head(data)
    except HttpHeadError:
        return
    assert len(head) in (0, *range(3, FIELDS_MAX + 1))


@given(st.binary(max_size=40), st.integers(0, 40))
def test_the_end_of_a_head_does_not_depend_on_what_follows(data: bytes, cut: int) -> None:
    end = find_end(data)
    if 0 <= end <= cut:
        assert find_end(data[:cut]) == end
