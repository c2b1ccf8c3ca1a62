"""WebSocket clients: how they come in, which dialect they speak, and how they are sent away."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs
from tests.gateway.adapters.wire import CLOSE, PING, TEXT, frames, messages
from tests.protocols.websocket.wire import frame

from holdfast.core.errors import DISCONNECTS, Reason
from holdfast.core.items import Notice, Text
from holdfast.core.limits import WebSocketLimits
from holdfast.gateway.adapters.events import (
    Ack,
    Broken,
    Capable,
    Enter,
    Event,
    Left,
    Numbered,
    PlainHttp,
    Proven,
)
from holdfast.gateway.adapters.notifications import (
    Acknowledged,
    CaughtUp,
    ChooseProfile,
    ClaimRefused,
    CodeIssued,
    InputModeChanged,
    LoginNeeded,
    MaybeDelivered,
    ResendNeeded,
    Restart,
    Resumption,
    SessionOffered,
    Welcomed,
)
from holdfast.gateway.adapters.upgrade import WebSocketSettings
from holdfast.gateway.adapters.websocket import WebSocketAdapter
from holdfast.gateway.cookies import SessionCookie
from holdfast.link.messages import ProfileSummary
from holdfast.net.http.hosts import ServedHosts
from holdfast.net.security_log import SecurityEvent
from holdfast.sessions.position import ResetReason

COOKIE = SessionCookie("holdfast", "/", 3600.0, secure=False)
V1 = ("Sec-WebSocket-Protocol: holdfast.v1",)
NEW = Welcomed("sid", "e1", "tok", "", 30.0)
RESUMED = Resumption("sid", "e1", "tok2", "", 30.0, 5, 9, 0, 0, 3)


def settings(
    *, path: str = "", origins: tuple[str, ...] = (), cookie: SessionCookie = COOKIE
) -> WebSocketSettings:
    return WebSocketSettings(WebSocketLimits(message_bytes_max=1000), path, origins, cookie)


def request(*headers: str, target: str = "/", method: str = "GET") -> bytes:
    """A WebSocket's opening handshake."""
    lines = [
        f"{method} {target} HTTP/1.1",
        "Host: example.org",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Version: 13",
        *headers,
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def said(message: object) -> bytes:
    """A JSON message as a client sends it."""
    return frame(TEXT, json.dumps(message).encode())


def asked(*headers: str, **options: object) -> tuple[WebSocketAdapter, list[Event]]:
    """An adapter that was sent a handshake, and what it made of it."""
    adapter = WebSocketAdapter(settings(**options))  # type: ignore[arg-type]
    assert adapter.begin(0.0) == []
    return adapter, adapter.receive_data(request(*headers), 0.0)


def plain() -> WebSocketAdapter:
    """A plain client with a new session."""
    adapter, _ = asked()
    adapter.notify(NEW)
    adapter.data_to_send()
    return adapter


def numbered() -> WebSocketAdapter:
    """A client of holdfast.v1 with a new session."""
    adapter, _ = asked(*V1)
    adapter.receive_data(said({"t": "hello"}), 0.0)
    adapter.notify(NEW)
    adapter.data_to_send()
    return adapter


def head(answer: bytes) -> tuple[str, dict[str, str], str]:
    """An HTTP answer: its status line, its headers and its body."""
    lines, _, body = answer.decode().partition("\r\n\r\n")
    status, *fields = lines.split("\r\n")
    return status, dict(field.split(": ", 1) for field in fields), body


# --- the opening handshake


def test_a_plain_client_is_answered_once_its_session_is_known() -> None:
    adapter, events = asked()
    assert events == [Enter(or_new=True)]
    assert adapter.data_to_send() == b""
    assert not adapter.numbered
    adapter.notify(NEW)
    status, headers, _ = head(adapter.data_to_send())
    assert status == "HTTP/1.1 101 Switching Protocols"
    assert headers["Set-Cookie"] == (
        "holdfast=tok; Path=/; Max-Age=3600; HttpOnly; SameSite=Strict"
    )
    assert "Sec-WebSocket-Protocol" not in headers


def test_what_a_plain_client_says_ahead_waits_for_the_answer() -> None:
    adapter, _ = asked()
    assert adapter.receive_data(frame(TEXT, b"look"), 0.1) == []
    adapter.notify(NEW)
    assert adapter.receive_data(b"", 0.1) == [Text("look")]


COOKIES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "ours": (("Cookie: holdfast=tok",), ("tok",)),
    "among-others": (('Cookie: a={"b":[1]}; holdfast=tok; flag; =x',), ("tok",)),
    "in-a-second-header": (("Cookie: a=b", "Cookie: holdfast=tok"), ("tok",)),
    "two": (("Cookie: holdfast=tok; holdfast=tok2",), ("tok", "tok2")),
    "not-ours": (("Cookie: a=b",), ()),
    "not-a-pair": (("Cookie: holdfast",), ()),
}


