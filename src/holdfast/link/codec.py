"""Frames of the link: bytes in, messages out, and back. Hot path; no I/O."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from holdfast.core.errors import ProtocolError
from holdfast.link.messages import LinkFault, Message
from holdfast.protocols.frames import FrameError, LengthPrefixed

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

    __slots__ = ("_framing",)

    def __init__(self, bytes_max: int) -> None:
        self._framing = LengthPrefixed(bytes_max, _HEAD_BYTES)

    @property
    def bytes_max(self) -> int:
        """The largest frame that is accepted; it may change between two frames."""
        return self._framing.frame_bytes_max

    @bytes_max.setter
    def bytes_max(self, most: int) -> None:
        self._framing.frame_bytes_max = most

    def receive_data(self, data: bytes) -> list[Message]:
        """The messages that `data` completes. Raises `LinkProtocolError`."""
        try:
            return [_decode(frame) for frame in self._framing.receive_views(data)]
        except FrameError as error:
            raise LinkProtocolError(str(error)) from error
        except UNREADABLE as error:
            raise LinkProtocolError(f"a malformed message: {error}") from error


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
    body = _encode((2, method, entries))
    size = len(body)
    if size + _HEAD_BYTES <= bytes_max or len(entries) < 2:
        return size.to_bytes(_HEAD_BYTES, "big") + body  # as `_frame`, without its call
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
