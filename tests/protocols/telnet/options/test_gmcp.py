"""GMCP: packages, JSON, and what is neither."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.protocols.telnet.wire import (
    client,
    feed,
    properties,
    sb,
    silent_server,
    telnet_server,
    wire,
)

from holdfast.core.limits import Limits
from holdfast.protocols.telnet import Capabilities, CapabilitiesChanged, Gmcp
from holdfast.protocols.telnet.codes import DO, DONT, GMCP, IAC, WILL, WONT
from holdfast.protocols.telnet.options.gmcp import decode, encode

DO_GMCP = wire(IAC, DO, GMCP)

DEPTH_MAX = 4


def nested(depth: int) -> str:
    return "[" * depth + "]" * depth


VALID: dict[str, tuple[str, Gmcp]] = {
    "object": ('Core.Hello {"client":"x"}', Gmcp("Core.Hello", '{"client":"x"}')),
    "array": ('Core.Supports.Set ["Char 1"]', Gmcp("Core.Supports.Set", '["Char 1"]')),
    "string": ('A "x"', Gmcp("A", '"x"')),
    "number": ("A -1.5e3", Gmcp("A", "-1.5e3")),
    "null": ("A null", Gmcp("A", "null")),
    "nothing": ("Core.Ping", Gmcp("Core.Ping", "")),
    "nothing-but-a-space": ("Core.Ping ", Gmcp("Core.Ping", "")),
    "no-space": ('A{"b":1}', Gmcp("A", '{"b":1}')),
    "unread": ('A { "b" : 1.0 }', Gmcp("A", '{ "b" : 1.0 }')),
    "utf-8": ('A "é😀"', Gmcp("A", '"é😀"')),
    "newline": ("A [\n1\r\n]", Gmcp("A", "[\n1\r\n]")),
    "name": ("a-B_9.c 1", Gmcp("a-B_9.c", "1")),
    "word": ("Char.Login bob", Gmcp("Char.Login", "bob")),
    "words": ("Core.Ping a word,  or 2", Gmcp("Core.Ping", "a word,  or 2")),
    "word-beyond-ascii": ("A é", Gmcp("A", "é")),
    "word-that-is-a-path": ("A /B", Gmcp("A", "/B")),
    "almost-a-number": ("A NaN", Gmcp("A", "NaN")),
    "two-values": ("A 1 2", Gmcp("A", "1 2")),
    "as-deep-as-may-be": (f"A {nested(4)}", Gmcp("A", nested(4))),
    "wide-is-not-deep": ("A [[],[],[],[],[]]", Gmcp("A", "[[],[],[],[],[]]")),
    "brackets-in-strings-are-not-depth": (
        'A ["[[[[[", "\\"[[[["]',
        Gmcp("A", '["[[[[[", "\\"[[[["]'),
    ),
}


@pytest.mark.parametrize(("text", "message"), VALID.values(), ids=VALID)
def test_messages(text: str, message: Gmcp) -> None:
    assert decode(text.encode(), DEPTH_MAX) == message


INVALID: dict[str, bytes] = {
    "empty": b"",
    "no-name": b' {"a":1}',
    "bad-name": b"A/B 1",
    "not-utf-8": b'A "\xe9"',
    "name-not-ascii": "é 1".encode(),
    "word-with-a-control": b"A wo\x1brd",
    "words-with-a-line-end": b"A a\nword",
    "word-behind-no-space": b"A\xc3\xa9",
    "truncated": b'A {"a":',
    "string-that-does-not-end": b'A "b',
    "control-in-string": b'A "\x01"',
    "another-space": "A\u00a01".encode(),
    "too-deep": b"A " + nested(5).encode(),
    "too-deep-objects": b'A {"a":{"a":{"a":{"a":{}}}}}',
    "deep-enough-to-break-a-stack": b"A " + nested(30_000).encode(),
    "unbalanced": b"A " + b"[" * 60_000,
}


@pytest.mark.parametrize("payload", INVALID.values(), ids=INVALID)
def test_what_is_no_message_is_dropped_and_counted(payload: bytes) -> None:
    limits = Limits().but(telnet={"gmcp_depth_max": DEPTH_MAX}).telnet
    server = silent_server(limits)
    feed(server, [DO_GMCP])
    assert feed(server, [sb(GMCP, payload)]) == ([], b"")
    assert server.malformed == 1


json_texts = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=20,
).map(json.dumps)


def depth(value: object) -> int:
    if isinstance(value, dict):
        value = list(value.values())
    return 1 + max(map(depth, value), default=0) if isinstance(value, list) else 0


@properties
@given(st.from_regex(r"[A-Za-z0-9_.-]+", fullmatch=True), json_texts | st.just(""))
def test_what_is_encoded_is_decoded_if_it_is_not_too_deep(package: str, text: str) -> None:
    fits = not text or depth(json.loads(text)) <= DEPTH_MAX
    message = Gmcp(package, text) if fits else None
    assert decode(encode(package, text), DEPTH_MAX) == message


@properties
@given(
    st.binary(max_size=50) | st.text(alphabet='[]{}"\\,:1a ').map(lambda text: f"A {text}".encode())
)
def test_any_payload_is_a_message_with_valid_json_or_words_or_none(payload: bytes) -> None:
    message = decode(payload, DEPTH_MAX)
    if message is not None and message.json:
        assert depth(message.value) <= DEPTH_MAX
        assert message.value == message.json or json.loads(message.json) == message.value


VALUES: dict[str, object] = {'{"hp":1}': {"hp": 1}, '"x"': "x", "bob": "bob", "1": 1, "": None}


@pytest.mark.parametrize(("text", "value"), VALUES.items(), ids=VALUES)
def test_the_value_of_a_message(text: str, value: object) -> None:
    assert Gmcp("A", text).value == value


def test_a_client_that_agrees_sends_and_is_sent() -> None:
    server = silent_server()
    assert not server.send_gmcp("A", "1")
    assert server.data_to_send() == b""
    assert feed(server, [DO_GMCP]) == ([CapabilitiesChanged(Capabilities(gmcp=True))], b"")
    assert feed(server, [sb(GMCP, 'A {"b":1}')]) == ([Gmcp("A", '{"b":1}')], b"")
    assert server.send_gmcp("Char.Vitals", '{"hp":1}')
    assert server.send_gmcp("Core.Ping", "")
    assert server.data_to_send() == sb(GMCP, 'Char.Vitals {"hp":1}') + sb(GMCP, "Core.Ping")


def test_a_line_feed_in_a_message_stays_one_byte() -> None:
    server = telnet_server(DO_GMCP)
    server.send_gmcp("A", "[\n1]")
    assert server.data_to_send() == sb(GMCP, "A [\n1]")


def test_a_message_is_in_utf_8_whatever_the_text_is_in() -> None:
    server = telnet_server(DO_GMCP, b"\xe9\r\n")
    server.send_text("é")
    server.send_gmcp("A", '"é"')
    assert server.data_to_send() == b"\xe9" + sb(GMCP, 'A "é"')


def test_a_client_that_goes_off_is_sent_no_more() -> None:
    server = telnet_server(DO_GMCP)
    events, sent = feed(server, [wire(IAC, DONT, GMCP)])
    assert (events, sent) == ([CapabilitiesChanged(Capabilities())], wire(IAC, WONT, GMCP))
    assert not server.send_gmcp("A", "1")
    assert server.data_to_send() == b""


def test_a_message_that_nobody_agreed_to_is_not_read() -> None:
    server = silent_server()
    assert feed(server, [sb(GMCP, "A 1")]) == ([], b"")
    assert server.malformed == 1


def test_messages_are_not_counted_as_negotiation() -> None:
    server = telnet_server(DO_GMCP)
    messages = 2 * server.limits.negotiation_burst_max
    assert feed(server, [sb(GMCP, "A 1") * messages])[0] == [Gmcp("A", "1")] * messages


def test_the_client_introduces_itself() -> None:
    peer = client()
    hello = sb(GMCP, 'Core.Hello {"client":"Hold","version":"1"}')
    assert feed(peer, [wire(IAC, WILL, GMCP)]) == (
        [CapabilitiesChanged(Capabilities(gmcp=True))],
        DO_GMCP + hello,
    )
    assert feed(peer, [sb(GMCP, "A 1")])[0] == [Gmcp("A", "1")]
    assert peer.send_gmcp("B", "2")
    assert peer.data_to_send() == sb(GMCP, "B 2")
