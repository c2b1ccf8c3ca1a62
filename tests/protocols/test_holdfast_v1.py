"""The messages of `holdfast.v1`: their names, their fields with defaults, and their bounds."""

from __future__ import annotations

import json
from typing import Any, get_args

import msgspec
import pytest

from holdfast.protocols import holdfast_v1 as wire

MUST = object()
"""A field without a default."""
WELCOMED = {"sid": MUST, "token": MUST, "epoch": MUST}
TIMES = {"heartbeat": MUST, "bytes_max": 65_536, "keep_s": msgspec.UNSET}

# The fields as docs/holdfast-v1.md has them.
SERVER: dict[str, dict[str, object]] = {
    "welcome": {**WELCOMED, "seq": MUST, **TIMES},
    "resumed": {**WELCOMED, "from": MUST, "to": MUST, "cin": MUST, **TIMES},
    "reset": {**WELCOMED, "reason": MUST, "top": MUST, "cin": MUST, **TIMES},
    "token": {"d": MUST, "keep_s": msgspec.UNSET},
    "text": {"n": MUST, "d": MUST},
    "formatted": {"n": MUST, "d": MUST, "s": MUST},
    "data": {"n": MUST, "p": MUST, "d": MUST},
    "binary": {"n": MUST, "d": MUST},
    "prompt": {"n": MUST, "d": MUST},
    "notice": {"d": MUST, "n": msgspec.UNSET},
    "skip": {"n": MUST},
    "ack": {"c": MUST},
    "resend": {"c": MUST},
    "pong": {},
    "mode": {"d": MUST},
    "login": {"error": "", "retry_ms": 0},
    "auth": {"error": "", "left_ms": 0},
    "profiles": {"d": MUST, "error": ""},
    "offer": {"d": MUST},
    "code": {"d": MUST},
    "refused": {"reason": MUST, "retry_ms": -1},
    "bye": {"code": MUST, "reason": MUST, "text": MUST, "retry_ms": MUST},
}
CLIENT: dict[str, dict[str, object]] = {
    "hello": {
        "token": "",
        "auth": "",
        "code": "",
        "epoch": "",
        "last": 0,
        "acked": 0,
        "try": 0,
        "client": "",
        "width": 0,
        "height": 0,
        "binary": False,
    },
    "cmd": {"c": MUST, "d": MUST},
    "data": {"c": MUST, "p": MUST, "d": MUST},
    "binary": {"c": MUST, "d": MUST},
    "interrupt": {"c": MUST},
    "ack": {"n": MUST},
    "ping": {"n": 0},
    "resize": {"width": MUST, "height": MUST},
    "login": {"username": "", "password": "", "token": ""},
    "auth": {"token": MUST},
    "profile": {"id": "", "name": "", "properties": {}},
    "resume": {},
    "code": {},
    "quit": {},
}
SPARSE = {"auth", "login", "profiles", "refused"}
"""Messages of the gateway that leave out what is as by default."""


def default_of(field: Any) -> object:
    if field.default_factory is not msgspec.NODEFAULT:
        return field.default_factory()
    return MUST if field.default is msgspec.NODEFAULT else field.default


def fields_of(union: Any) -> dict[str, dict[str, object]]:
    return {
        kind.__struct_config__.tag: {
            field.encode_name: default_of(field) for field in msgspec.structs.fields(kind)
        }
        for kind in get_args(union)
    }


@pytest.mark.parametrize(
    ("union", "fields"),
    [(wire.ServerMessage, SERVER), (wire.ClientMessage, CLIENT)],
    ids=["server", "client"],
)
def test_each_message_has_its_name_its_fields_and_their_defaults(
    union: Any, fields: dict[str, dict[str, object]]
) -> None:
    assert fields_of(union) == fields
    for kind in get_args(union):
        assert kind.__struct_config__.tag_field == "t"
        assert kind.__struct_config__.frozen


def test_only_what_is_no_default_is_written_where_the_page_says_so() -> None:
    sparse = {
        kind.__struct_config__.tag
        for kind in get_args(wire.ServerMessage)
        if kind.__struct_config__.omit_defaults
    }
    assert sparse == SPARSE
    assert json.loads(msgspec.json.encode(wire.Login())) == {"t": "login"}
    assert json.loads(msgspec.json.encode(wire.Notice("hi"))) == {"t": "notice", "d": "hi"}


def test_the_sub_protocols_keep_their_names() -> None:
    assert (wire.SUBPROTOCOL, wire.SUBPROTOCOL_MSGPACK) == ("holdfast.v1", "holdfast.v1+msgpack")


