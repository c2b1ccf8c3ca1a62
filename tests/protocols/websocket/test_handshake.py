"""RFC 6455 section 4: the opening handshake, both roles."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.protocols.websocket.wire import frame

from holdfast.core.limits import WebSocketLimits
from holdfast.protocols.websocket import (
    ClientConnection,
    Close,
    Event,
    HandshakeError,
    Offer,
    Ping,
    PlainRequest,
    Request,
    Response,
    ServerConnection,
    State,
    Violation,
    choose_subprotocol,
    origin_is_allowed,
)
from holdfast.protocols.websocket.handshake import write_refusal

LIMITS = WebSocketLimits(head_bytes_max=1000, header_count_max=12)
REQUEST = b"""\
GET /chat?room=1 HTTP/1.1
Host: example.org
Upgrade: websocket
Connection: keep-alive, Upgrade
Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==
Sec-WebSocket-Version: 13

""".replace(b"\n", b"\r\n")
ACCEPT = b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="  # RFC 6455 section 1.3


def but(line: bytes, instead: bytes) -> bytes:
    assert line in REQUEST
    return REQUEST.replace(line, instead)


def opened() -> ServerConnection:
    server = ServerConnection(LIMITS)
    server.receive_data(REQUEST)
    server.accept()
    server.data_to_send()
    return server


@pytest.mark.parametrize("size", [1, 5, 64, 1000])
def test_the_rfc_s_own_example_is_accepted(size: int) -> None:
    server = ServerConnection(LIMITS)
    events: list[Event] = []
    for start in range(0, len(REQUEST), size):
        events += server.receive_data(REQUEST[start : start + size])
    (request,) = events
    assert isinstance(request, Request)
    assert (request.path, request.target) == ("/chat", "/chat?room=1")
    server.accept("holdfast.v1", [("Set-Cookie", "a=b")])
    assert server.receive_data(b"") == []
    assert server.state is State.OPEN
    assert server.data_to_send().split(b"\r\n") == [
        b"HTTP/1.1 101 Switching Protocols",
        b"Upgrade: websocket",
        b"Connection: Upgrade",
        b"Sec-WebSocket-Accept: " + ACCEPT,
        b"Sec-WebSocket-Protocol: holdfast.v1",
        b"Set-Cookie: a=b",
        b"",
        b"",
    ]


REFUSED = [
    pytest.param(but(b"GET", b"POST"), 405, id="4.1-method"),
    pytest.param(but(b"HTTP/1.1", b"HTTP/1.0"), 505, id="4.1-http-1.0"),
    pytest.param(but(b"HTTP/1.1", b"HTTP/9.9"), 505, id="http-9.9"),
    pytest.param(but(b"Host: example.org\r\n", b""), 400, id="4.1-no-host"),
    pytest.param(but(b"Host: ", b"Host: a\r\nHost: "), 400, id="two-hosts"),
    pytest.param(but(b"keep-alive, Upgrade", b"keep-alive"), 400, id="4.1-connection"),
    pytest.param(but(b": 13", b": 12"), 426, id="4.4-version-12"),
    pytest.param(but(b"Sec-WebSocket-Version: 13\r\n", b""), 426, id="4.4-no-version"),
    pytest.param(but(b"dGhlIHNhbXBsZSBub25jZQ==", b"dGhl"), 400, id="4.1-short-key"),
    pytest.param(but(b"dGhlIHNhbXBsZSBub25jZQ==", b"*" * 24), 400, id="4.1-key-not-base64"),
    pytest.param(but(b"Host", b"Content-Length: 5\r\nHost"), 400, id="a-body"),
    pytest.param(but(b"Host", b"Transfer-Encoding: chunked\r\nHost"), 400, id="a-chunked-body"),
    pytest.param(but(b"Host:", b"Host :"), 400, id="9112-5.1-space-before-colon"),
    pytest.param(but(b"Upgrade: w", b"Upgrade:\r\n w"), 400, id="9112-5.2-folding"),
    pytest.param(but(b"GET ", b"GET  "), 400, id="two-spaces"),
    pytest.param(
        but(b"Host", b"Content-Length: 0\r\nContent-Length: 5\r\nHost"), 400, id="two-lengths"
    ),
    pytest.param(but(b"example", b"exa\0mple"), 400, id="a-null"),
    pytest.param(but(b"Host", b"X: " + b"y" * 1000 + b"\r\nHost"), 431, id="10.4-long-head"),
    pytest.param(but(b"Host", b"X: y\r\n" * 12 + b"Host"), 431, id="10.4-many-headers"),
    pytest.param(b"\x16\x03\x01" + bytes(200) + b"\r\n\r\n", 400, id="tls-on-a-plain-port"),
    pytest.param(b"x" * 2000, 431, id="no-end-in-sight"),
]


@pytest.mark.parametrize(("data", "status"), REFUSED)
def test_a_bad_request_is_answered_with_its_status_and_a_reason(data: bytes, status: int) -> None:
    server = ServerConnection(LIMITS)
    (event,) = server.receive_data(data)
    assert isinstance(event, Violation)
    assert server.state is State.CLOSED
    answer = server.data_to_send()
    assert answer.startswith(b"HTTP/1.1 %d " % status)
    assert answer.endswith(event.reason.encode() + b"\n")
    if status == 426:
        assert b"\r\nSec-WebSocket-Version: 13\r\n" in answer
    assert server.receive_data(REQUEST) == []


def test_a_request_that_is_no_upgrade_is_handed_on_with_its_bytes() -> None:
    data = b"GET / HTTP/1.1\r\nHost: a\r\n\r\nrest"
    server = ServerConnection(LIMITS)
    assert server.receive_data(data[:10]) == []
    (event,) = server.receive_data(data[10:])
    assert isinstance(event, PlainRequest)
    assert event.data == data
    assert event.request.path == "/"
    assert server.data_to_send() == b""


def test_what_a_client_sends_ahead_of_the_answer_waits_for_it() -> None:
    server = ServerConnection(LIMITS)
    (request,) = server.receive_data(REQUEST + frame(1, b"ear"))
    assert isinstance(request, Request)
    assert server.receive_data(frame(1, b"ly")) == []
    server.accept()
    assert server.receive_data(b"") == ["ear", "ly"]


def test_impatience_before_the_answer_is_bounded() -> None:
    server = ServerConnection(LIMITS)
    server.receive_data(REQUEST)
    events = [event for _ in range(100) for event in server.receive_data(bytes(100))]
    assert [type(event) for event in events] == [Violation]
    assert server.data_to_send().startswith(b"HTTP/1.1 431 ")


@pytest.mark.parametrize(
    ("offered", "spoken", "chosen"),
    [
        ("a, b", ["b", "a"], "a"),
        ("c,b", ["b", "a"], "b"),
        ("c", ["b", "a"], None),
        ("", ["b"], None),
    ],
)
def test_the_client_s_first_known_subprotocol_is_chosen(
    offered: str, spoken: list[str], chosen: str | None
) -> None:
    (request,) = ServerConnection(LIMITS).receive_data(
        but(b"Host", b"Sec-WebSocket-Protocol: %s\r\nHost" % offered.encode())
    )
    assert isinstance(request, Request)
    assert choose_subprotocol(request, spoken) == chosen


@pytest.mark.parametrize(
    ("origin", "allowed", "answer"),
    [
        (None, [], True),
        ("http://example.org", [], True),
        ("https://example.org", [], True),
        ("http://example.org:81", [], False),
        ("http://evil.example", [], False),
        ("http://evil.example", ["*"], True),
        ("http://good.example", ["http://good.example"], True),
        ("null", [], False),
        # Its own host, written otherwise.
        ("HTTP://EXAMPLE.org", [], True),
        ("http://example.org:80", [], True),
        ("https://example.org:443", [], True),
        # Another port, another host, or no origin at all.
        ("http://example.org:443", [], False),
        ("https://example.org:80", [], False),
        ("http://example.org:99999", [], False),
        ("http://example.org.", [], False),
        ("http://example.org.evil.example", [], False),
        ("http://evilexample.org", [], False),
        ("http://sub.example.org", [], False),
        ("http://evil.example/example.org", [], False),
        ("http://example.org@evil.example", [], False),
        ("http://evil.example#example.org", [], False),
        ("http://evil.example?example.org", [], False),
        ("http://evil.example http://example.org", [], False),
        ("http://example.org/path", [], False),
        ("ws://example.org", [], False),
        ("file://", [], False),
        ("chrome-extension://example.org", [], False),
        ("javascript:alert(1)", [], False),
        ("//example.org", [], False),
        ("example.org", [], False),
        ("http://", [], False),
        ("", [], False),
    ],
)
def test_a_page_may_reach_its_own_host_and_listed_ones_only(
    origin: str | None, allowed: list[str], answer: bool
) -> None:
    line = b"" if origin is None else b"Origin: %s\r\n" % origin.encode()
    (request,) = ServerConnection(LIMITS).receive_data(but(b"Host", line + b"Host"))
    assert isinstance(request, Request)
    assert origin_is_allowed(request, allowed) is answer


# --- the client


def entropy(size: int) -> bytes:
    return b"the sample nonce"[:size]


def client(**offer: object) -> ClientConnection:
    return ClientConnection(LIMITS, Offer("example.org", **offer), entropy)  # type: ignore[arg-type]


def test_a_client_s_request_is_one_that_the_server_accepts() -> None:
    browser = client(
        target="/x", subprotocols=("a", "b"), origin="http://o", headers=(("Cookie", "k=v"),)
    )
    server = ServerConnection(LIMITS)
    (request,) = server.receive_data(browser.data_to_send())
    assert isinstance(request, Request)
    assert request.headers.get("cookie") == "k=v"
    assert request.headers.get("origin") == "http://o"
    server.accept("b")
    (response,) = browser.receive_data(server.data_to_send())
    assert isinstance(response, Response)
    assert browser.subprotocol == "b"
    assert server.receive_data(browser.encode_text(b"hej")) == ["hej"]
    assert browser.receive_data(server.encode_binary(b"hop")) == [b"hop"]


ANSWER = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: " + ACCEPT + b"\r\n\r\n"
)


@pytest.mark.parametrize(
    ("answer", "status", "words"),
    [
        (ANSWER.replace(b"101 Switching", b"503 Not"), 503, "503 Not Protocols"),
        (ANSWER.replace(b"websocket", b"h2c"), 101, "Upgrade"),
        (ANSWER.replace(b"Connection: Upgrade", b"Connection: close"), 101, "Connection"),
        (ANSWER.replace(ACCEPT, base64.b64encode(bytes(20))), 101, "Accept"),
        (ANSWER.replace(b"\r\n\r\n", b"\r\nSec-WebSocket-Protocol: z\r\n\r\n"), 101, "'z'"),
        (ANSWER.replace(b"\r\n\r\n", b"\r\nSec-WebSocket-Extensions: z\r\n\r\n"), 101, "extension"),
        (b"SSH-2.0-OpenSSH\r\n\r\n", 0, "malformed status line"),
        (b"x" * 2000, 0, "head of more than 1000 bytes"),
    ],
)
def test_a_wrong_answer_fails_the_client(answer: bytes, status: int, words: str) -> None:
    browser = client()
    with pytest.raises(HandshakeError, match=words) as caught:
        browser.receive_data(answer)
    assert caught.value.status == status
    assert browser.state is State.CLOSED
    assert browser.receive_data(ANSWER) == []


# --- the closing handshake (section 7)


def test_a_ping_is_answered_with_its_own_data() -> None:
    server = opened()
    assert server.receive_data(frame(9, b"you?")) == [Ping(b"you?")]
    assert server.data_to_send() == frame(10, b"you?", key=None)


def test_the_peer_s_close_is_echoed_once() -> None:
    server = opened()
    assert server.receive_data(frame(8, b"\x03\xe8bye")) == [Close(1000, "bye")]
    assert server.data_to_send() == frame(8, b"\x03\xe8", key=None)
    assert server.state is State.CLOSED
    server.close(1001)
    assert server.data_to_send() == b""


def test_our_close_waits_for_the_peer_s() -> None:
    server = opened()
    server.close(1012, "restart")
    server.close(1000)
    assert server.data_to_send() == frame(8, b"\x03\xf4restart", key=None)
    closing = server.state
    assert closing is State.CLOSING
    assert server.receive_data(frame(1, b"late") + frame(8)) == ["late", Close(1005, "")]
    assert server.data_to_send() == b""
    assert server.state is State.CLOSED


def test_a_violation_is_told_with_its_code() -> None:
    server = opened()
    server.receive_data(frame(1, b"\xff"))
    sent = server.data_to_send()
    assert sent[:4] == b"\x88" + sent[1:2] + b"\x03\xef"
    assert server.state is State.CLOSED


def test_an_end_without_close_closes() -> None:
    server = opened()
    server.receive_eof()
    assert server.state is State.CLOSED


@given(data=st.binary(max_size=400))
def test_any_bytes_give_events_or_an_orderly_refusal(data: bytes) -> None:
    server = ServerConnection(LIMITS)
    server.receive_data(data + b"\r\n\r\n")
    if server.state is State.CLOSED:
        server.data_to_send()
    fresh = opened()
    fresh.receive_data(data)
    assert fresh.state in (State.OPEN, State.CLOSED)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (but(b"GET", b"POST"), "a WebSocket is opened with GET, found POST"),
        (but(b"HTTP/1.1", b"HTTP/1.0"), "a WebSocket needs HTTP/1.1, found HTTP/1.0"),
        (but(b"Host: example.org\r\n", b""), "expected one host header, found 0"),
        (but(b"Host: ", b"Host: a\r\nHost: "), "expected one host header, found 2"),
        (but(b": 13", b": 12"), "found WebSocket version 12, expected 13"),
        (but(b"dGhlIHNhbXBsZSBub25jZQ==", b"dGhl"), "Sec-WebSocket-Key must be 16 bytes in base64"),
        (but(b"GET ", b"GET  "), "malformed request line"),
        (but(b"Host:", b"Host :"), "malformed header field"),
    ],
)  # fmt: skip
def test_a_refusal_says_what_was_found_and_expected(data: bytes, words: str) -> None:
    server = ServerConnection(LIMITS)
    (event,) = server.receive_data(data)
    assert isinstance(event, Violation)
    assert event.reason == words
    answer = server.data_to_send()
    assert answer.endswith(f"\r\n\r\n{words}\n".encode())
    assert f"\r\nContent-Length: {len(words) + 1}\r\n".encode() in answer
    assert b"\r\nConnection: close\r\n" in answer
    assert (b"\r\nAllow: GET\r\n" in answer) is answer.startswith(b"HTTP/1.1 405 ")


def test_a_body_of_no_bytes_is_no_body() -> None:
    server = ServerConnection(LIMITS)
    (event,) = server.receive_data(but(b"Host", b"Content-Length: 0\r\nHost"))
    assert isinstance(event, Request)


@pytest.mark.parametrize(
    ("status", "line"),
    [
        (200, b"200 "),
        (404, b"404 Not Found"),
        (418, b"418 Refused"),
        (429, b"429 Too Many Requests"),
        (505, b"505 HTTP Version Not Supported"),
        (599, b"599 Refused"),
    ],
)
def test_a_request_may_be_answered_with_any_final_status(status: int, line: bytes) -> None:
    assert write_refusal(status, "no").startswith(b"HTTP/1.1 " + line)
    assert write_refusal(status, "no", [("A", "b")]).endswith(b"\r\nA: b\r\n\r\nno\n")


@pytest.mark.parametrize("status", [101, 199, 600])
def test_a_status_that_ends_no_request_is_our_own_bug(status: int) -> None:
    with pytest.raises(ValueError, match=f"status: expected 200 to 599, found {status}"):
        write_refusal(status, "no")


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        (b"Sec-WebSocket-Protocol: p\r\nSec-WebSocket-Protocol: p\r\n", "stands there twice"),
        (b"Sec-WebSocket-Protocol: q\r\n", "the server chose 'q', which was not offered"),
        (b"Sec-WebSocket-Extensions: x\r\n", "extensions that were not offered: x"),
        (b"", ""),
        (b"Sec-WebSocket-Protocol: p\r\n", ""),
    ],
)
def test_a_server_chooses_once_from_what_was_offered(fields: bytes, words: str) -> None:
    client = ClientConnection(
        LIMITS, Offer("a", subprotocols=("p", "r")), lambda n: b"the sample nonce"[:n]
    )
    assert b"\r\nSec-WebSocket-Protocol: p, r\r\n" in client.data_to_send()
    answer = (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + ACCEPT + b"\r\n" + fields + b"\r\n"
    )
    if words:
        with pytest.raises(HandshakeError, match=words) as caught:
            client.receive_data(answer)
        assert caught.value.status == 101
        return
    client.receive_data(answer)
    assert client.subprotocol == ("p" if fields else None)


def test_a_client_sends_what_it_was_given_and_no_more() -> None:
    plain = ClientConnection(LIMITS, Offer("a"), bytes).data_to_send()
    assert plain.startswith(b"GET / HTTP/1.1\r\nHost: a\r\n")
    assert b"Origin" not in plain
    assert b"Protocol" not in plain
    assert b"Extensions" not in plain
    offer = Offer("a", "/x", origin="https://b", headers=(("C", "d"),))
    sent = ClientConnection(LIMITS, offer, bytes).data_to_send()
    assert sent.startswith(b"GET /x HTTP/1.1\r\n")
    assert sent.endswith(b"\r\nOrigin: https://b\r\nC: d\r\n\r\n")
