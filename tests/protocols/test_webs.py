"""WEBS: bytes and messages."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.protocols.webs import (
    PAYLOAD_BYTES_MAX,
    TIMESTAMP_MAX,
    Decoder,
    ErrorCode,
    Event,
    Fault,
    Message,
    Opcode,
    encode,
)

WIRE = b"WEBS\x01\x02\x00\x00\x00\x00\x00\x00\x01\x02\x00\x00\x00\x02hi"
MESSAGE = Message(Opcode.INPUT, 258, b"hi")


def test_a_message_stands_as_the_table_says() -> None:
    assert encode(MESSAGE) == WIRE
    assert Decoder().receive_data(WIRE) == [MESSAGE]


def test_the_numbers_of_opcodes_and_errors() -> None:
    assert {code.name: code.value for code in Opcode} == {
        "DISPLAY": 1,
        "INPUT": 2,
        "FILESYSTEM": 3,
        "NETWORK": 4,
        "PROCESS": 5,
        "AUTH": 6,
        "CONNECT": 7,
        "DISCONNECT": 8,
        "PING": 9,
        "PONG": 10,
        "ERROR": 11,
    }
    assert {code.name: code.value for code in ErrorCode} == {
        "BAD_MAGIC": -1,
        "BAD_VERSION": -2,
        "BAD_OPCODE": -3,
        "PAYLOAD_TOO_LARGE": -4,
        "TOO_SHORT": -5,
        "BAD_TIMESTAMP": -6,
    }


def with_byte(position: int, value: int) -> bytes:
    return WIRE[:position] + bytes([value]) + WIRE[position + 1 :]


@pytest.mark.parametrize(
    ("data", "code", "words"),
    [
        (with_byte(0, 0x58), ErrorCode.BAD_MAGIC, "found b'XEBS'"),
        (b"GET / HTTP/1.1\r\n\r\n", ErrorCode.BAD_MAGIC, "found b'GET '"),
        (b"X", ErrorCode.BAD_MAGIC, "found b'X'"),
        (with_byte(4, 2), ErrorCode.BAD_VERSION, "expected version 1, found 2"),
        (with_byte(5, 0), ErrorCode.BAD_OPCODE, "found 0"),
        (with_byte(5, 12), ErrorCode.BAD_OPCODE, "found 12"),
        (WIRE[:6] + bytes(8) + WIRE[14:], ErrorCode.BAD_TIMESTAMP, "found 0"),
        (with_byte(14, 2), ErrorCode.PAYLOAD_TOO_LARGE, f"at most {PAYLOAD_BYTES_MAX}"),
    ],
)
def test_a_fault_has_its_code(data: bytes, code: ErrorCode, words: str) -> None:
    decoder = Decoder()
    events = decoder.receive_data(WIRE + data)
    assert events[0] == MESSAGE
    (fault,) = events[1:]
    assert isinstance(fault, Fault)
    assert fault.code is code
    assert words in fault.text
    assert decoder.receive_data(WIRE) == []
    assert decoder.receive_eof() == []


def test_a_payload_over_the_limit_is_refused_by_its_header() -> None:
    (fault,) = Decoder(1).receive_data(WIRE[:18])
    assert fault == Fault(ErrorCode.PAYLOAD_TOO_LARGE, "a payload of 2 bytes; at most 1 are taken")


def test_the_end_within_a_message_is_a_fault() -> None:
    decoder = Decoder()
    assert decoder.receive_eof() == []
    assert decoder.receive_data(WIRE[:-1]) == []
    (fault,) = decoder.receive_eof()
    assert isinstance(fault, Fault)
    assert fault.code is ErrorCode.TOO_SHORT


@pytest.mark.parametrize(
    "message",
    [
        Message(Opcode.INPUT, 0),
        Message(Opcode.INPUT, TIMESTAMP_MAX + 1),
        Message(Opcode.INPUT, 1, bytes(PAYLOAD_BYTES_MAX + 1)),
    ],
)
def test_what_cannot_be_written_is_our_own_bug(message: Message) -> None:
    with pytest.raises(ValueError, match=r"expected|at most"):
        encode(message)


messages = st.builds(
    Message, st.sampled_from(Opcode), st.integers(1, TIMESTAMP_MAX), st.binary(max_size=60)
)


@given(said=st.lists(messages, max_size=6), cuts=st.lists(st.integers(1, 40), min_size=1))
def test_any_chunking_gives_the_messages_back(said: list[Message], cuts: list[int]) -> None:
    wire = b"".join(map(encode, said))
    decoder = Decoder()
    found: list[Event] = []
    pos = number = 0
    while pos < len(wire):
        size = cuts[number % len(cuts)]
        found += decoder.receive_data(wire[pos : pos + size])
        pos, number = pos + size, number + 1
    assert found == said
    assert decoder.receive_eof() == []


@given(data=st.binary(max_size=80), whole=st.booleans())
def test_any_bytes_give_messages_or_one_fault_at_the_end(data: bytes, whole: bool) -> None:
    decoder = Decoder(50)
    events = decoder.receive_data((WIRE if whole else b"") + data) + decoder.receive_eof()
    assert all(isinstance(event, Message) for event in events[:-1])
