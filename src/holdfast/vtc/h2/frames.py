"""HTTP/2 frames (RFC 9113 sections 4 and 6): writing them, and taking them apart. No I/O."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from enum import IntEnum, IntFlag

HEADER_BYTES = 9
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
STREAM_MASK = (1 << 31) - 1
PADDING_BYTES_MAX = 255
FRAME_BYTES_MAX = 2048 * 1024


class FrameType(IntEnum):
    """RFC 9113 section 6."""

    DATA = 0
    HEADERS = 1
    PRIORITY = 2
    RST_STREAM = 3
    SETTINGS = 4
    PUSH_PROMISE = 5
    PING = 6
    GOAWAY = 7
    WINDOW_UPDATE = 8
    CONTINUATION = 9


class Flag(IntFlag):
    """Flags; two of them share a bit."""

    ACK = 0x1
    END_STREAM = 0x1
    END_HEADERS = 0x4
    PADDED = 0x8
    PRIORITY = 0x20


class Setting(IntEnum):
    """RFC 9113 section 6.5.2 and RFC 9218."""

    HEADER_TABLE_SIZE = 1
    ENABLE_PUSH = 2
    MAX_CONCURRENT_STREAMS = 3
    INITIAL_WINDOW_SIZE = 4
    MAX_FRAME_SIZE = 5
    MAX_HEADER_LIST_SIZE = 6
    NO_RFC7540_PRIORITIES = 9


ERRORS = (
    "NO_ERROR",
    "PROTOCOL_ERROR",
    "INTERNAL_ERROR",
    "FLOW_CONTROL_ERROR",
    "SETTINGS_TIMEOUT",
    "STREAM_CLOSED",
    "FRAME_SIZE_ERROR",
    "REFUSED_STREAM",
    "CANCEL",
    "COMPRESSION_ERROR",
    "CONNECT_ERROR",
    "ENHANCE_YOUR_CALM",
    "INADEQUATE_SECURITY",
    "HTTP_1_1_REQUIRED",
)
"""RFC 9113 section 7. The place is the code."""


class Http2FrameError(ValueError):
    """A malformed frame. The message says why."""


def type_name(number: int) -> str:
    """A frame type's name, `?` for an unknown one."""
    return FrameType(number).name if number in frozenset(FrameType) else "?"


def error_name(code: int) -> str:
    """An error code's name."""
    return ERRORS[code] if code < len(ERRORS) else "unknown"


def setting_name(number: int) -> str:
    """A setting's name."""
    return Setting(number).name if number in frozenset(Setting) else "unknown"


@dataclass(slots=True)
class Priority:
    """The content of a PRIORITY frame, or the priority in a HEADERS frame."""

    stream: int
    exclusive: bool
    weight: int


@dataclass(slots=True)
class Frame:
    """A frame and its decoded payload."""

    type: int
    flags: int
    stream: int
    payload: bytes = b""
    padding: int = 0
    content: bytes = b""
    """DATA, HEADERS, PUSH_PROMISE, CONTINUATION: the payload without what frames it."""
    priority: Priority | None = None
    promised: int = 0
    settings: dict[int, int] = field(default_factory=dict)
    code: int = 0
    """RST_STREAM and GOAWAY: the error."""
    last_stream: int = 0
    debug: bytes | None = None
    increment: int = 0

    def has(self, flag: Flag) -> bool:
        """Whether a flag is set."""
        return bool(self.flags & flag)

    def describe(self) -> str:
        """For the log."""
        return f"stream: {self.stream}, type: {type_name(self.type)} ({self.type})"

    def encode(self) -> bytes:
        """Encode the frame."""
        return frame_header(len(self.payload), self.type, self.flags, self.stream) + self.payload


def frame_header(length: int, kind: int, flags: int, stream: int) -> bytes:
    """The nine bytes before a payload."""
    return length.to_bytes(3) + struct.pack("!BBI", kind, flags, stream)


def parse_header(data: bytes) -> tuple[int, Frame]:
    """A payload's length, and the frame without it."""
    kind, flags, stream = struct.unpack("!BBI", data[3:HEADER_BYTES])
    return int.from_bytes(data[:3]), Frame(kind, flags, stream)


def parse_payload(frame: Frame) -> None:
    """Take the payload apart. Raises `Http2FrameError`."""
    match frame.type:
        case FrameType.DATA | FrameType.HEADERS | FrameType.PUSH_PROMISE | FrameType.CONTINUATION:
            _parse_content(frame)
        case FrameType.PRIORITY:
            _check_size(frame, 5)
            frame.priority = _priority(frame.payload)
        case FrameType.RST_STREAM:
            _check_size(frame, 4)
            frame.code = _word(frame.payload)
        case FrameType.SETTINGS:
            _parse_settings(frame)
        case FrameType.PING:
            _check_size(frame, 8)
        case FrameType.GOAWAY:
            _parse_goaway(frame)
        case FrameType.WINDOW_UPDATE:
            _check_size(frame, 4)
            frame.increment = _word(frame.payload)
        case _:
            raise Http2FrameError(f"unknown frame type {frame.type}")


def _word(data: bytes) -> int:
    return int.from_bytes(data[:4])


def _check_size(frame: Frame, size: int) -> None:
    if len(frame.payload) != size:
        raise Http2FrameError(f"Size should be {size}, but isn't ({len(frame.payload)})")


def _priority(data: bytes) -> Priority:
    first = _word(data)
    return Priority(first & STREAM_MASK, first > STREAM_MASK, data[4])


def _parse_content(frame: Frame) -> None:
    data = frame.payload
    if frame.has(Flag.PADDED) and frame.type != FrameType.CONTINUATION:
        frame.padding = data[0] if data else 0
        if frame.padding >= len(data):
            size = len(data)
            frame.padding = 0
            raise Http2FrameError(f"invalid padding: size is only {size}")
        data = data[1 : len(data) - frame.padding]
    if frame.type == FrameType.HEADERS and frame.has(Flag.PRIORITY):
        if len(data) < 5:
            raise Http2FrameError("HEADERS frame too short for its priority")
        frame.priority, data = _priority(data), data[5:]
    elif frame.type == FrameType.PUSH_PROMISE:
        if len(data) < 4:
            raise Http2FrameError("PUSH_PROMISE frame too short")
        frame.promised, data = _word(data) & STREAM_MASK, data[4:]
    frame.content = data


def _parse_settings(frame: Frame) -> None:
    size = len(frame.payload)
    if size % 6:
        raise Http2FrameError(f"Size should be a multiple of 6, but isn't ({size})")
    if frame.stream:
        raise Http2FrameError(
            f"Setting frames should only be on stream 0, but received on stream: {frame.stream}"
        )
    frame.settings = dict(struct.iter_unpack("!HI", frame.payload))


def _parse_goaway(frame: Frame) -> None:
    if len(frame.payload) < 8:
        raise Http2FrameError(f"Size should be at least 8, but isn't ({len(frame.payload)})")
    frame.last_stream, frame.code = struct.unpack("!II", frame.payload[:8])
    if frame.last_stream > STREAM_MASK:
        raise Http2FrameError("First bit of data is reserved and should be 0")
    frame.debug = frame.payload[8:] or None
