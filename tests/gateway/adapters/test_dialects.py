"""The sub-protocol `holdfast.v1` in JSON and in MessagePack, and plain messages."""

from __future__ import annotations

import contextlib
import json
import sys
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.gateway.adapters.wire import BINARY, TEXT, frames, messages

from holdfast.core.items import (
    Binary,
    Data,
    Formatted,
    Interrupt,
    Notice,
    Output,
    Prompt,
    Resized,
    Span,
    Text,
)
from holdfast.core.limits import WebSocketLimits
from holdfast.gateway.adapters.dialects import (
    DialectError,
    HoldfastDialect,
    Ping,
    PlainDialect,
)
from holdfast.gateway.adapters.events import (
    Ack,
    Capable,
    CodeWanted,
    CredentialGiven,
    Enter,
    Event,
    Left,
    LoginGiven,
    Numbered,
    ProfileWanted,
    ResumeOwn,
)
from holdfast.link.messages import ProfileSummary
from holdfast.protocols import holdfast_v1 as wire
from holdfast.protocols.websocket import Deflate, ServerConnection
from holdfast.sessions.position import ClientPosition
from holdfast.sessions.records import Capabilities

JSON = HoldfastDialect(msgpack=False)
MSGPACK = HoldfastDialect(msgpack=True)
PLAIN = PlainDialect()
CORE = ServerConnection(WebSocketLimits())
FORMS = pytest.mark.parametrize("dialect", [JSON, MSGPACK], ids=["json", "msgpack"])
BROWSER = Capabilities(colors=1 << 24, data=True)


def pack(value: object) -> bytes:
    return msgspec.msgpack.encode(value)


# --- client → server

INBOUND: dict[str, tuple[dict[str, Any], list[Event | Ping]]] = {
    "hello-new": ({"t": "hello"}, [Capable(BROWSER), Enter()]),
    "hello-resume": (
        {"t": "hello", "token": "tok", "epoch": "e1", "last": 7},
        [Capable(BROWSER), Enter("tok", position=ClientPosition("e1", 7))],
    ),
    "hello-from-the-beginning": (
        {"t": "hello", "token": "tok", "epoch": "e1"},
        [Capable(BROWSER), Enter("tok", position=ClientPosition("e1", 0))],
    ),
    "hello-fresh": ({"t": "hello", "token": "tok"}, [Capable(BROWSER), Enter("tok")]),
    "hello-code": (
        {"t": "hello", "code": "ABCD-2345"},
        [Capable(BROWSER), Enter(code="ABCD-2345")],
    ),
    "hello-capable": (
        {"t": "hello", "client": "x", "width": 80, "height": 24, "binary": True},
        [
            Capable(msgspec.structs.replace(BROWSER, client="x", width=80, height=24, binary=True)),
            Enter(),
        ],
    ),
    "hello-of-the-future": ({"t": "hello", "colour": "red"}, [Capable(BROWSER), Enter()]),
    "cmd": ({"t": "cmd", "c": 1, "d": "look ☃"}, [Numbered(1, Text("look ☃"))]),
    "cmd-empty": ({"t": "cmd", "c": 2, "d": ""}, [Numbered(2, Text(""))]),
    "cmd-number-max": ({"t": "cmd", "c": 2**53 - 1, "d": ""}, [Numbered(2**53 - 1, Text(""))]),
    "interrupt": ({"t": "interrupt", "c": 4}, [Numbered(4, Interrupt())]),
    "ack": ({"t": "ack", "n": 9}, [Ack(9)]),
    "ack-nothing": ({"t": "ack", "n": 0}, [Ack(0)]),
    "ping": ({"t": "ping"}, [Ping()]),
    "ping-with-ack": ({"t": "ping", "n": 9}, [Ack(9), Ping()]),
    "resize": ({"t": "resize", "width": 120, "height": 0}, [Resized(120, 0)]),
    "auth": ({"t": "auth", "token": "jwt"}, [CredentialGiven("jwt")]),
    "login": (
        {"t": "login", "username": "ann", "password": "pw", "token": "t"},
        [LoginGiven("ann", "pw", "t")],
    ),
    "profile-chosen": ({"t": "profile", "id": "p1"}, [ProfileWanted(id="p1")]),
    "profile-created": ({"t": "profile", "name": "Ann"}, [ProfileWanted(name="Ann")]),
    "resume": ({"t": "resume"}, [ResumeOwn()]),
    "code": ({"t": "code"}, [CodeWanted()]),
    "quit": ({"t": "quit"}, [Left(done=True)]),
}


