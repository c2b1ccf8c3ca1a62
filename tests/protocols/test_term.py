"""The messages of `holdfast.term.v1`: their names, their fields with defaults, and their bounds."""

from __future__ import annotations

import json
from typing import Any, get_args

import msgspec
import pytest
from tests.protocols.test_holdfast_v1 import LARGEST, MUST, fields_of

from holdfast.protocols import term

TERMINAL = {"cols": 80, "rows": 24, "term": "xterm-256color", "attempt": 0}

# The fields as docs/terminals.md has them.
CLIENT: dict[str, dict[str, object]] = {
    "open": TERMINAL,
    "attach": {"token": "", "code": "", "n": 0, "acked": 0, **TERMINAL},
    "ack": {"n": MUST},
    "resize": {"cols": MUST, "rows": MUST},
    "answer": {"c": MUST, "text": MUST},
    "signal": {"c": MUST, "name": MUST},
    "code": {},
    "invite": {"seconds": 3_600.0},
    "revoke": {"id": MUST},
    "watch": {"token": MUST, "n": 0},
    "close": {},
    "ping": {},
}
SERVER = {
    "ready": ["sid", "token", "n", "gap", "c", "heartbeat", "bytes_max"],
    "screen": ["d"],
    "token": ["d"],
    "code": ["d"],
    "invitation": ["id", "token", "seconds"],
    "viewers": ["invitations"],
    "watching": ["sid", "n", "gap", "cols", "rows", "heartbeat"],
    "size": ["cols", "rows"],
    "took": ["c"],
    "resend": ["c"],
    "refused": ["text", "retry_ms"],
    "notify": ["text"],
    "bye": ["code", "reason", "text", "retry_ms"],
    "pong": [],
}


def test_each_message_has_its_name_its_fields_and_their_defaults() -> None:
    assert fields_of(term.ClientMessage) == CLIENT
    needed = {name: dict.fromkeys(fields, MUST) for name, fields in SERVER.items()}
    assert fields_of(term.ServerMessage) == needed
    assert term.SUBPROTOCOL == "holdfast.term.v1"


def test_a_client_sends_no_fields_but_these() -> None:
    for kind in get_args(term.ClientMessage):
        message = {"t": kind.__struct_config__.tag, "another": 1}
        with pytest.raises(msgspec.ValidationError, match="unknown field `another`"):
            msgspec.convert(message, type=kind)


COMMAND_MAX = (1 << 32) - 1

# a message without a field, the field, the least and the largest number in it
BOUNDS: list[tuple[dict[str, Any], str, int, int]] = [
    ({"t": "open"}, "cols", 1, 1_000),
    ({"t": "open"}, "rows", 1, 1_000),
    ({"t": "open"}, "attempt", 0, LARGEST),
    ({"t": "attach"}, "n", 0, LARGEST),
    ({"t": "attach"}, "acked", 0, COMMAND_MAX),
    ({"t": "attach"}, "cols", 1, 1_000),
    ({"t": "attach"}, "rows", 1, 1_000),
    ({"t": "attach"}, "attempt", 0, LARGEST),
    ({"t": "ack"}, "n", 0, LARGEST),
    ({"t": "resize", "rows": 1}, "cols", 1, 1_000),
    ({"t": "resize", "cols": 1}, "rows", 1, 1_000),
    ({"t": "answer", "text": ""}, "c", 1, COMMAND_MAX),
    ({"t": "signal", "name": "INT"}, "c", 1, COMMAND_MAX),
    ({"t": "revoke"}, "id", 0, COMMAND_MAX),
    ({"t": "watch", "token": ""}, "n", 0, LARGEST),
]


@pytest.mark.parametrize(("message", "name", "least", "most"), BOUNDS, ids=str)
def test_a_number_has_bounds(message: dict[str, Any], name: str, least: int, most: int) -> None:
    def read(value: int) -> object:
        return msgspec.json.decode(json.dumps({**message, name: value}), type=term.ClientMessage)

    for value in (least, most):
        assert getattr(read(value), name) == value
    for value in (least - 1, most + 1):
        with pytest.raises(msgspec.ValidationError, match=rf"\$\.{name}"):
            read(value)


def test_an_invitation_is_good_for_some_time() -> None:
    for seconds in (0.001, 1e9):
        assert msgspec.convert({"seconds": seconds}, term.Invite).seconds == seconds
    for wrong in (0, -1, 1e9 + 1):
        with pytest.raises(msgspec.ValidationError, match="seconds"):
            msgspec.convert({"seconds": wrong}, term.Invite)


@pytest.mark.parametrize(
    ("kind", "field"), [(term.Open, "term"), (term.Attach, "term"), (term.Signal, "name")]
)
def test_a_name_has_a_hundred_characters(kind: type[msgspec.Struct], field: str) -> None:
    given = {"c": 1} if kind is term.Signal else {}
    assert getattr(msgspec.convert({**given, field: "ü" * 100}, kind), field) == "ü" * 100
    with pytest.raises(msgspec.ValidationError, match=field):
        msgspec.convert({**given, field: "x" * 101}, kind)


@pytest.mark.parametrize("c", [1, 258, COMMAND_MAX])
def test_input_has_a_type_and_a_number(c: int) -> None:
    message = term.write_input(c, b"ls\n")
    assert message == b"\0" + c.to_bytes(4, "big") + b"ls\n"
    assert term.read_input(message) == (c, b"ls\n")


@pytest.mark.parametrize(
    ("message", "fault"),
    [
        (b"", "expected input behind 5 bytes, found 0 bytes"),
        (b"\0\0\0\0\1", "expected input behind 5 bytes, found 5 bytes"),
        (b"\1\0\0\0\1x", "expected type 0 and a number from 1 on, found 1 and 1"),
        (b"\0\0\0\0\0x", "expected type 0 and a number from 1 on, found 0 and 0"),
    ],
)
def test_what_is_no_input_is_refused(message: bytes, fault: str) -> None:
    with pytest.raises(term.TermError) as raised:
        term.read_input(message)
    assert str(raised.value) == fault
