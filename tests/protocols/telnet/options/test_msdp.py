"""MSDP: variables with values, tables and arrays, both ways."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.protocols.telnet.wire import LIMITS, TERMINAL, converse, feed, properties, sb, wire

from holdfast.protocols.telnet import (
    Capabilities,
    CapabilitiesChanged,
    Fault,
    Msdp,
    TelnetClient,
    TelnetServer,
    Violation,
)
from holdfast.protocols.telnet.charsets import AUTOMATIC
from holdfast.protocols.telnet.codes import DO, IAC, MSDP, WILL
from holdfast.protocols.telnet.options.msdp import MalformedMsdp, decode, encode
from holdfast.protocols.telnet.server import Offers, server_options

OPTIONS = server_options(Offers(msdp=True))
VAR, VAL, TABLE, END_TABLE, ARRAY, END_ARRAY = range(1, 7)

MESSAGES: dict[str, tuple[bytes, list[tuple[str, Any]]]] = {
    "nothing": (b"", []),
    "text": (wire(VAR, "SEND", VAL, "HEALTH"), [("SEND", "HEALTH")]),
    "empty-text": (wire(VAR, "A", VAL), [("A", "")]),
    "no-value": (wire(VAR, "A"), [("A", "")]),
    "several": (wire(VAR, "A", VAL, "1", VAR, "B", VAL, "2"), [("A", "1"), ("B", "2")]),
    "one-name-twice": (wire(VAR, "A", VAL, "1", VAR, "A", VAL, "2"), [("A", "1"), ("A", "2")]),
    "values": (wire(VAR, "REPORT", VAL, "A", VAL, "B"), [("REPORT", ["A", "B"])]),
    "array": (wire(VAR, "A", VAL, ARRAY, VAL, "1", VAL, "2", END_ARRAY), [("A", ["1", "2"])]),
    "empty-array": (wire(VAR, "A", VAL, ARRAY, END_ARRAY), [("A", [])]),
    "table": (
        wire(VAR, "ROOM", VAL, TABLE, VAR, "VNUM", VAL, "6008", VAR, "N", VAL, "é", END_TABLE),
        [("ROOM", {"VNUM": "6008", "N": "é"})],
    ),
    "nested": (
        wire(
            VAR, "R", VAL, TABLE, VAR, "E", VAL, ARRAY, VAL, TABLE, END_TABLE, END_ARRAY, END_TABLE
        ),
        [("R", {"E": [{}]})],
    ),
    "not-utf-8": (wire(VAR, "A", VAL) + b"\xe9x", [("A", "\ufffdx")]),
    "as-deep-as-may-be": (
        wire(VAR, "A", wire(VAL, ARRAY) * 16),
        [("A", [[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]])],
    ),
    "open-at-the-end": (wire(VAR, "A", VAL, ARRAY, VAL, "1"), [("A", ["1"])]),
}


TOO_MUCH: dict[str, bytes] = {
    "variables": wire(VAR, VAL) * 257,
    "names-alone": wire(VAR) * 257,
    "values": wire(VAR, wire(VAL) * 4096),
    "an-array": wire(VAR, VAL, ARRAY, wire(VAL) * 4095),
    "a-table": wire(VAR, VAL, TABLE, wire(VAR, VAL) * 2048),
}


@pytest.mark.parametrize("payload", TOO_MUCH.values(), ids=TOO_MUCH)
def test_what_a_message_becomes_is_bounded(payload: bytes) -> None:
    with pytest.raises(MalformedMsdp, match="more than"):
        decode(payload, 16)
    assert decode(payload[:-2], 16)


@pytest.mark.parametrize(("payload", "variables"), MESSAGES.values(), ids=MESSAGES)
def test_messages(payload: bytes, variables: list[tuple[str, Any]]) -> None:
    assert decode(payload, 16) == variables


MALFORMED = {
    "text-first": b"HEALTH",
    "value-first": wire(VAL, "x"),
    "nul": wire(VAR, "A", VAL, "a\0b"),
    "closed-twice": wire(VAR, "A", VAL, ARRAY, END_ARRAY, END_ARRAY),
    "closed-by-the-other": wire(VAR, "A", VAL, ARRAY, VAL, "1", END_TABLE),
    "value-in-a-table": wire(VAR, "A", VAL, TABLE, VAL, "1", END_TABLE),
    "too-deep": wire(VAR, "A", (wire(VAL, ARRAY)) * 17),
}


@pytest.mark.parametrize("payload", MALFORMED.values(), ids=MALFORMED)
def test_what_is_malformed_is_dropped_and_counted(payload: bytes) -> None:
    with pytest.raises(MalformedMsdp):
        decode(payload, 16)
    server = msdp_server()
    assert feed(server, [sb(MSDP, payload)])[0] == []
    assert server.malformed == 1


texts = st.text(st.characters(min_codepoint=7, exclude_categories=["Cs"]))
values = st.recursive(
    texts, lambda inner: st.lists(inner) | st.dictionaries(texts, inner), max_leaves=20
)


@properties
@given(texts, values)
def test_any_value_comes_back(name: str, value: Any) -> None:
    payload = encode(name, msgspec.json.encode(value).decode(), 64)
    assert decode(payload, 64) == [(name, value)]


@properties
@given(st.lists(st.binary(max_size=3) | st.sampled_from([bytes((n,)) for n in range(7)])))
def test_any_bytes_are_read_or_malformed(parts: list[bytes]) -> None:
    try:
        variables = decode(b"".join(parts), 16)
    except MalformedMsdp:
        return
    for name, value in variables:
        again = encode(name, msgspec.json.encode(value).decode(), 17)
        assert decode(again, 17) == [(name, value)]


SCALARS = {
    "12": "12",
    "1.5": "1.5",
    "true": "1",
    "false": "0",
    "null": "",
    "": "",
    "a word": "a word",
}


@pytest.mark.parametrize(("json", "text"), SCALARS.items())
def test_all_else_is_text(json: str, text: str) -> None:
    assert decode(encode("A", json, 16), 16) == [("A", text)]


@pytest.mark.parametrize(
    ("name", "json"), [("A\1", "1"), ("A", '"\\u0002"'), ("A", "{"), ("A", "[" * 17 + "]" * 17)]
)
def test_what_cannot_be_said_is_not_sent(name: str, json: str) -> None:
    server = msdp_server()
    assert not server.send_msdp(name, json)
    assert server.data_to_send() == b""


def msdp_server() -> TelnetServer:
    server = TelnetServer(LIMITS, 0.0, AUTOMATIC, OPTIONS)
    known = CapabilitiesChanged(Capabilities(msdp=True))
    assert feed(server, [wire(IAC, DO, MSDP)])[0] == [known]
    return server


@pytest.mark.parametrize("values", [16, 200, 4_000])
def test_a_client_that_floods_with_values_is_closed(values: int) -> None:
    server = msdp_server()
    message = sb(MSDP, wire(VAR, "A", wire(VAL) * (values - 1)))
    taken = 0
    for _ in range(LIMITS.negotiation_burst_max + 1):
        events = server.receive_data(message, 1.0)
        if events[-1] == Violation(Fault.NEGOTIATION_FLOOD):
            break
        taken += values
    else:
        pytest.fail("nothing ended it")
    assert 0 < taken <= 16 * (LIMITS.negotiation_burst_max + 12)


def test_what_clients_and_servers_say_is_no_flood() -> None:
    server = msdp_server()
    report = sb(MSDP, VAR, "REPORT", VAL, ARRAY, wire(VAL, "HEALTH") * 40, END_ARRAY)
    for number in range(300):
        assert server.receive_data(report, 1.0 + number / 10) != []
    client = TelnetClient(LIMITS, TERMINAL, also=(MSDP,))
    told = sb(MSDP, wire(VAR, "A", VAL, "1") * 200)
    client.receive_data(wire(IAC, WILL, MSDP), 1.0)
    events = client.receive_data(told * 100, 1.0)
    assert len([event for event in events if isinstance(event, Msdp)]) == 20_000


def test_both_ways() -> None:
    server = TelnetServer(LIMITS, 0.0, AUTOMATIC, OPTIONS)
    client = TelnetClient(LIMITS, TERMINAL, also=(MSDP,))
    converse(server, client)
    assert server.send_msdp("ROOM", '{"VNUM":6008,"EXITS":["n","s"]}')
    told = client.receive_data(server.data_to_send(), 1.0)
    assert told == [Msdp("ROOM", '{"VNUM":"6008","EXITS":["n","s"]}')]
    assert client.send_msdp("REPORT", '["HEALTH","ROOM"]')
    heard = server.receive_data(client.data_to_send(), 1.0)
    assert heard == [Msdp("REPORT", '["HEALTH","ROOM"]')]


def test_a_client_that_wants_none_is_sent_none() -> None:
    server = TelnetServer(LIMITS, 0.0, AUTOMATIC, OPTIONS)
    converse(server, TelnetClient(LIMITS, TERMINAL))
    assert not server.send_msdp("A", "1")