@pytest.mark.parametrize(("message", "events"), INBOUND.values(), ids=INBOUND)
def test_client_messages(message: dict[str, Any], events: list[Event | Ping]) -> None:
    assert JSON.read(json.dumps(message)) == events
    if message["t"] == "hello":
        # Who speaks MessagePack takes bytes.
        events = [
            Capable(msgspec.structs.replace(event.capabilities, binary=True))
            if isinstance(event, Capable)
            else event
            for event in events
        ]
    assert MSGPACK.read(pack(message)) == events


def test_every_client_message_is_in_the_table() -> None:
    tags = {t.__struct_config__.tag for t in wire.ClientMessage.__args__}
    assert {message["t"] for message, _ in INBOUND.values()} | {"binary", "data"} == tags


def test_bytes_are_base64_in_json_and_bytes_in_messagepack() -> None:
    event = [Numbered(5, Binary(b"\0\xff"))]
    assert JSON.read('{"t":"binary","c":5,"d":"AP8="}') == event
    assert MSGPACK.read(pack({"t": "binary", "c": 5, "d": b"\0\xff"})) == event


@FORMS
@pytest.mark.parametrize("value", [{"a": [1, 2.5, True, None, "ü"]}, [], "x", 3, None])
def test_data_reaches_the_application_as_json(dialect: HoldfastDialect, value: object) -> None:
    message = {"t": "data", "c": 6, "p": "Room.Info", "d": value}
    (event,) = dialect.read(json.dumps(message) if dialect is JSON else pack(message))
    assert isinstance(event, Numbered)
    assert isinstance(event.item, Data)
    assert (event.c, event.item.package) == (6, "Room.Info")
    assert json.loads(event.item.json) == value


def test_data_in_json_is_passed_on_unread() -> None:
    (event,) = JSON.read('{"t":"data","c":1,"p":"A","d": {"b":1.10, "b":2} }')
    assert event == Numbered(1, Data("A", '{"b":1.10, "b":2}'))


DEEP = "[" * 1_000_000 + "]" * 1_000_000
TOO_DEEP = "Stack overflow" if sys.version_info >= (3, 14) else "maximum recursion depth exceeded"
"""From Python 3.14 on, what is left of the stack is the limit."""
MALFORMED_JSON: dict[str, tuple[str | bytes, str]] = {
    "binary": (b"{}", "expected a text message, found a binary one"),
    "not-json": ("look", "JSON is malformed: invalid character (byte 0)"),
    "empty": ("", "Input data was truncated"),
    "null": ("null", "Expected `object`, got `null`"),
    "list": ("[]", "Expected `object`, got `array`"),
    "untagged": ('{"c":1}', "Object missing required field `t`"),
    "unknown": ('{"t":"dance"}', "Invalid value 'dance' - at `$.t`"),
    "server-s-own": ('{"t":"welcome"}', "Invalid value 'welcome' - at `$.t`"),
    "missing": ('{"t":"cmd","d":"x"}', "Object missing required field `c`"),
    "wrong-type": ('{"t":"cmd","c":"1","d":"x"}', "Expected `int`, got `str` - at `$.c`"),
    "fraction": ('{"t":"ack","n":1.5}', "Expected `int`, got `float` - at `$.n`"),
    "number-0": ('{"t":"cmd","c":0,"d":""}', "Expected `int` >= 1 - at `$.c`"),
    "number-too-large": (
        f'{{"t":"cmd","c":{2**53},"d":""}}',
        "Expected `int` <= 9007199254740991 - at `$.c`",
    ),
    "number-enormous": (
        f'{{"t":"ack","n":{10**40}}}',
        "Expected `int` <= 9007199254740991 - at `$.n`",
    ),
    "ack-below-0": ('{"t":"ack","n":-1}', "Expected `int` >= 0 - at `$.n`"),
    "last-below-0": ('{"t":"hello","last":-1}', "Expected `int` >= 0 - at `$.last`"),
    "no-such-screen": (
        '{"t":"resize","width":65536,"height":1}',
        "Expected `int` <= 65535 - at `$.width`",
    ),
    "a-screen-below-0": (
        '{"t":"hello","height":-1}',
        "Expected `int` >= 0 - at `$.height`",
    ),
    "long-name": (
        f'{{"t":"hello","client":"{"x" * 101}"}}',
        "Expected `str` of length <= 100 - at `$.client`",
    ),
    "lone-surrogate": ('{"t":"cmd","c":1,"d":"\\ud800"}', ""),
    "not-base64": ('{"t":"binary","c":1,"d":"!"}', "Invalid base64 encoded string - at `$.d`"),
    "too-deep": (f'{{"t":"data","c":1,"p":"A","d":{DEEP}}}', TOO_DEEP),
}