@pytest.mark.parametrize(("headers", "tokens"), COOKIES.values(), ids=COOKIES)
def test_a_cookie_is_the_right_to_its_session(
    headers: tuple[str, ...], tokens: tuple[str, ...]
) -> None:
    _, events = asked(*headers)
    assert events == [Enter(cookies=tokens, or_new=True)]


def test_a_control_character_in_a_cookie_is_refused() -> None:
    _, events = asked("Cookie: [x]=\x01", "Cookie: holdfast=tok")
    assert isinstance(events[0], Broken)


SUBPROTOCOLS: dict[str, tuple[str, str | None]] = {
    "json": ("holdfast.v1", "holdfast.v1"),
    "messagepack": ("holdfast.v1+msgpack", "holdfast.v1+msgpack"),
    "the-client-s-first-choice": ("chat, holdfast.v1+msgpack, holdfast.v1", "holdfast.v1+msgpack"),
    "unknown": ("chat, holdfast.v2", None),
}


@pytest.mark.parametrize(("offered", "chosen"), SUBPROTOCOLS.values(), ids=SUBPROTOCOLS)
def test_the_sub_protocol_is_the_first_that_we_speak(offered: str, chosen: str | None) -> None:
    adapter, events = asked(f"Sec-WebSocket-Protocol: {offered}")
    assert adapter.numbered is (chosen is not None)
    if chosen is None:
        assert events == [Enter(or_new=True)]
    else:
        # It says itself which session it wants.
        assert events == []
        _, headers, _ = head(adapter.data_to_send())
        assert headers["Sec-WebSocket-Protocol"] == chosen
        assert "Set-Cookie" not in headers


ORIGINS: dict[str, tuple[str, str, tuple[str, ...], bool]] = {
    "its-own-host": ("example.org", "http://example.org", (), True),
    "its-own-host-over-tls": ("example.org", "https://example.org", (), True),
    "a-default-port-in-host": ("example.org:443", "https://example.org", (), True),
    "a-default-port-in-the-origin": ("example.org", "https://example.org:443", (), True),
    "capitals": ("Example.ORG", "https://example.org", (), True),
    "another-port": ("example.org:8080", "http://example.org", (), False),
    "another-scheme": ("example.org", "ftp://example.org", (), False),
    "another": ("example.org", "http://evil.example", (), False),
    "another-below": ("example.org", "http://evil.example.org", (), False),
    "another-beside": ("example.org", "http://example.org.evil.example", (), False),
    "a-path": ("example.org", "http://example.org/", (), False),
    "a-user": ("example.org", "http://evil@example.org", (), False),
    "two": ("example.org", "http://example.org, http://evil.example", (), False),
    "empty": ("example.org", "", (), False),
    "a-listed-one": ("example.org", "http://good.example", ("http://good.example",), True),
    "a-listed-one-with-a-port": ("x", "https://good.example", ("https://Good.example:443",), True),
    "its-own-where-others-are": ("example.org", "http://example.org", ("http://a",), False),
    "its-own-as-listed": ("example.org", "http://example.org", ("http://a", "self"), True),
    "any": ("example.org", "http://evil.example", ("*",), True),
    "a-file": ("example.org", "null", (), False),
    "a-listed-file": ("example.org", "null", ("null",), True),
}