LARGEST = (1 << 53) - 1
HELLO: dict[str, Any] = {"t": "hello"}
WELCOME: dict[str, Any] = {"t": "welcome", "sid": "s", "token": "t", "epoch": "e", "seq": 0}
RESUMED: dict[str, Any] = {
    "t": "resumed", "sid": "s", "token": "t", "epoch": "e", "from": 1, "to": 1, "cin": 0,
}  # fmt: skip

# a message without a field, the field, the least and the largest number, or characters, in it
BOUNDS: list[tuple[Any, dict[str, Any], str, int, int | None]] = [
    (wire.ClientMessage, HELLO, "last", 0, LARGEST),
    (wire.ClientMessage, HELLO, "acked", 0, LARGEST),
    (wire.ClientMessage, HELLO, "try", 0, LARGEST),
    (wire.ClientMessage, HELLO, "width", 0, 65_535),
    (wire.ClientMessage, HELLO, "height", 0, 65_535),
    (wire.ClientMessage, {"t": "resize", "height": 1}, "width", 0, 65_535),
    (wire.ClientMessage, {"t": "resize", "width": 1}, "height", 0, 65_535),
    (wire.ClientMessage, {"t": "cmd", "d": ""}, "c", 1, LARGEST),
    (wire.ClientMessage, {"t": "data", "p": "", "d": 1}, "c", 1, LARGEST),
    (wire.ClientMessage, {"t": "binary", "d": ""}, "c", 1, LARGEST),
    (wire.ClientMessage, {"t": "interrupt"}, "c", 1, LARGEST),
    (wire.ClientMessage, {"t": "ack"}, "n", 0, LARGEST),
    (wire.ClientMessage, {"t": "ping"}, "n", 0, LARGEST),
    (wire.ServerMessage, {**WELCOME, "heartbeat": 1}, "seq", 0, LARGEST),
    (wire.ServerMessage, {**WELCOME, "heartbeat": 1}, "bytes_max", 1, LARGEST),
    (wire.ServerMessage, {**RESUMED, "heartbeat": 1}, "from", 0, LARGEST),
    (wire.ServerMessage, {**RESUMED, "heartbeat": 1}, "to", 0, LARGEST),
    (wire.ServerMessage, {**RESUMED, "heartbeat": 1}, "cin", 0, LARGEST),
    (wire.ServerMessage, {"t": "text", "d": ""}, "n", 0, LARGEST),
    (wire.ServerMessage, {"t": "skip"}, "n", 0, LARGEST),
    (wire.ServerMessage, {"t": "ack"}, "c", 0, LARGEST),
    (wire.ServerMessage, {"t": "resend"}, "c", 1, LARGEST),
    (wire.ServerMessage, {"t": "bye", "code": 1, "reason": "", "text": ""}, "retry_ms", -1, None),
]  # fmt: skip


@pytest.mark.parametrize(
    ("union", "message", "name", "least", "most"),
    BOUNDS,
    ids=lambda value: value.get("t") if isinstance(value, dict) else str(value)[:9],
)
def test_a_field_has_bounds(
    union: Any, message: dict[str, Any], name: str, least: int, most: int | None
) -> None:
    def read(value: int) -> object:
        read = msgspec.json.decode(json.dumps({**message, name: value}), type=union)
        assert json.loads(msgspec.json.encode(read))[name] == value
        return read

    read(least)
    if most is None:
        return
    read(most)
    for wrong in (least - 1, most + 1):
        with pytest.raises(msgspec.ValidationError, match=rf"\$\.{name}"):
            read(wrong)


def test_a_heartbeat_takes_time() -> None:
    for seconds in (0.001, 20):
        message = {**WELCOME, "heartbeat": seconds}
        assert msgspec.convert(message, wire.ServerMessage).heartbeat == seconds
    for seconds in (0, -1):
        with pytest.raises(msgspec.ValidationError, match="heartbeat"):
            msgspec.convert({**WELCOME, "heartbeat": seconds}, wire.ServerMessage)


def test_a_client_s_name_has_a_hundred_characters() -> None:
    hello = msgspec.convert({**HELLO, "client": "ü" * 100}, wire.ClientMessage)
    assert hello == wire.Hello(client="ü" * 100)
    with pytest.raises(msgspec.ValidationError, match="client"):
        msgspec.convert({**HELLO, "client": "x" * 101}, wire.ClientMessage)