@pytest.mark.parametrize(("message", "words"), MALFORMED_JSON.values(), ids=MALFORMED_JSON)
def test_malformed_json_messages_are_refused_with_what_is_wrong(
    message: str | bytes, words: str
) -> None:
    with pytest.raises(DialectError) as caught:
        JSON.read(message)
    assert str(caught.value).startswith(words)


def data_of(packed: bytes) -> bytes:
    return pack({"t": "data", "c": 1, "p": "A", "d": msgspec.Raw(packed)})


MALFORMED_MSGPACK: dict[str, tuple[str | bytes, str]] = {
    "text": ("{}", "expected a binary message, found a text one"),
    "empty": (b"", "Input data was truncated"),
    "cut-off": (pack({"t": "cmd", "c": 1, "d": "x"})[:-1], "Input data was truncated"),
    "a-rest": (pack({"t": "quit"}) + b"\0", "MessagePack data is malformed: trailing characters"),
    "unknown": (pack({"t": "dance"}), "Invalid value 'dance' - at `$.t`"),
    "not-utf-8": (b"\x83\xa1t\xa3cmd\xa1c\x01\xa1d\xa1\xff", "'utf-8' codec can't decode byte"),
    "not-utf-8-inside": (data_of(b"\xa1\xff"), "cannot be JSON: 'utf-8' codec can't decode byte"),
    "extension": (data_of(b"\xd4\x05\x01"), "cannot be JSON: Encoding objects of type"),
    "list-as-key": (data_of(b"\x81\x90\x01"), "cannot be JSON: Only dicts with str-like"),
    "map-as-key": (data_of(b"\x81\x80\x01"), "cannot be JSON: MessagePack data is malformed"),
    "nil-as-key": (data_of(b"\x81\xc0\x01"), "cannot be JSON: Only dicts with str-like"),
    "too-deep": (
        pack({"t": "quit", "x": json.loads("[" * 500 + "]" * 500)})[:-501] + b"\x91" * 1_000_000,
        TOO_DEEP,
    ),
}


@pytest.mark.parametrize(("message", "words"), MALFORMED_MSGPACK.values(), ids=MALFORMED_MSGPACK)
def test_malformed_messagepack_messages_are_refused_with_what_is_wrong(
    message: str | bytes, words: str
) -> None:
    with pytest.raises(DialectError) as caught:
        MSGPACK.read(message)
    assert str(caught.value).startswith(words)


@given(message=st.text(max_size=60) | st.binary(max_size=60))
def test_any_message_is_understood_or_refused(message: str | bytes) -> None:
    for dialect in (JSON, MSGPACK):
        with contextlib.suppress(DialectError):
            dialect.read(message)


# --- server → client, outputs

OUTBOUND: dict[str, tuple[Output, dict[str, Any]]] = {
    "text": (Text("a ☃"), {"t": "text", "n": 3, "d": "a ☃"}),
    "formatted": (
        Formatted("a b", (Span(0, 1, "bold red"),)),
        {"t": "formatted", "n": 3, "d": "a b", "s": [[0, 1, "bold red"]]},
    ),
    "data": (
        Data("Room.Info", '{"a":[1]}'),
        {"t": "data", "n": 3, "p": "Room.Info", "d": {"a": [1]}},
    ),
    "data-that-is-no-json": (Data("A", "bare"), {"t": "data", "n": 3, "p": "A", "d": "bare"}),
    "data-that-is-nothing": (Data("A", ""), {"t": "data", "n": 3, "p": "A", "d": ""}),
    "data-that-is-too-deep": (Data("A", DEEP), {"t": "data", "n": 3, "p": "A", "d": DEEP}),
    "prompt": (Prompt("> "), {"t": "prompt", "n": 3, "d": "> "}),
    "notice": (Notice("so"), {"t": "notice", "n": 3, "d": "so"}),
}


@pytest.mark.parametrize(("output", "message"), OUTBOUND.values(), ids=OUTBOUND)
def test_outputs(output: Output, message: dict[str, Any]) -> None:
    assert messages(JSON.write(CORE, 3, [output])) == [message]
    ((opcode, payload),) = frames(MSGPACK.write(CORE, 3, [output]))
    assert (opcode, msgspec.msgpack.decode(payload)) == (BINARY, message)