@pytest.mark.parametrize(("host", "origin", "allowed", "right"), ORIGINS.values(), ids=ORIGINS)
def test_a_page_of_another_host_is_refused_with_a_reason(
    host: str, origin: str, allowed: tuple[str, ...], right: bool
) -> None:
    adapter = WebSocketAdapter(settings(origins=allowed))
    data = request(f"Origin: {origin}").replace(b"Host: example.org", f"Host: {host}".encode())
    (event,) = adapter.receive_data(data, 0.0)
    if right:
        assert event == Enter(or_new=True)
        return
    text = f"pages of {origin} may not connect here"
    assert event == Broken(Reason.REFUSED, text, SecurityEvent.ORIGIN_REFUSED)
    status, _, body = head(adapter.data_to_send())
    assert (status, body) == ("HTTP/1.1 403 Forbidden", f"{text}\n")


def test_a_page_of_plain_http_is_not_the_own_page_of_tls() -> None:
    secure = SessionCookie("__Host-holdfast", "/", 3600.0, secure=True)
    for origin, right in (("http://example.org", False), ("https://example.org", True)):
        _, (event,) = asked(f"Origin: {origin}", cookie=secure)
        assert isinstance(event, Enter) is right


@pytest.mark.parametrize("what", [request(), b"GET / HTTP/1.1\r\nHost: example.org\r\n\r\n"])
def test_a_request_for_a_host_that_is_not_served_is_refused(what: bytes) -> None:
    adapter = WebSocketAdapter(structs.replace(settings(), hosts=ServedHosts(("a.example",))))
    (event,) = adapter.receive_data(what, 0.0)
    text = "the host example.org is not served here"
    assert event == Broken(Reason.REFUSED, text, SecurityEvent.HOST_REFUSED)
    assert head(adapter.data_to_send())[0] == "HTTP/1.1 421 Misdirected Request"


PATHS: dict[str, tuple[str, str, bool]] = {
    "any": ("", "/anything", True),
    "the-one": ("/ws", "/ws", True),
    "the-one-with-a-query": ("/ws", "/ws?room=1", True),
    "another": ("/ws", "/", False),
    "below-it": ("/ws", "/ws/x", False),
    "a-whole-url": ("/ws", "http://example.org/ws?room=1", True),
    "encoded-needlessly": ("/ws", "/%77s", True),
}


@pytest.mark.parametrize(("path", "target", "welcome"), PATHS.values(), ids=PATHS)
def test_the_websocket_is_where_the_listener_says(path: str, target: str, welcome: bool) -> None:
    adapter = WebSocketAdapter(settings(path=path))
    (event,) = adapter.receive_data(request(target=target), 0.0)
    if welcome:
        assert event == Enter(or_new=True)
    else:
        assert event == Broken(Reason.REFUSED, "the WebSocket is at /ws")
        assert head(adapter.data_to_send())[0] == "HTTP/1.1 404 Not Found"


def test_a_request_for_a_page_is_handed_on_with_its_bytes() -> None:
    adapter = WebSocketAdapter(settings())
    data = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
    assert adapter.receive_data(data, 0.0) == [PlainHttp(data)]


def test_a_malformed_handshake_is_answered_with_its_status() -> None:
    adapter = WebSocketAdapter(settings())
    (event,) = adapter.receive_data(request(method="POST"), 0.0)
    assert isinstance(event, Broken)
    assert head(adapter.data_to_send())[0] == "HTTP/1.1 405 Method Not Allowed"


def test_a_handshake_that_cannot_be_served_is_told_when_to_come_back() -> None:
    adapter, _ = asked()
    waits = adapter.goodbye(DISCONNECTS[Reason.SHUTDOWN], "the gateway is restarting", 1.7)
    assert not waits
    status, headers, body = head(adapter.data_to_send())
    assert (status, body) == ("HTTP/1.1 503 Service Unavailable", "the gateway is restarting\n")
    assert headers["Retry-After"] == "2"


