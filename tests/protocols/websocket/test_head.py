"""Heads of requests and responses: what is read, what is refused, and both sides of the limit."""

from __future__ import annotations

import pytest

from holdfast.protocols.websocket.head import (
    HeadError,
    Headers,
    Request,
    Response,
    parse_request,
    parse_response,
    write_head,
)

FIELDS = Headers(
    (
        ("connection", "keep-alive, Upgrade"),
        ("x", "1"),
        ("x", ""),
        ("connection", "close"),
        ("upgrade", "WebSocket"),
        ("list", "a, ,b,"),
    )
)


@pytest.mark.parametrize(
    ("name", "first", "every"),
    [("x", "1", ["1", ""]), ("upgrade", "WebSocket", ["WebSocket"]), ("y", None, [])],
)
def test_fields_are_found_by_name(name: str, first: str | None, every: list[str]) -> None:
    assert FIELDS.get(name) == first
    assert FIELDS.get_all(name) == every


def test_a_list_field_has_elements() -> None:
    assert FIELDS.tokens("connection") == ["keep-alive", "Upgrade", "close"]
    assert FIELDS.tokens("list") == ["a", "b"]
    assert FIELDS.tokens("x") == ["1"]
    assert FIELDS.tokens("y") == []


@pytest.mark.parametrize(
    ("name", "token", "there"),
    [
        ("connection", "upgrade", True),
        ("connection", "close", True),
        ("connection", "keep-alive", True),
        ("connection", "keep", False),
        ("upgrade", "websocket", True),
        ("upgrade", "web", False),
        ("x", "1", True),
        ("y", "upgrade", False),
    ],
)
def test_an_element_is_found_in_any_case(name: str, token: str, there: bool) -> None:
    assert FIELDS.has_token(name, token) is there


@pytest.mark.parametrize(
    ("line", "request_line"),
    [
        (b"GET / HTTP/1.1", ("GET", "/", (1, 1))),
        (b"M-SEARCH * HTTP/2.0", ("M-SEARCH", "*", (2, 0))),
        (b"GET /a?b=c HTTP/1.0", ("GET", "/a?b=c", (1, 0))),
    ],
)
def test_a_request_line_is_read(
    line: bytes, request_line: tuple[str, str, tuple[int, int]]
) -> None:
    request = parse_request(line, header_count_max=0)
    assert (request.method, request.target, request.version) == request_line
    assert request.headers == Headers()


@pytest.mark.parametrize(
    "line",
    [
        b"", b"GET", b"GET /", b"GET  / HTTP/1.1", b"GET / HTTP/1", b"GET / HTTP/11.1",
        b"GET / http/1.1", b"GET / HTTP/1.1 ", b" GET / HTTP/1.1", b"G\x01T / HTTP/1.1",
        b"GET /\xe9 HTTP/1.1",
    ],
)  # fmt: skip
def test_what_is_no_request_line_is_refused(line: bytes) -> None:
    with pytest.raises(HeadError, match="malformed request line") as caught:
        parse_request(line, header_count_max=9)
    assert caught.value.status == 400


@pytest.mark.parametrize(
    ("line", "status", "reason"),
    [
        (b"HTTP/1.1 101 Switching Protocols", 101, "Switching Protocols"),
        (b"HTTP/1.0 404 ", 404, ""),
        (b"HTTP/1.1 200", 200, ""),
        (b"HTTP/1.1 200 \xe9", 200, "\xe9"),
    ],
)
def test_a_status_line_is_read(line: bytes, status: int, reason: str) -> None:
    assert parse_response(line, header_count_max=0) == Response(status, reason, Headers())


@pytest.mark.parametrize(
    "line", [b"", b"HTTP/1.1", b"HTTP/1.1 20", b"HTTP/1.1 2000", b"HTTP/1.1 200OK", b"ICY 200 OK"]
)
def test_what_is_no_status_line_is_refused(line: bytes) -> None:
    with pytest.raises(HeadError, match="malformed status line") as caught:
        parse_response(line, header_count_max=9)
    assert caught.value.status == 502


def test_fields_are_read_in_their_order() -> None:
    head = b"GET / HTTP/1.1\r\nA: 1\r\nb:\t2 \t\r\nA:\r\nC: \xe9 x"
    request = parse_request(head, header_count_max=4)
    assert request.headers.fields == (("a", "1"), ("b", "2"), ("a", ""), ("c", "\xe9 x"))


@pytest.mark.parametrize(
    "field", [b"A : 1", b"A", b": 1", b" A: 1", b"A: \x00", b"A: 1\n2", b"\xe9: 1", b""]
)
def test_what_is_no_field_is_refused(field: bytes) -> None:
    with pytest.raises(HeadError, match="malformed header field") as caught:
        parse_request(b"GET / HTTP/1.1\r\n" + field, header_count_max=9)
    assert caught.value.status == 400


def test_fields_have_a_limit() -> None:
    head = b"GET / HTTP/1.1\r\nA: 1\r\nB: 2"
    assert len(parse_request(head, header_count_max=2).headers.fields) == 2
    with pytest.raises(HeadError, match="2 header fields; at most 1 are read") as caught:
        parse_request(head, header_count_max=1)
    assert caught.value.status == 431


@pytest.mark.parametrize(
    ("target", "path", "host"),
    [
        ("/a/b?c?d", "/a/b", "named"),
        ("http://other:80/a?b", "/a", "other:80"),
        ("*", "*", "named"),
    ],
)
def test_a_target_has_a_path_and_maybe_a_host(target: str, path: str, host: str) -> None:
    request = Request("GET", target, (1, 1), Headers((("host", "named"), ("host", "second"))))
    assert (request.path, request.host) == (path, host)
    assert Request("GET", "/", (1, 1), Headers()).host is None


def test_a_head_is_written() -> None:
    assert write_head("GET / HTTP/1.1", []) == b"GET / HTTP/1.1\r\n\r\n"
    written = write_head("GET / HTTP/1.1", [("A", "1"), ("b", "\xe9")])
    assert written == b"GET / HTTP/1.1\r\nA: 1\r\nb: \xe9\r\n\r\n"


@pytest.mark.parametrize("end", ["\r", "\n", "\r\n"])
def test_a_line_end_in_a_field_is_our_own_bug(end: str) -> None:
    for first, field in ((f"GET /{end}", "1"), ("GET /", f"1{end}")):
        with pytest.raises(ValueError, match="a header field holds a line end"):
            write_head(first, [("A", field)])
