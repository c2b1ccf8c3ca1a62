"""WEBS: a message of an 18-byte header and a payload, all integers big-endian.

| offset | size | field |
|---|---|---|
| 0 | 4 | magic `WEBS` |
| 4 | 1 | version, 1 |
| 5 | 1 | opcode |
| 6 | 8 | timestamp, Unix nanoseconds |
| 14 | 4 | payload length, at most 16,777,216 |

In the WebSocket sub-protocol `webs.v1` the binary messages make one stream: a
WEBS message may span several of them, and several may share one.
"""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import Final

from msgspec import Struct

SUBPROTOCOL: Final = "webs.v1"
VERSION: Final = 1
HEADER_BYTES: Final = 18
PAYLOAD_BYTES_MAX: Final = 16_777_216
TIMESTAMP_MAX: Final = (1 << 64) - 1

_MAGIC: Final = b"WEBS"
_HEADER: Final = struct.Struct(">4sBBQI")


class Opcode(IntEnum):
    """The kinds of messages. 0 is never valid."""

    DISPLAY = 1
    """To the client."""
    INPUT = 2
    """To the server."""
    FILESYSTEM = 3
    NETWORK = 4
    PROCESS = 5
    AUTH = 6
    CONNECT = 7
    """To the server."""
    DISCONNECT = 8
    PING = 9
    PONG = 10
    """With the timestamp of the ping."""
    ERROR = 11


class ErrorCode(IntEnum):
    """The values of `code` in an error message."""

    BAD_MAGIC = -1
    BAD_VERSION = -2
    BAD_OPCODE = -3
    PAYLOAD_TOO_LARGE = -4
    TOO_SHORT = -5
    BAD_TIMESTAMP = -6


class Message(Struct, frozen=True, gc=False):
    """One message; `timestamp` is in Unix nanoseconds."""

    opcode: Opcode
    timestamp: int
    payload: bytes = b""


class Fault(Struct, frozen=True, gc=False):
    """Malformed bytes. It is the last event: the beginning of the next message is unknown."""

    code: ErrorCode
    text: str


Event = Message | Fault

_OPCODES: Final = {int(opcode): opcode for opcode in Opcode}


def encode(message: Message) -> bytes:
    """The bytes of a message. Raises `ValueError` for what cannot be written."""
    size = len(message.payload)
    if size > PAYLOAD_BYTES_MAX:
        raise ValueError(f"a payload of {size} bytes; at most {PAYLOAD_BYTES_MAX} can be sent")
    if not 0 < message.timestamp <= TIMESTAMP_MAX:
        raise ValueError(f"a timestamp from 1 to {TIMESTAMP_MAX} is expected")
    head = _HEADER.pack(_MAGIC, VERSION, message.opcode, message.timestamp, size)
    return head + message.payload


class Decoder:
    """Bytes in, messages out. A payload over `payload_bytes_max` is refused by its header."""

    __slots__ = ("_buffer", "_done", "_max")

    def __init__(self, payload_bytes_max: int = PAYLOAD_BYTES_MAX) -> None:
        self._max = min(payload_bytes_max, PAYLOAD_BYTES_MAX)
        self._buffer = bytearray()
        self._done = False

    def receive_data(self, data: bytes) -> list[Event]:
        """The messages that `data` completes; a `Fault` ends the list and the decoder."""
        events: list[Event] = []
        if self._done:
            return events
        buffer = self._buffer
        buffer += data
        pos = 0
        while len(buffer) - pos >= HEADER_BYTES:
            found = _judge(buffer, pos, self._max)
            if isinstance(found, Fault):
                return self._fail(events, found)
            opcode, timestamp, size = found
            end = pos + HEADER_BYTES + size
            if len(buffer) < end:
                break
            events.append(Message(opcode, timestamp, bytes(buffer[pos + HEADER_BYTES : end])))
            pos = end
        del buffer[:pos]
        # A malformed stream is detected at its first bytes, not at its eighteenth.
        if not _MAGIC.startswith(buffer[:4]):
            return self._fail(events, _bad_magic(buffer, 0))
        return events

    @property
    def pending(self) -> int:
        """The size of the received part of an incomplete message."""
        return len(self._buffer)

    def snapshot(self) -> bytes | None:
        """The received part of an incomplete message; `None` after a `Fault`."""
        return None if self._done else bytes(self._buffer)

    def restore(self, taken: bytes | None) -> None:
        """Go on where `taken` was made."""
        self._done = taken is None
        self._buffer = bytearray(taken or b"")

    def receive_eof(self) -> list[Event]:
        """The stream ends: half a message is a fault."""
        if self._done or not self._buffer:
            return []
        have = len(self._buffer)
        return self._fail([], Fault(ErrorCode.TOO_SHORT, f"the stream ended within {have} bytes"))

    def _fail(self, events: list[Event], fault: Fault) -> list[Event]:
        self._done = True
        self._buffer = bytearray()
        events.append(fault)
        return events


def _judge(buffer: bytearray, pos: int, size_max: int) -> tuple[Opcode, int, int] | Fault:
    """Return the opcode, timestamp and length in the header at `pos`, or the error in it."""
    magic, version, number, timestamp, size = _HEADER.unpack_from(buffer, pos)
    if magic != _MAGIC:
        return _bad_magic(buffer, pos)
    if version != VERSION:
        return Fault(ErrorCode.BAD_VERSION, f"expected version {VERSION}, found {version}")
    opcode = _OPCODES.get(number)
    if opcode is None:
        return Fault(ErrorCode.BAD_OPCODE, f"expected an opcode from 1 to 11, found {number}")
    if timestamp == 0:
        return Fault(ErrorCode.BAD_TIMESTAMP, "expected a timestamp, found 0")
    if size > size_max:
        return Fault(
            ErrorCode.PAYLOAD_TOO_LARGE, f"a payload of {size} bytes; at most {size_max} are taken"
        )
    return opcode, timestamp, size


def _bad_magic(buffer: bytearray, pos: int) -> Fault:
    found = bytes(buffer[pos : pos + 4])
    return Fault(ErrorCode.BAD_MAGIC, f"expected {_MAGIC!r}, found {found!r}")