def test_a_handshake_that_is_refused_for_good_is_not_told_to_come_back() -> None:
    adapter, _ = asked()
    adapter.goodbye(DISCONNECTS[Reason.FLOOD], "too much", 1.7)
    assert "Retry-After" not in head(adapter.data_to_send())[1]


# --- messages


def test_a_v1_client_says_hello_and_commands() -> None:
    adapter, _ = asked(*V1)
    hello, command = {"t": "hello", "token": "tok"}, {"t": "cmd", "c": 1, "d": "look"}
    (capable, *events) = adapter.receive_data(said(hello) + said(command), 0.0)
    assert isinstance(capable, Capable)
    assert events == [Enter("tok"), Numbered(1, Text("look"))]


def test_a_ping_in_the_sub_protocol_is_answered_by_the_adapter() -> None:
    adapter = numbered()
    assert adapter.receive_data(said({"t": "ping", "n": 4}), 1.0) == [Ack(4)]
    assert messages(adapter.data_to_send()) == [{"t": "pong"}]


def test_a_malformed_message_is_answered_with_bye_and_1002() -> None:
    adapter = numbered()
    events = adapter.receive_data(said({"t": "dance"}) + said({"t": "ping"}), 1.0)
    text = "Invalid value 'dance' - at `$.t`"
    assert events == [Broken(Reason.PROTOCOL_ERROR, text)]
    (_, bye), (opcode, close) = frames(adapter.data_to_send())
    assert json.loads(bye) == {
        "t": "bye",
        "code": 1002,
        "reason": "protocol_error",
        "text": text,
        "retry_ms": -1,
    }
    assert (opcode, close) == (CLOSE, b"\x03\xea" + text.encode())


def test_a_long_fault_does_not_break_the_close_frame() -> None:
    adapter = numbered()
    adapter.receive_data(said({"t": "x" * 500}), 1.0)
    *_, (opcode, close) = frames(adapter.data_to_send())
    assert opcode == CLOSE
    assert len(close) == 125  # RFC 6455 section 5.5


VIOLATIONS: dict[str, tuple[bytes, int]] = {
    "unmasked": (frame(TEXT, b"x", key=None), 1002),
    "not-utf-8": (frame(TEXT, b"\xff"), 1007),
    "too-large": (frame(TEXT, bytes(1001)), 1009),
}


@pytest.mark.parametrize(("data", "code"), VIOLATIONS.values(), ids=VIOLATIONS)
def test_a_violation_is_answered_with_its_code(data: bytes, code: int) -> None:
    adapter = numbered()
    (event,) = adapter.receive_data(data, 1.0)
    assert isinstance(event, Broken)
    ((opcode, close),) = frames(adapter.data_to_send())
    assert (opcode, int.from_bytes(close[:2], "big")) == (CLOSE, code)


def test_the_client_s_close_is_answered() -> None:
    adapter = numbered()
    assert adapter.receive_data(frame(CLOSE, b"\x03\xe8"), 1.0) == [Left(done=False)]
    assert frames(adapter.data_to_send()) == [(CLOSE, b"\x03\xe8")]


# --- what happens to the session


def test_a_v1_client_is_welcomed() -> None:
    adapter, _ = asked(*V1)
    adapter.data_to_send()
    adapter.notify(NEW)
    assert messages(adapter.data_to_send()) == [
        {
            **{"t": "welcome", "sid": "sid", "token": "tok", "epoch": "e1", "seq": 0},
            **{"heartbeat": 30.0, "bytes_max": 1000},
        }
    ]


def test_a_v1_client_is_resumed() -> None:
    adapter = numbered()
    adapter.notify(RESUMED)
    adapter.notify(CaughtUp(RESUMED))
    (message,) = messages(adapter.data_to_send())
    assert (message["t"], message["token"]) == ("resumed", "tok2")
    assert (message["from"], message["to"], message["cin"]) == (5, 9, 3)


def test_a_v1_client_is_reset() -> None:
    adapter = numbered()
    adapter.notify(Restart("sid", "e2", "tok2", 30.0, ResetReason.TRIMMED, 9, 3))
    (message,) = messages(adapter.data_to_send())
    assert (message["t"], message["reason"], message["top"]) == ("reset", "trimmed", 9)


