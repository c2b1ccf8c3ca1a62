"""Where requests begin and end."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.protocols.http_requests import RequestReader
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
