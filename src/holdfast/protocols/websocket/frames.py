"""Frames and messages (RFC 6455 section 5): bytes in, messages out, and back.

Hot path. A chunk of plain messages is decoded in one call of the codec
(`scan`), which exists twice: compiled (`_codec.pyx`) and in Python
(`_codec_pure.py`), with one interface and one test suite. The codec knows only
the common frame: whole, final, unreserved, text or binary. Whatever else stands
in the bytes (control frames, fragments, compressed or half-received frames,
errors) is handled here, in Python, one frame at a time.
"""

from __future__ import annotations

import math
from enum import IntEnum
from typing import Final, Protocol

from holdfast.core.errors import ProtocolError
from holdfast.core.limits import WebSocketLimits
from holdfast.protocols.websocket import codec
from holdfast.protocols.websocket.events import NO_STATUS, Close, Event, Ping, Pong, Violation
from holdfast.protocols.websocket.incomplete import IncompleteMessage, IncompletePayload
from holdfast.protocols.websocket.snapshot import DecoderSnapshot, NotBetweenMessagesError


class Opcode(IntEnum):
    """RFC 6455 section 5.2."""

    CONTINUATION = 0x0
    TEXT = 0x1
    BINARY = 0x2
    CLOSE = 0x8
    PING = 0x9
    PONG = 0xA


class CloseCode(IntEnum):
    """RFC 6455 section 7.4.1, and the registry it opens."""

    NORMAL = 1000
    GOING_AWAY = 1001
    PROTOCOL_ERROR = 1002
    UNSUPPORTED_DATA = 1003
    INVALID_DATA = 1007
    POLICY_VIOLATION = 1008
    MESSAGE_TOO_BIG = 1009
    MANDATORY_EXTENSION = 1010
    INTERNAL_ERROR = 1011
    SERVICE_RESTART = 1012
    TRY_AGAIN_LATER = 1013
    BAD_GATEWAY = 1014


CONTROL_BYTES_MAX: Final = 125
"""RFC 6455 section 5.5: the longest payload of a control frame."""
REASON_BYTES_MAX: Final = CONTROL_BYTES_MAX - 2

_FIN: Final = 0x80
_RSV1: Final = 0x40
_RSV2_AND_3: Final = 0x30
_MASKED: Final = 0x80
_OPCODES: Final = frozenset(Opcode)
_SENDABLE_CODES: Final = frozenset(CloseCode)