PLAIN_RESUMES: dict[str, tuple[int, int, list[bytes]]] = {
    "nothing-lost-or-seen": (0, 0, []),
    "perhaps-seen": (0, 5, [b"*** The next messages you may have seen."]),
    "lost": (2, 0, [b"*** 2 older messages could not be kept."]),
    "one-lost": (1, 0, [b"*** 1 older message could not be kept."]),
}


@pytest.mark.parametrize(("lost", "seen", "shown"), PLAIN_RESUMES.values(), ids=PLAIN_RESUMES)
def test_a_plain_client_is_resumed(lost: int, seen: int, shown: list[bytes]) -> None:
    adapter, _ = asked("Cookie: holdfast=tok")
    adapter.notify(Resumption("sid", "e1", "tok2", "", 30.0, 5, 9, seen, lost, 0))
    adapter.notify(MaybeDelivered(seen))
    answer, _, rest = adapter.data_to_send().partition(b"\r\n\r\n")
    assert b"holdfast=tok2;" in answer
    assert [payload for _, payload in frames(rest)] == shown


def test_a_plain_client_is_told_nothing_that_it_could_take_for_text() -> None:
    adapter = plain()
    adapter.notify(Acknowledged(3))
    adapter.notify(ResendNeeded(3))
    adapter.notify(LoginNeeded("no"))
    adapter.notify(ChooseProfile([ProfileSummary("p", "Ann")]))
    adapter.notify(SessionOffered("another"))
    adapter.notify(ClaimRefused("unknown"))
    adapter.notify(InputModeChanged("secret"))
    adapter.notify(CodeIssued("ABCD-2345"))
    assert adapter.data_to_send() == b""


def test_a_v1_client_is_told_everything() -> None:
    adapter = numbered()
    adapter.notify(Acknowledged(3))
    adapter.notify(ResendNeeded(4))
    adapter.notify(LoginNeeded("no", 1.5))
    adapter.notify(ChooseProfile([ProfileSummary("p", "Ann")]))
    adapter.notify(SessionOffered("another"))
    adapter.notify(ClaimRefused("unknown"))
    adapter.notify(InputModeChanged("secret"))
    adapter.notify(CodeIssued("ABCD-2345"))
    assert messages(adapter.data_to_send()) == [
        {"t": "ack", "c": 3},
        {"t": "resend", "c": 4},
        {"t": "login", "error": "no", "retry_ms": 1500},
        {"t": "profiles", "d": [{"id": "p", "name": "Ann"}]},
        {"t": "offer", "d": "another"},
        {"t": "refused", "reason": "unknown"},
        {"t": "mode", "d": "secret"},
        {"t": "code", "d": "ABCD-2345"},
    ]


@pytest.mark.parametrize("adapter", [plain(), numbered()], ids=["plain", "v1"])
def test_signs_of_life_and_proofs_are_pings(adapter: WebSocketAdapter) -> None:
    adapter.heartbeat()
    assert frames(adapter.data_to_send()) == [(PING, b"")]
    assert adapter.probe(7, 60.0)
    assert adapter.probe(12, 60.0)
    (first, asked), (second, asked_later) = frames(adapter.data_to_send())
    assert first == second == PING
    # A pong that is late proves no more than its own ping asked for.
    assert adapter.receive_data(frame(10, asked), 1.0) == [Proven(7)]
    assert adapter.receive_data(frame(10, asked_later), 1.0) == [Proven(12)]


@pytest.mark.parametrize(
    "data", [b"", b"probe", b"probe ", b"probe -1", b"probe x", b"probe " + b"9" * 119]
)
def test_a_pong_that_answers_no_probe_proves_nothing(data: bytes) -> None:
    assert plain().receive_data(frame(10, data), 1.0) == []


def test_volatile_items_are_shown_in_the_dialect() -> None:
    assert messages(numbered().encode_volatile(Notice("so"))) == [{"t": "notice", "d": "so"}]
    assert frames(plain().encode_volatile(Notice("so"))) == [(TEXT, b"*** so")]


