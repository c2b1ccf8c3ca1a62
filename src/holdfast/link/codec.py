"""Frames of the link: bytes in, messages out, and back. Hot path; no I/O."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from holdfast.core.errors import ProtocolError
from holdfast.link.messages import LinkFault, Message

_HEAD_BYTES: Final = 4

UNREADABLE: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What `msgspec` raises for bytes that it cannot read."""
UNWRITABLE: Final = (*UNREADABLE, TypeError, OverflowError, UnicodeEncodeError)
"""The errors of encoding and decoding: a value that cannot be encoded, or has another type than
expected."""

_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(Message).decode


class LinkProtocolError(ProtocolError):
    """The other end of the link broke its rules; the link is closed, the sessions stay."""


class FrameDecoder:
    """Cuts a byte stream into messages."""

    __slots__ = ("_have", "_parts", "_want", "bytes_max")

    def __init__(self, bytes_max: int) -> None:
        self.bytes_max = bytes_max
        self._parts: list[bytes] = []
        self._have = 0
        self._want = _HEAD_BYTES

    def receive_data(self, data: bytes) -> list[Message]:
        """The messages that `data` completes. Raises `LinkProtocolError`."""
        if self._have:
            self._parts.append(data)
            self._have += len(data)
            if self._have < self._want:  # a large frame is joined once, not per chunk
                return []
            data = b"".join(self._parts)
            self._parts = []
            self._have = 0
        messages: list[Message] = []
        view = memoryview(data)
        pos, end = 0, len(data)
        while end - pos >= _HEAD_BYTES:
            size = int.from_bytes(view[pos : pos + _HEAD_BYTES], "big")
            if size > self.bytes_max:
                raise LinkProtocolError(
                    f"a frame of {size} bytes; at most {self.bytes_max} are accepted"
                )
            start = pos + _HEAD_BYTES
            if end - start < size:
                self._want = _HEAD_BYTES + size
                break
            try:
                messages.append(_decode(view[start : start + size]))
            except UNREADABLE as error:
                raise LinkProtocolError(f"a malformed message: {error}") from error
            pos = start + size
        else:
            self._want = _HEAD_BYTES
        if pos < end:
            self._parts = [data[pos:]]
            self._have = end - pos
        return messages


def _frame(body: bytes) -> bytes:
    return len(body).to_bytes(_HEAD_BYTES, "big") + body


def encode_request(number: int, method: str, params: Any) -> bytes:
    return _frame(_encode((0, number, method, params)))


def encode_response(number: int, error: LinkFault | None, result: Any) -> bytes:
    return _frame(_encode((1, number, error, result)))


def encode_notification(method: str, params: Any) -> bytes:
    return _frame(_encode((2, method, params)))


def encode_batch(method: str, entries: list[Any], bytes_max: int) -> bytes:
    """Return the notification `method` with all `entries` as one frame, or several in order.

    A frame has at most `bytes_max`, unless its single entry is larger.
    """
    frame = encode_notification(method, entries)
    if len(frame) <= bytes_max or len(entries) < 2:
        return frame
    middle = len(entries) // 2
    return encode_batch(method, entries[:middle], bytes_max) + encode_batch(
        method, entries[middle:], bytes_max
    )


def fitting(values: Sequence[Any], bytes_max: int) -> int:
    """How many of the first `values` have together at most `bytes_max` when they are encoded."""
    left = bytes_max
    for count, value in enumerate(values):
        left -= len(_encode(value))
        if left < 0:
            return count
    return len(values)