def test_bytes_out_are_base64_in_json_and_bytes_in_messagepack() -> None:
    output = Binary(b"\0\xff")
    assert messages(JSON.write(CORE, 3, [output])) == [{"t": "binary", "n": 3, "d": "AP8="}]
    ((_, payload),) = frames(MSGPACK.write(CORE, 3, [output]))
    assert msgspec.msgpack.decode(payload) == {"t": "binary", "n": 3, "d": b"\0\xff"}


SKIPS: dict[str, tuple[list[Output | None], list[dict[str, Any]]]] = {
    "before": ([None, Text("b")], [{"t": "skip", "n": 1}, {"t": "text", "n": 2, "d": "b"}]),
    "several": ([None, None, Text("c")], [{"t": "skip", "n": 2}, {"t": "text", "n": 3, "d": "c"}]),
    "after": ([Text("a"), None], [{"t": "text", "n": 1, "d": "a"}, {"t": "skip", "n": 2}]),
    "before-other-than-text": (
        [None, Prompt(">")],
        [{"t": "skip", "n": 1}, {"t": "prompt", "n": 2, "d": ">"}],
    ),
    "all": ([None, None], [{"t": "skip", "n": 2}]),
    "none": ([], []),
}


@pytest.mark.parametrize(("outputs", "written"), SKIPS.values(), ids=SKIPS)
def test_replaced_outputs_are_skipped_aloud(
    outputs: list[Output | None], written: list[dict[str, Any]]
) -> None:
    assert messages(JSON.write(CORE, 1, outputs)) == written


VOLATILE: dict[str, tuple[Output, list[dict[str, Any]]]] = {
    "notice": (Notice("so"), [{"t": "notice", "d": "so"}]),
    "text": (Text("so"), [{"t": "notice", "d": "so"}]),
    "prompt": (Prompt("so"), [{"t": "notice", "d": "so"}]),
}


@pytest.mark.parametrize(("output", "written"), VOLATILE.values(), ids=VOLATILE)
def test_volatile_outputs_have_no_number(output: Output, written: list[dict[str, Any]]) -> None:
    assert messages(JSON.volatile(CORE, output)) == written


# --- server → client, of the gateway itself

OWN: dict[str, tuple[wire.ServerMessage, dict[str, Any]]] = {
    "welcome": (
        wire.Welcome("s", "tok", "e", 0, 30.0),
        {
            "t": "welcome",
            "sid": "s",
            "token": "tok",
            "epoch": "e",
            "seq": 0,
            "heartbeat": 30.0,
            "bytes_max": 65_536,
        },
    ),
    "resumed": (
        wire.Resumed("s", "tok", "e", 4, 9, 2, 30.0),
        {
            "t": "resumed",
            "sid": "s",
            "token": "tok",
            "epoch": "e",
            "from": 4,
            "to": 9,
            "cin": 2,
            "heartbeat": 30.0,
            "bytes_max": 65_536,
        },
    ),
    "reset": (
        wire.Reset("s", "tok", "e", "epoch", 9, 2, 30.0),
        {
            "t": "reset",
            "sid": "s",
            "token": "tok",
            "epoch": "e",
            "reason": "epoch",
            "top": 9,
            "cin": 2,
            "heartbeat": 30.0,
            "bytes_max": 65_536,
        },
    ),
    "ack": (wire.Acked(12), {"t": "ack", "c": 12}),
    "resend": (wire.Resend(12), {"t": "resend", "c": 12}),
    "pong": (wire.Pong(), {"t": "pong"}),
    "mode": (wire.InputMode("secret"), {"t": "mode", "d": "secret"}),
    "auth": (wire.Auth(), {"t": "auth"}),
    "auth-again": (wire.Auth("no", 500), {"t": "auth", "error": "no", "left_ms": 500}),
    "login": (wire.Login(), {"t": "login"}),
    "login-again": (wire.Login("no", 500), {"t": "login", "error": "no", "retry_ms": 500}),
    "profiles": (
        wire.Profiles((ProfileSummary("p", "Ann", "a bard"), ProfileSummary("q", "Bo"))),
        {
            "t": "profiles",
            "d": [{"id": "p", "name": "Ann", "summary": "a bard"}, {"id": "q", "name": "Bo"}],
        },
    ),
    "profiles-again": (wire.Profiles((), "no"), {"t": "profiles", "d": [], "error": "no"}),
    "offer": (wire.Offer("there is another"), {"t": "offer", "d": "there is another"}),
    "code": (wire.Code("ABCD-2345"), {"t": "code", "d": "ABCD-2345"}),
    "token": (wire.Token("tok2"), {"t": "token", "d": "tok2"}),
    "refused": (wire.Refused("why"), {"t": "refused", "reason": "why"}),
    "bye": (
        wire.Bye(1012, "shutdown", "so long", 300),
        {"t": "bye", "code": 1012, "reason": "shutdown", "text": "so long", "retry_ms": 300},
    ),
}