# --- the end


@pytest.mark.parametrize("reason", list(Reason), ids=lambda reason: reason.value)
def test_a_goodbye_says_why_and_whether_to_come_back(reason: Reason) -> None:
    disconnect = DISCONNECTS[reason]
    adapter = numbered()
    assert adapter.goodbye(disconnect, disconnect.text, 1.5)  # the client closes first
    (_, bye), (opcode, close) = frames(adapter.data_to_send())
    assert json.loads(bye) == {
        "t": "bye",
        "code": disconnect.code,
        "reason": reason.value,
        "text": disconnect.text,
        "retry_ms": 1500 if disconnect.reconnect else -1,
    }
    assert opcode == CLOSE
    assert close == disconnect.code.to_bytes(2, "big") + disconnect.text.encode()


def test_a_plain_client_reads_why_in_the_close_frame() -> None:
    adapter = plain()
    adapter.goodbye(DISCONNECTS[Reason.SUPERSEDED], "so long", 0)
    assert frames(adapter.data_to_send()) == [(CLOSE, b"\x0f\xa1so long")]


# --- chunks do not matter


@given(
    parts=st.lists(
        st.sampled_from(
            [
                said({"t": "cmd", "c": 1, "d": "look ☃"}),
                said({"t": "ack", "n": 1}),
                said({"t": "ping", "n": 3}),
                frame(PING, b"?"),
                frame(TEXT, b'{"t":"ack",', fin=False) + frame(0, b'"n":2}'),
                frame(CLOSE, b"\x03\xe8"),
                said({"t": "dance"}),
            ]
        ),
        max_size=5,
    ),
    cuts=st.lists(st.integers(1, 400), max_size=8),
)
def test_a_client_in_pieces_says_the_same(parts: list[bytes], cuts: list[int]) -> None:
    data = request(*V1) + said({"t": "hello"}) + b"".join(parts)
    whole, pieces = WebSocketAdapter(settings()), WebSocketAdapter(settings())
    stops = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    events: list[Event] = []
    for start, stop in pairwise(stops):
        events += pieces.receive_data(data[start:stop], 1.0)
        if events and isinstance(events[-1], Broken):
            break  # the connection ends here
    assert events == whole.receive_data(data, 1.0)


# --- messages that drip


@pytest.mark.parametrize("fragments", [False, True], ids=["frame", "fragments"])
def test_a_message_that_drips_has_a_limit_of_time(fragments: bool) -> None:
    made = structs.replace(
        settings(), limits=WebSocketLimits(message_bytes_max=1000, message_seconds_max=60.0)
    )
    adapter = WebSocketAdapter(made)
    adapter.receive_data(request(*V1), 100.0)
    adapter.data_to_send()
    whole = frame(1, b"x" * 200)
    pieces = [whole[at : at + 10] for at in range(0, len(whole), 10)]
    if fragments:
        pieces = [frame(1, b"a", fin=False), *[frame(0, b"b", fin=False)] * 20]
    for number, piece in enumerate(pieces[:-1]):
        now = 110.0 + number
        assert adapter.receive_data(piece, now) == []
        assert adapter.next_deadline() == 170.0
    assert adapter.handle_timer(169.0) == []
    (broken,) = adapter.handle_timer(170.0)
    assert broken == Broken(Reason.TIMEOUT, "a message took too long")
    assert adapter.data_to_send().endswith(b"a message took too long")
    assert adapter.next_deadline() is None


def test_each_message_has_its_own_time() -> None:
    adapter = WebSocketAdapter(settings())
    adapter.receive_data(request(*V1), 100.0)
    limit = WebSocketLimits().message_seconds_max
    whole = frame(1, b"x" * 200)
    for now in (100.0, 200.0, 300.0):
        adapter.receive_data(whole[:20], now)
        assert adapter.next_deadline() == now + limit
        adapter.receive_data(whole[20:] + whole[:20], now + 1)
        assert adapter.next_deadline() == now + 1 + limit
        adapter.receive_data(whole[20:], now + 2)
        assert adapter.next_deadline() is None
