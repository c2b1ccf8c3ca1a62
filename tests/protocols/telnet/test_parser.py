"""The byte parser: RFC 854 and 855, and what a peer may get wrong."""

from __future__ import annotations

from itertools import product
from typing import SupportsIndex

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.protocols.telnet.wire import cut, cuts, properties, wire

from holdfast.core.limits import Limits, TelnetLimits
from holdfast.protocols.telnet.codes import (
    AYT,
    DO,
    DONT,
    EOF,
    GA,
    GMCP,
    IAC,
    NAWS,
    NOP,
    SB,
    SE,
    TTYPE,
    WILL,
    WONT,
)
from holdfast.protocols.telnet.parser import (
    PARSER,
    Byte,
    Command,
    Do,
    Malformed,
    Negotiation,
    Overflow,
    Parser,
    State,
    Subnegotiation,
    Token,
)

SMALL = Limits().but(telnet={"subnegotiation_bytes_max": 4, "gmcp_bytes_max": 8}).telnet


def parser(limits: TelnetLimits = SMALL) -> Parser:
    return Parser(limits, frozenset({GMCP}))


def joined(tokens: list[Token]) -> list[Token]:
    """Runs of data that touch, as one: how they are cut means nothing."""
    out: list[Token] = []
    for token in tokens:
        if isinstance(token, bytes) and out and isinstance(out[-1], bytes):
            out[-1] += token
        else:
            out.append(token)
    return out


def parse(*chunks: bytes) -> list[Token]:
    made = parser()
    return joined([token for chunk in chunks for token in made.parse(chunk, 0.0)])


def sb(option: int, payload: bytes) -> bytes:
    return wire(IAC, SB, option, payload, IAC, SE)


ROWS: dict[str, tuple[bytes, list[Token]]] = {
    "data": (b"look\r\n", [b"look\r\n"]),
    "data-with-bytes-that-are-commands-behind-iac": (
        wire("a", SE, SB, "b"),
        [wire("a", SE, SB, "b")],
    ),
    "iac-iac-is-data": (wire("a", IAC, IAC, "b"), [b"a\xffb"]),
    "will": (wire(IAC, WILL, TTYPE), [Negotiation(WILL, TTYPE)]),
    "wont": (wire(IAC, WONT, 0), [Negotiation(WONT, 0)]),
    "do": (wire(IAC, DO, 200), [Negotiation(DO, 200)]),
    "dont": (wire(IAC, DONT, 240), [Negotiation(DONT, 240)]),
    "do-option-255": (wire(IAC, DO, IAC, "x"), [Negotiation(DO, IAC), b"x"]),
    "commands": (wire(IAC, AYT, IAC, GA), [Command(AYT), Command(GA)]),
    "lowest-command": (wire(IAC, EOF), [Command(EOF)]),
    "sb": (sb(NAWS, b"\0P\0\x18"), [Subnegotiation(NAWS, b"\0P\0\x18")]),
    "sb-empty": (sb(TTYPE, b""), [Subnegotiation(TTYPE, b"")]),
    "sb-doubled-iac": (sb(NAWS, b"\0\xff\xff\0"), [Subnegotiation(NAWS, b"\0\xff\0")]),
    "sb-full": (sb(NAWS, b"1234"), [Subnegotiation(NAWS, b"1234")]),
    "sb-then-data": (sb(TTYPE, b"x") + b"y", [Subnegotiation(TTYPE, b"x"), b"y"]),
    "sb-option-240": (sb(SE, b"x"), [Subnegotiation(SE, b"x")]),
    "stray-se": (wire("A", IAC, SE, "B"), [b"A", Malformed(), b"B"]),
    "unknown-command": (wire("B", IAC, 1, "C"), [b"B", Malformed(), b"C"]),
    "highest-unknown-command": (wire(IAC, 235), [Malformed()]),
    "sb-se": (wire(IAC, SB, IAC, SE, "x"), [Malformed(), b"x"]),
    "sb-without-option-keeps-nothing": (
        wire(IAC, SB, IAC, IAC, "x", IAC, SE, "y"),
        [Malformed(), b"y"],
    ),
    "sb-interrupted-by-command": (
        wire("C", IAC, SB, GMCP, "xx", IAC, NOP, "y", IAC, SE, "D"),
        [b"C", Malformed(), Command(NOP), b"y", Malformed(), b"D"],
    ),
    "sb-interrupted-by-negotiation": (
        wire(IAC, SB, GMCP, "xx", IAC, WILL, TTYPE, "y"),
        [Malformed(), Negotiation(WILL, TTYPE), b"y"],
    ),
    "sb-interrupted-by-sb": (
        wire(IAC, SB, GMCP, "xx", sb(TTYPE, b"z")),
        [Malformed(), Subnegotiation(TTYPE, b"z")],
    ),
    "sb-interrupted-by-nonsense": (
        wire(IAC, SB, GMCP, "xx", IAC, 1, "y"),
        [Malformed(), Malformed(), b"y"],
    ),
    "sb-too-long": (sb(NAWS, b"12345") + b"x", [Overflow(NAWS), b"x"]),
    "sb-too-long-is-told-once": (sb(NAWS, b"1" * 100), [Overflow(NAWS)]),
    "sb-too-long-by-a-doubled-iac": (sb(NAWS, b"1234\xff\xff"), [Overflow(NAWS)]),
    "sb-after-one-too-long": (
        sb(NAWS, b"12345") + sb(NAWS, b"1"),
        [Overflow(NAWS), Subnegotiation(NAWS, b"1")],
    ),
    "gmcp-may-be-longer": (sb(GMCP, b"12345678"), [Subnegotiation(GMCP, b"12345678")]),
    "gmcp-too-long": (sb(GMCP, b"123456789"), [Overflow(GMCP)]),
    "sb-never-closed": (wire("a", IAC, SB, GMCP, "xyz"), [b"a"]),
}


