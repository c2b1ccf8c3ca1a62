"""Where requests begin and end."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.protocols.http_requests import HEADS_MAX, RequestReader
from holdfast.protocols.websocket.head import HeadError

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
SIZED = b"POST /sized HTTP/1.1\r\nContent-Length: 5\r\n\r\n"
CHUNKED = b"POST /chunked HTTP/1.1\r\nTransfer-Encoding: Chunked\r\n\r\n"
CHUNKS = b"3\r\nabc\r\nA;x=y\r\n0123456789\r\n0\r\nT: u\r\n\r\n"
STREAM = b"\r\n" + GET + SIZED + b"hello" + CHUNKED + CHUNKS + GET


def split(data: bytes, cuts: list[int]) -> list[tuple[str, bytes]]:
    """The targets of the requests in `data` and their bodies."""
    reader = RequestReader(head_bytes_max=200, header_count_max=10)
    found: list[tuple[str, bytes]] = []
    for begin, end in zip([0, *cuts], [*cuts, len(data)], strict=True):
        reader.receive_data(data[begin:end])
        while True:
            if reader.in_body:
                body = reader.take_body()
                target, before = found[-1]
                found[-1] = target, before + body
                if not body or reader.in_body:
                    break
            elif (head := reader.take_head()) is not None:
                found.append((head[0].target, b""))
            else:
                break
    assert not reader.waiting
    return found


@settings(deadline=None)
@given(st.lists(st.integers(0, len(STREAM))))
def test_pieces_change_nothing(cuts: list[int]) -> None:
    assert split(STREAM, sorted(cuts)) == [
        ("/", b""),
        ("/sized", b"hello"),
        ("/chunked", CHUNKS),
        ("/", b""),
    ]


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"GET /" + b"x" * 300, 431),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
        (b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 11 + b"\r\n", 431),
        (b"GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nContent-Length: \xb2\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nTransfer-Encoding: chunked, chunked\r\n\r\n", 501),
        (b"GET / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        (CHUNKED + b"g\r\n", 400),
        (CHUNKED + b"1" * 300, 400),
        (CHUNKED + b"0\r\n" + (b"x" * 200 + b"\r\n") * 50, 431),
    ],
)
def test_what_cannot_be_read_is_refused(data: bytes, status: int) -> None:
    with pytest.raises(HeadError) as caught:
        split(data, [])
    assert caught.value.status == status


@given(st.binary(max_size=100), st.lists(st.integers(0, 200)))
def test_any_bytes_are_requests_or_refused(data: bytes, cuts: list[int]) -> None:
    reader = RequestReader(head_bytes_max=50, header_count_max=3)
    reader.receive_data(CHUNKED[:0] + data)
    try:
        for _ in range(10):
            if reader.in_body:
                reader.take_body()
            elif reader.take_head() is None:
                break
    except HeadError:
        pass


@pytest.mark.parametrize(
    ("data", "right"),
    [
        pytest.param(b"GET /" + b"x" * 186 + b" HTTP/1.1\r\n\r\n", True, id="head"),
        pytest.param(b"GET /" + b"x" * 187 + b" HTTP/1.1\r\n\r\n", False, id="longer-head"),
        pytest.param(b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 10 + b"\r\n", True, id="fields"),
        pytest.param(CHUNKED + b"1;" + b"x" * 252 + b"\r\n", True, id="chunk-line"),
        pytest.param(CHUNKED + b"1;" + b"x" * 253 + b"\r\n", False, id="longer-chunk-line"),
        pytest.param(CHUNKED + b"1;" + b"x" * 253, True, id="half-a-chunk-line"),
        pytest.param(CHUNKED + b"1;" + b"x" * 254, False, id="half-a-longer-chunk-line"),
        pytest.param(CHUNKED + b"0" * 15 + b"1\r\n", True, id="digits"),
        pytest.param(CHUNKED + b"0" * 16 + b"1\r\n", False, id="more-digits"),
        pytest.param(CHUNKED + b"\r\n", False, id="no-digits"),
        pytest.param(CHUNKED + b"0\r\n" + (b"x" * 128 + b"\r\n") * 64, True, id="trailers"),
        pytest.param(
            CHUNKED + b"0\r\n" + (b"x" * 128 + b"\r\n") * 64 + b"x\r\n", False, id="more-trailers"
        ),
        pytest.param(
            b"GET / HTTP/1.1\r\nContent-Length: " + b"0" * 17 + b"1\r\n\r\nx", True, id="length"
        ),
        pytest.param(
            b"GET / HTTP/1.1\r\nContent-Length: " + b"0" * 18 + b"1\r\n\r\nx", False, id="longer"
        ),
        pytest.param(b"GET / HTTP/1.1\r\nContent-Length: \r\n\r\n", False, id="no-length"),
        pytest.param(b"GET / HTTP/1.0\r\n\r\n", True, id="http-1.0"),
        pytest.param(b"GET / HTTP/0.9\r\n\r\n", False, id="http-0.9"),
        pytest.param(
            b"GET / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
            False,
            id="both",
        ),
    ],
)
def test_both_sides_of_each_limit(data: bytes, right: bool) -> None:
    reader = RequestReader(head_bytes_max=200, header_count_max=10)
    reader.receive_data(data)
    try:
        assert reader.take_head() is not None
        reader.take_body()
    except HeadError:
        assert not right
    else:
        assert right


def test_a_body_of_no_bytes_is_none() -> None:
    reader = RequestReader(head_bytes_max=200, header_count_max=10)
    reader.receive_data(b"GET / HTTP/1.1\r\nContent-Length: 0\r\n\r\n" + GET)
    found = reader.take_head()
    assert found is not None
    assert found[0].target == "/"
    assert not reader.in_body
    assert reader.waiting
    assert reader.take_head() is not None
    assert not reader.waiting
    assert reader.rest() == b""


def test_a_wrong_size_of_a_chunk_is_quoted_up_to_forty_bytes() -> None:
    reader = RequestReader(head_bytes_max=200, header_count_max=10)
    reader.receive_data(CHUNKED + b"x" * 41 + b"\r\n")
    assert reader.take_head() is not None
    with pytest.raises(HeadError, match=f"^expected the size of a chunk, found b'{'x' * 40}'$"):
        reader.take_body()


def test_a_head_that_comes_again_has_a_body_of_its_own() -> None:
    requests = [(SIZED, b"hello"), (SIZED, b"again"), (GET, b""), (GET, b""), (SIZED, b"third")]
    data = b"".join(head + body for head, body in requests)
    assert [body for _, body in split(data, [])] == [body for _, body in requests]


@pytest.mark.parametrize(
    ("before", "data", "whole"),
    [
        pytest.param(SIZED + b"first", SIZED + b"hello", b"hello", id="whole"),
        pytest.param(GET, GET, b"", id="without-a-body"),
        pytest.param(
            SIZED + b"first", SIZED + b"\r\n\r\nx", b"\r\n\r\nx", id="the-end-of-a-head-in-a-body"
        ),
        pytest.param(GET, SIZED + b"hello", None, id="another-head"),
        pytest.param(SIZED + b"first", SIZED + b"hell", None, id="less"),
        pytest.param(SIZED + b"first", SIZED + b"hello" + GET, None, id="more"),
        pytest.param(SIZED + b"first", SIZED[:-1], None, id="half-a-head"),
        pytest.param(SIZED + b"fir", SIZED + b"hello", None, id="in-a-body"),
        pytest.param(GET + SIZED[:9], GET, None, id="in-a-head"),
        pytest.param(CHUNKED + CHUNKS, CHUNKED + CHUNKS, None, id="chunks"),
        pytest.param(GET, b"\r\n" + GET, None, id="behind-an-empty-line"),
    ],
)
def test_a_whole_request_is_found_by_a_head_that_came_before(
    before: bytes, data: bytes, whole: bytes | None
) -> None:
    reader = RequestReader(head_bytes_max=200, header_count_max=10)
    reader.receive_data(before)
    first = reader.take_head()
    assert first is not None
    reader.take_body()
    if before.startswith(GET):
        reader.take_head()
    found = reader.find_whole(data)
    assert found == (None if whole is None else (first[0], whole))
    assert found is None or found[0] is first[0]


def test_so_many_heads_are_remembered() -> None:
    reader = RequestReader(head_bytes_max=200, header_count_max=10)
    heads = [b"GET /%d HTTP/1.1\r\n\r\n" % number for number in range(HEADS_MAX + 1)]
    for head in heads:
        reader.receive_data(head)
        assert reader.take_head() is not None
    assert reader.find_whole(heads[0]) is None
    assert reader.find_whole(heads[-1]) is not None