class ViolationError(ProtocolError):
    """A frame that must fail the connection, with the close code to fail it with."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class Inflater(Protocol):
    """The operations of a compression extension for the decoder (RFC 7692)."""

    def inflate(self, data: bytes, *, final: bool, bytes_max: int) -> bytes:
        """The next part of the message. Raises `ViolationError` beyond `bytes_max`."""


class Decoder:
    """The receiving half of one connection.

    `masked` says whether the peer must mask: a server requires it, a client forbids it (RFC
    6455 section 5.1).
    """

    __slots__ = (
        "_begun",
        "_done",
        "_inflater",
        "_limits",
        "_masked",
        "_message",
        "_payload",
        "_plain",
        "_simple_max",
        "_tail",
        "continuations",
        "eventful",
        "inflated",
        "pause_inflated",
    )

    def __init__(
        self, limits: WebSocketLimits, *, masked: bool, inflater: Inflater | None = None
    ) -> None:
        self._limits = limits
        self._masked = masked
        self._inflater = inflater
        self._simple_max = min(limits.frame_bytes_max, limits.message_bytes_max)
        self._tail = b""
        self._payload: IncompletePayload | None = None
        self._message: IncompleteMessage | None = None
        self._done = False
        self._begun = 0
        """Messages that came in several parts."""
        self._plain = True
        """Whether the next byte begins a frame that the codec may try."""
        self.eventful = False
        """Whether the newest events may include events other than messages."""
        self.continuations = 0
        """Continuation frames in the newest input, if `eventful`: each costs as a message does."""

        self.inflated = 0
        """The decompressed size of the newest input, if `eventful`."""
        self.pause_inflated = math.inf
        """The decompressed size of an input after which its other messages wait (`unread`)."""

    @property
    def unread(self) -> bool:
        """Whether some input waits for the next `receive_data`, which may be empty."""
        return self.inflated >= self.pause_inflated and bool(self._tail)

    @property
    def unfinished(self) -> int:
        """A number that identifies the incomplete message; 0 if there is none."""
        return self._begun if self._message is not None else 0

    @property
    def pending(self) -> int:
        """The memory that input takes of which no event was made yet, in bytes."""
        size, message, payload = len(self._tail), self._message, self._payload
        if message is not None:
            size += message.memory
        if payload is not None:
            size += payload.collected
        return size

    def snapshot_decoder(self) -> DecoderSnapshot:
        """What has come and is not given as an event yet.

        Raises `NotBetweenMessagesError` while a compressed message is incomplete.
        """
        message, payload = self._message, self._payload
        if self._done or message is None:
            return DecoderSnapshot(self._tail, self._begun, self._done, None, None)
        if message.compressed:
            raise NotBetweenMessagesError("a compressed message is incomplete")
        if payload is not None:
            payload.take_apart(message)
        frame = payload.snapshot() if payload is not None else None
        return DecoderSnapshot(self._tail, self._begun, self._done, message.snapshot(), frame)

    def restore_decoder(self, snapshot: DecoderSnapshot) -> None:
        """Go on where `snapshot` was taken."""
        message, frame = snapshot.message, snapshot.frame
        self._tail = snapshot.tail
        self._begun = snapshot.begun
        self._done = snapshot.done
        self._message = IncompleteMessage.restore(message) if message is not None else None
        self._payload = IncompletePayload.restore(frame) if frame is not None else None
        self._plain = not (self._done or self._tail or self._message)

    def push(self, data: bytes) -> None:
        """Bytes that stand before those of the next `receive_data`."""
        self._tail = data
        self._plain = not data

    def receive_data(self, data: bytes) -> list[Event]:
        """The messages and control frames that `data` completes; `Violation` ends the list.

        After a `Close` or a `Violation` everything further is ignored.
        """
        events: list[Event] = []
        pos = 0
        if self._plain:
            pos = codec.scan(data, 0, self._masked, self._simple_max, events)
            if pos == len(data):
                self.eventful = False
                return events
        return self._receive_rest(data, pos, events)

    def _receive_rest(self, data: bytes, pos: int, events: list[Event]) -> list[Event]:
        """Process the bytes that the codec left, from `pos` on, as `receive_data` does."""
        self.eventful = True
        self.continuations = self.inflated = 0
        if self._done:
            return events
        if self._tail:
            data = self._tail + data
            self._tail = b""
            if self._message is None:
                pos = codec.scan(data, 0, self._masked, self._simple_max, events)
        try:
            self._receive_slowly(data, pos, events)
        except ViolationError as error:
            self._done = True
            events.append(Violation(error.code, error.reason))
        self._plain = not (self._done or self._tail or self._message)
        return events

    def _receive_slowly(self, data: bytes, pos: int, events: list[Event]) -> None:
        """Frames that the codec left, one by one, until the bytes end or the codec can go on."""
        while pos < len(data) and not self._done:
            if self._payload is not None:
                pos = self._receive_payload(data, pos, events)
            else:
                start = self._receive_frame(data, pos, events)
                if start == pos:
                    self._tail = data[pos:]
                    return
                pos = start
            if self._message is None and not self._done:
                if self.inflated >= self.pause_inflated:
                    self._tail = data[pos:]
                    return
                pos = codec.scan(data, pos, self._masked, self._simple_max, events)

    def _receive_frame(self, data: bytes, pos: int, events: list[Event]) -> int:
        """Read one frame at `pos`, or its available part; return the position of the next byte.

        The head is checked as soon as it is complete: a bad frame fails the connection before
        its payload arrives.
        """
        if len(data) - pos < 2:
            return pos
        first, second = data[pos], data[pos + 1]
        self._check_first(first)
        if bool(second & _MASKED) is not self._masked:
            wanted = "must" if self._masked else "must not"
            raise ViolationError(CloseCode.PROTOCOL_ERROR, f"the frame {wanted} be masked")
        start, length = _read_length(data, pos + 2, second & 0x7F)
        if first & 0x08:
            _check_control(first, second & 0x7F)
        if length is None:
            return pos
        key = None
        if self._masked:
            if len(data) < start + 4:
                return pos
            key = data[start : start + 4]
            start += 4
        if first & 0x08:
            return self._receive_control(data, pos, start, length, key, events)
        message = self._begin(first, length)
        whole = message.utf8 is None and not message.compressed
        self._payload = IncompletePayload(bool(first & _FIN), key, length, whole=whole)
        return self._receive_payload(data, start, events)

    def _check_first(self, first: int) -> None:
        opcode = first & 0x0F
        if opcode not in _OPCODES:
            raise ViolationError(CloseCode.PROTOCOL_ERROR, f"opcode {opcode:#x} is reserved")
        if first & _RSV2_AND_3:
            raise ViolationError(CloseCode.PROTOCOL_ERROR, "a reserved bit is set")
        if first & _RSV1 and (self._inflater is None or opcode not in (Opcode.TEXT, Opcode.BINARY)):
            raise ViolationError(CloseCode.PROTOCOL_ERROR, "a reserved bit is set")
        if opcode == Opcode.CONTINUATION and self._message is None:
            raise ViolationError(CloseCode.PROTOCOL_ERROR, "there is nothing to continue")
        if opcode in (Opcode.TEXT, Opcode.BINARY) and self._message is not None:
            raise ViolationError(CloseCode.PROTOCOL_ERROR, "the message before is unfinished")

    def _begin(self, first: int, length: int) -> IncompleteMessage:
        """A data frame begins: it opens a message or continues the open one."""
        limits = self._limits
        if length > limits.frame_bytes_max:
            raise ViolationError(
                CloseCode.MESSAGE_TOO_BIG,
                f"a frame of {length} bytes; at most {limits.frame_bytes_max} are accepted",
            )
        message = self._message
        if message is None:
            self._begun += 1
            text = first & 0x0F == Opcode.TEXT
            message = self._message = IncompleteMessage(text=text, compressed=bool(first & _RSV1))
        else:
            message.fragments += 1
            self.continuations += 1
            if message.fragments > limits.fragments_max:
                raise ViolationError(
                    CloseCode.MESSAGE_TOO_BIG,
                    f"a message of more than {limits.fragments_max} fragments",
                )
        if not message.compressed:
            self._check_size(message.size + length)
        return message

    def _check_size(self, size: int) -> None:
        if size > self._limits.message_bytes_max:
            raise ViolationError(
                CloseCode.MESSAGE_TOO_BIG,
                f"a message of {size} bytes; at most {self._limits.message_bytes_max} are accepted",
            )

    def _receive_payload(self, data: bytes, pos: int, events: list[Event]) -> int:
        """Append the available part of the current payload; complete the frame at its end."""
        payload, message = self._payload, self._message
        assert payload is not None
        assert message is not None
        whole = payload.whole
        if whole is not None:
            pos = whole.take(data, pos)
            complete = not whole.left
            if complete:
                message.parts.append(whole.finish())  # type: ignore[arg-type]
                message.size += len(message.parts[-1])
        else:
            part = data[pos : pos + payload.left]
            pos += len(part)
            if payload.key is not None:
                part = codec.mask(part, payload.key, payload.offset)
            payload.offset += len(part)
            payload.left -= len(part)
            complete = payload.left == 0
            self._add(message, part, final=complete and payload.fin)
        if complete:
            self._payload = None
            if payload.fin:
                self._message = None
                # A text's parts are str, a binary's bytes: the join is of one kind.
                empty: str | bytes = b"" if message.utf8 is None else ""
                events.append(empty.join(message.parts))  # type: ignore[arg-type]
        return pos

    def _add(self, message: IncompleteMessage, part: bytes, *, final: bool) -> None:
        """Inflate and check one part of a message, and keep it.

        Text is checked as it arrives: "an endpoint MUST _Fail the WebSocket
        Connection_" on bytes that are not UTF-8 (section 8.1), and it can do so
        before the message ends.
        """
        if message.compressed:
            assert self._inflater is not None
            limits = self._limits
            left = limits.message_bytes_max - message.size
            part = self._inflater.inflate(part, final=final, bytes_max=left)
            self.inflated += len(part)
            if self.inflated > max(limits.inflated_bytes_max, limits.message_bytes_max):
                raise ViolationError(
                    CloseCode.MESSAGE_TOO_BIG, "too much at once when decompressed"
                )
        message.size += len(part)
        if message.utf8 is None:
            message.parts.append(part)  # type: ignore[arg-type]
            return
        try:
            message.parts.append(message.utf8.decode(part, final))  # type: ignore[arg-type]
        except UnicodeDecodeError:
            raise ViolationError(
                CloseCode.INVALID_DATA, "a text message is not valid UTF-8"
            ) from None

    def _receive_control(
        self, data: bytes, pos: int, start: int, length: int, key: bytes | None, events: list[Event]
    ) -> int:
        end = start + length
        if len(data) < end:
            return pos
        payload = data[start:end]
        if key is not None:
            payload = codec.mask(payload, key, 0)
        match Opcode(data[pos] & 0x0F):
            case Opcode.PING:
                events.append(Ping(payload))
            case Opcode.PONG:
                events.append(Pong(payload))
            case _:
                events.append(_read_close(payload))
                self._done = True
        return end


def _read_length(data: bytes, pos: int, short: int) -> tuple[int, int | None]:
    """The payload length (section 5.2) and where it ends; `None` while its bytes are missing."""
    if short < 126:
        return pos, short
    size = 2 if short == 126 else 8
    if len(data) < pos + size:
        return pos, None
    length = int.from_bytes(data[pos : pos + size], "big")
    if length >> 63:
        raise ViolationError(CloseCode.PROTOCOL_ERROR, "a length with its highest bit set")
    if length < (126 if size == 2 else 1 << 16):
        raise ViolationError(CloseCode.PROTOCOL_ERROR, "a length that is not minimally encoded")
    return pos + size, length


def _check_control(first: int, short: int) -> None:
    if not first & _FIN:
        raise ViolationError(CloseCode.PROTOCOL_ERROR, "a control frame is fragmented")
    if short > CONTROL_BYTES_MAX:
        raise ViolationError(CloseCode.PROTOCOL_ERROR, "a control frame of more than 125 bytes")


def is_valid_code(code: int) -> bool:
    """Whether a Close frame may carry `code` (RFC 6455 section 7.4)."""
    return code in _SENDABLE_CODES or 3000 <= code <= 4999


def _read_close(payload: bytes) -> Close:
    if not payload:
        return Close(NO_STATUS, "")
    if len(payload) == 1:
        raise ViolationError(CloseCode.PROTOCOL_ERROR, "a Close frame with half a code")
    code = int.from_bytes(payload[:2], "big")
    if not is_valid_code(code):
        raise ViolationError(CloseCode.PROTOCOL_ERROR, f"close code {code} is not valid")
    try:
        return Close(code, payload[2:].decode())
    except UnicodeDecodeError:
        raise ViolationError(
            CloseCode.INVALID_DATA, "the reason of a Close frame is not valid UTF-8"
        ) from None


def close_payload(code: int, reason: str) -> bytes:
    """The payload of a Close frame; a reason over 123 bytes is cut between characters.

    Raises `ValueError` for a code that may not be sent.
    """
    if code == NO_STATUS:
        return b""
    if not is_valid_code(code):
        raise ValueError(f"close code {code} may not be sent")
    cut = reason.encode()[:REASON_BYTES_MAX].decode(errors="ignore")
    return code.to_bytes(2, "big") + cut.encode()