@pytest.mark.parametrize(("data", "tokens"), ROWS.values(), ids=ROWS)
def test_bytes_become_tokens(data: bytes, tokens: list[Token]) -> None:
    assert parse(data) == tokens


@pytest.mark.parametrize(("data", "tokens"), ROWS.values(), ids=ROWS)
def test_every_split_in_two_gives_the_same_tokens(data: bytes, tokens: list[Token]) -> None:
    for place in range(len(data) + 1):
        assert parse(data[:place], data[place:]) == tokens


@pytest.mark.parametrize(("data", "tokens"), ROWS.values(), ids=ROWS)
def test_bytes_one_by_one_give_the_same_tokens(data: bytes, tokens: list[Token]) -> None:
    assert parse(*(bytes((byte,)) for byte in data)) == tokens


# Bytes that mean something come as often as those that do not.
telnet_bytes = st.lists(
    st.sampled_from(range(236, 256)) | st.sampled_from((IAC, SB, SE, GMCP)) | st.integers(0, 255),
    max_size=200,
).map(bytes)


@properties
@given(telnet_bytes, cuts)
def test_no_cutting_changes_the_tokens(data: bytes, places: list[int]) -> None:
    assert parse(*cut(data, places)) == parse(data)


CELLS: dict[State, dict[Byte, tuple[State, Do]]] = {
    State.DATA: dict.fromkeys(Byte, (State.DATA, Do.TAKE)) | {Byte.IAC: (State.IAC, Do.NOTHING)},
    State.IAC: {
        Byte.IAC: (State.DATA, Do.TAKE),
        Byte.SE: (State.DATA, Do.DROP),
        Byte.SB: (State.SB_OPTION, Do.BEGIN),
        Byte.VERB: (State.NEGOTIATION, Do.KEEP_VERB),
        Byte.COMMAND: (State.DATA, Do.COMMAND),
        Byte.OTHER: (State.DATA, Do.DROP),
    },
    State.NEGOTIATION: dict.fromkeys(Byte, (State.DATA, Do.NEGOTIATE)),
    State.SB_OPTION: dict.fromkeys(Byte, (State.SB_DATA, Do.OPEN))
    | {Byte.IAC: (State.SB_IAC, Do.DROP)},
    State.SB_DATA: dict.fromkeys(Byte, (State.SB_DATA, Do.TAKE))
    | {Byte.IAC: (State.SB_IAC, Do.NOTHING)},
    State.SB_IAC: dict.fromkeys(Byte, (State.IAC, Do.ABANDON))
    | {Byte.IAC: (State.SB_DATA, Do.TAKE), Byte.SE: (State.DATA, Do.DELIVER)},
}