@pytest.mark.parametrize(("message", "written"), OWN.values(), ids=OWN)
def test_the_house_s_own_messages(message: wire.ServerMessage, written: dict[str, Any]) -> None:
    assert messages(JSON.frame(CORE, message)) == [written]
    ((opcode, payload),) = frames(MSGPACK.frame(CORE, message))
    assert (opcode, msgspec.msgpack.decode(payload)) == (BINARY, written)


def test_every_server_message_is_in_a_table() -> None:
    tags = {t.__struct_config__.tag for t in wire.ServerMessage.__args__}
    written = [message for _, message in (*OUTBOUND.values(), *OWN.values())]
    assert {message["t"] for message in written} | {"binary", "skip"} == tags


# --- plain messages


def test_plain_messages_are_lines_and_bytes() -> None:
    assert PLAIN.read("look") == [Text("look")]
    assert PLAIN.read(b"\xff") == [Binary(b"\xff")]


PLAINLY: dict[str, tuple[Output | None, list[tuple[int, bytes]]]] = {
    "text": (Text("a ☃"), [(TEXT, "a ☃".encode())]),
    "formatted": (Formatted("a", (Span(0, 1, "bold"),)), [(TEXT, b"a")]),
    "prompt": (Prompt("> "), [(TEXT, b"> ")]),
    "notice": (Notice("so"), [(TEXT, b"*** so")]),
    "binary": (Binary(b"\xff"), [(BINARY, b"\xff")]),
    "data-cannot-be-told-from-text": (Data("A", "{}"), []),
    "replaced": (None, []),
}


@pytest.mark.parametrize(("output", "written"), PLAINLY.values(), ids=PLAINLY)
def test_plain_outputs(output: Output | None, written: list[tuple[int, bytes]]) -> None:
    assert frames(PLAIN.write(CORE, 1, [output])) == written
    if output is not None:
        assert frames(PLAIN.volatile(CORE, output)) == written


# --- what many clients get

LONG = "\u00e1n" * 1000
OUTPUTS = st.sampled_from(
    [
        None,
        Text("a"),
        Text("*b"),
        Text(LONG),
        Formatted(LONG, (Span(0, 1, "bold"),)),
        Data("P", '{"n":0,"d":"' + LONG + '"}'),
        Prompt("> "),
        Notice(LONG + '"n":0'),
        Binary(b"\xa1n\x00"),
    ]
)


@given(
    st.lists(
        st.tuples(
            st.sampled_from([JSON, MSGPACK, PLAIN]),
            st.integers(1, 1 << 40),
            st.lists(OUTPUTS, min_size=1, max_size=3),
            st.integers(1, 3),
        )
    )
)
def test_what_is_written_does_not_depend_on_what_was_written_before(
    writes: list[tuple[HoldfastDialect | PlainDialect, int, list[Output | None], int]],
) -> None:
    for dialect, first, outputs, times in writes:
        fresh: HoldfastDialect | PlainDialect = PlainDialect()
        if isinstance(dialect, HoldfastDialect):
            fresh = HoldfastDialect(msgpack=dialect is MSGPACK)
        wanted = fresh.write(CORE, first, outputs)
        assert [dialect.write(CORE, first, list(outputs)) for _ in range(times)] == [wanted] * times
        other = dialect.write(CORE, first + 99, outputs)
        assert other == fresh.write(CORE, first + 99, outputs)


def test_a_long_output_for_many_clients_is_encoded_once() -> None:
    encoded: list[type] = []
    dialect = HoldfastDialect(msgpack=False)
    encode = dialect._encode

    def counting(message: Any) -> bytes:
        encoded.append(type(message))
        return encode(message)

    dialect._encode = counting
    for n in range(1, 10):
        (message,) = messages(dialect.write(CORE, n, (Text(LONG),)))
        assert message == {"t": "text", "n": n, "d": LONG}
    assert encoded.count(wire.Text) == 2  # as it came first, and once it came again


def test_compressed_frames_are_each_clients_own() -> None:
    cores = [ServerConnection(WebSocketLimits(), Deflate()) for _ in range(2)]
    head = (
        b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
        b"Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n"
    )
    for core in cores:
        core.receive_data(head)
        core.accept()
    first = [PLAIN.write(cores[0], 0, (Text(LONG),)) for _ in range(2)]
    assert first[0] != first[1]  # the second refers to the first
    assert PLAIN.write(cores[1], 0, (Text(LONG),)) == first[0]
