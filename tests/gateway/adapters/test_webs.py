"""The sub-protocol `webs.v1` at the gateway."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.gateway.adapters.test_websocket import NEW, RESUMED, request, settings
from tests.gateway.adapters.wire import BINARY, CLOSE, frames
from tests.protocols.websocket.wire import frame

from holdfast.core import items
from holdfast.core.errors import DISCONNECTS, Reason
from holdfast.gateway.adapters.events import Broken, Capable, Enter, Event, Left, LoginGiven
from holdfast.gateway.adapters.notifications import Acknowledged, ClaimRefused, LoginNeeded
from holdfast.gateway.adapters.websocket import WebSocketAdapter
from holdfast.protocols import webs
from holdfast.protocols.webs import Message, Opcode


def adapter() -> WebSocketAdapter:
    made = WebSocketAdapter(settings())
    assert made.receive_data(request("Sec-WebSocket-Protocol: webs.v1"), 0.0) == []
    assert b"\r\nSec-WebSocket-Protocol: webs.v1\r\n" in made.data_to_send()
    return made


def say(made: WebSocketAdapter, *messages: Message, opcode: int = BINARY) -> list[Event]:
    return made.receive_data(frame(opcode, b"".join(map(webs.encode, messages))), 0.0)


def heard(data: bytes) -> list[tuple[Opcode, Any]]:
    """The WEBS messages in a server's frames, before any Close."""
    decoder = webs.Decoder()
    found: list[tuple[Opcode, Any]] = []
    for opcode, payload in frames(data):
        if opcode == CLOSE:
            break
        assert opcode == BINARY
        for message in decoder.receive_data(payload):
            assert isinstance(message, Message)
            is_json = message.payload.startswith(b"{")
            value = json.loads(message.payload) if is_json else message.payload
            found.append((message.opcode, value))
    return found


@pytest.mark.parametrize("token", ["", "tok"])
def test_connect_asks_for_a_session_and_auth_tells_it(token: str) -> None:
    made = adapter()
    capable, enter = say(made, Message(Opcode.CONNECT, 1, token.encode()))
    assert isinstance(capable, Capable)
    assert capable.capabilities.binary
    assert enter == Enter(token=token, or_new=True)
    if token:
        made.notify(RESUMED)
    else:
        made.notify(NEW)
    expected = {"session": "sid", "token": "tok2" if token else "tok"}
    assert heard(made.data_to_send()) == [(Opcode.AUTH, expected)]


@pytest.mark.parametrize(
    ("message", "event"),
    [
        (Message(Opcode.INPUT, 1, "grüß".encode()), items.Text("grüß")),
        (Message(Opcode.INPUT, 1, b"\xff"), items.Binary(b"\xff")),
        (Message(Opcode.AUTH, 1, b'{"username":"u","password":"p"}'), LoginGiven("u", "p", "")),
        (Message(Opcode.AUTH, 1, b'{"token":"t"}'), LoginGiven("", "", "t")),
        (Message(Opcode.DISCONNECT, 1), Left(done=True)),
    ],
)
def test_a_message_becomes_its_event(message: Message, event: Event) -> None:
    assert say(adapter(), message) == [event]


def test_several_messages_may_share_a_frame_and_one_may_span_several() -> None:
    made = adapter()
    one, two = (Message(Opcode.INPUT, 1, word) for word in (b"one", b"two"))
    assert say(made, one, two) == [items.Text("one"), items.Text("two")]
    data = webs.encode(one)
    assert made.receive_data(frame(BINARY, data[:9]), 0.0) == []
    assert made.receive_data(frame(BINARY, data[9:]), 0.0) == [items.Text("one")]


def test_a_ping_is_answered_with_its_timestamp() -> None:
    made = adapter()
    assert say(made, Message(Opcode.PING, 77), Message(Opcode.PONG, 5)) == []
    ((_, payload),) = frames(made.data_to_send())
    assert webs.Decoder().receive_data(payload) == [Message(Opcode.PONG, 77)]


@pytest.mark.parametrize("opcode", [Opcode.DISPLAY, Opcode.NETWORK])
def test_what_is_not_served_is_told(opcode: Opcode) -> None:
    made = adapter()
    assert say(made, Message(opcode, 1)) == []
    ((kind, value),) = heard(made.data_to_send())
    assert kind is Opcode.ERROR
    assert (value["code"], value["message"]) == (-3, "bad opcode")


@pytest.mark.parametrize(
    ("data", "code"), [(b"NOPE" + bytes(14), -1), (b"WEBS\x07" + bytes(13), -2)]
)
def test_a_fault_is_told_before_the_end(data: bytes, code: int) -> None:
    made = adapter()
    (broken,) = made.receive_data(frame(BINARY, data), 0.0)
    assert isinstance(broken, Broken)
    assert broken.reason is Reason.PROTOCOL_ERROR
    out = made.data_to_send()
    (kind, value), (last, bye) = heard(out)
    assert (kind, value["code"]) == (Opcode.ERROR, code)
    assert (last, bye["code"]) == (Opcode.DISCONNECT, 1002)
    assert frames(out)[-1][0] == CLOSE


@pytest.mark.parametrize(
    "message",
    [
        Message(Opcode.AUTH, 1, b"{"),
        Message(Opcode.AUTH, 1, b"\xff"),
        Message(Opcode.CONNECT, 1, b"\xff"),
    ],
)
def test_a_payload_that_is_malformed_breaks_the_protocol(message: Message) -> None:
    (broken,) = say(adapter(), message)
    assert isinstance(broken, Broken)


def test_text_frames_are_refused() -> None:
    (broken,) = adapter().receive_data(frame(1, b"WEBS"), 0.0)
    assert isinstance(broken, Broken)


def test_outputs_are_displayed() -> None:
    made = adapter()
    say(made, Message(Opcode.CONNECT, 1))
    made.notify(NEW)
    made.data_to_send()
    outputs = [
        items.Text("a"),
        None,
        items.Prompt("> "),
        items.Formatted("f", ()),
        items.Binary(b"\0"),
        items.Notice("n"),
        items.Data("p", "{}"),
    ]
    displayed = [payload for _, payload in heard(made.encode(1, outputs))]
    assert displayed == [b"a", b"> ", b"f", b"\0", b"*** n"]
    assert made.encode(8, [None]) == b""
    assert heard(made.encode_volatile(items.Notice("v"))) == [(Opcode.DISPLAY, b"*** v")]


def test_a_login_is_asked_for_and_the_end_is_told() -> None:
    made = adapter()
    made.notify(LoginNeeded("wrong password", 1.5))
    made.notify(ClaimRefused("no such session"))
    made.notify(Acknowledged(5))  # has no words in WEBS
    made.goodbye(DISCONNECTS[Reason.SHUTDOWN], "restarting", 2.0)
    out = made.data_to_send()
    assert heard(out) == [
        (Opcode.AUTH, {"login": "wrong password", "retry_ms": 1500}),
        (Opcode.DISPLAY, b"no such session"),
        (
            Opcode.DISCONNECT,
            {"code": 1012, "reason": "shutdown", "text": "restarting", "retry_ms": 2000},
        ),
    ]
    assert frames(out)[-1] == (CLOSE, b"\x03\xf4restarting")