@pytest.mark.parametrize(("state", "byte"), list(product(State, Byte)))
def test_the_table_is_total(state: State, byte: Byte) -> None:
    assert tuple(PARSER.step(state, byte)) == CELLS[state][byte]


def test_a_flood_of_escaped_iacs_is_one_token() -> None:
    assert list(parser().parse(wire(IAC, IAC) * 1_000 + b"x", 0.0)) == [b"\xff" * 1_000 + b"x"]


def test_a_token_is_made_only_when_it_is_taken() -> None:
    # What a token changes (a character set, later a compression) holds for the next byte.
    made = parser()
    tokens = made.parse(wire("a", IAC, SB, TTYPE), 0.0)
    assert next(iter(tokens)) == b"a"
    assert made.state is State.DATA


def test_an_open_subnegotiation_knows_since_when() -> None:
    made = parser()
    list(made.parse(wire(IAC, SB), 5.0))
    list(made.parse(wire(TTYPE, "x"), 6.0))
    assert made.opened_at == 5.0
    list(made.parse(wire(IAC, SE), 7.0))
    assert made.opened_at is None


@pytest.mark.parametrize("ending", [wire(IAC, SE), wire(IAC, NOP), wire(IAC, SB)])
def test_the_next_subnegotiation_has_a_time_of_its_own(ending: bytes) -> None:
    made = parser()
    list(made.parse(wire(IAC, SB, TTYPE), 5.0))
    list(made.parse(ending + wire(IAC, SB, TTYPE), 8.0))
    assert made.opened_at == 8.0


def test_an_interrupted_subnegotiation_is_over() -> None:
    made = parser()
    list(made.parse(wire(IAC, SB, TTYPE, "x", IAC, NOP), 5.0))
    assert made.opened_at is None
    assert made._payload is None


def test_an_abandoned_subnegotiation_leaves_nothing() -> None:
    made = parser()
    list(made.parse(wire(IAC, SB, TTYPE, "x"), 5.0))
    made.abandon()
    assert made.opened_at is None
    assert list(made.parse(b"y", 6.0)) == [b"y"]


class CountedBytes(bytes):
    """Counts the bytes that are looked at or copied."""

    work: int

    def find(self, what: int, start: int) -> int:  # type: ignore[override]
        found = super().find(what, start)
        self.work += (found if found >= 0 else len(self)) - start
        return found

    def __getitem__(self, key: SupportsIndex | slice) -> int | bytes:  # type: ignore[override]
        part = super().__getitem__(key)
        self.work += len(part) if isinstance(part, bytes) else 1
        return part


@pytest.mark.parametrize(
    "pattern",
    [
        b"x",
        b"\xff\xff",
        wire("x", IAC, NOP),
        wire(IAC, SB),
        wire(IAC, SB, IAC),
        wire(IAC, SB, GMCP, "x", IAC, IAC),
        wire(IAC, SB, GMCP, "xy", IAC, SE),
    ],
    ids=repr,
)
def test_the_work_is_linear(pattern: bytes) -> None:
    data = CountedBytes(pattern * (20_000 // len(pattern)))
    data.work = 0
    for _ in parser().parse(data, 0.0):
        pass
    assert data.work <= 3 * len(data)


def test_ten_megabytes_of_payload_are_not_kept() -> None:
    made = parser()
    tokens = [*made.parse(wire(IAC, SB, GMCP), 0.0)]
    for _ in range(160):
        tokens += made.parse(b"x" * 65_536, 0.0)
    assert tokens == [Overflow(GMCP)]
    assert made._payload is None
