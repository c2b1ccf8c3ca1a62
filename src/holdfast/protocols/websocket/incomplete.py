"""The message and the frame of which only a part has come."""

from __future__ import annotations

import codecs
from typing import Final

from holdfast.protocols.websocket import codec
from holdfast.protocols.websocket.snapshot import FrameSnapshot, MessageSnapshot

_PART_BYTES: Final = 64
"""What a part of a message takes in memory beside its bytes."""
_new_utf8_decoder = codecs.getincrementaldecoder("utf-8")


class IncompleteMessage:
    """An incomplete message: its frames are checked as they arrive and joined at the end."""

    __slots__ = ("compressed", "fragments", "parts", "size", "utf8")

    def __init__(self, *, text: bool, compressed: bool) -> None:
        self.compressed = compressed
        self.fragments = 1
        self.parts: list[str] | list[bytes] = []
        self.size = 0
        self.utf8 = _new_utf8_decoder() if text else None

    @property
    def memory(self) -> int:
        """The memory that it takes in bytes: each part of it, as it came."""
        return self.size + _PART_BYTES * len(self.parts)

    def snapshot(self) -> MessageSnapshot:
        parts = [part.encode() if isinstance(part, str) else part for part in self.parts]
        undecoded = self.utf8.getstate()[0] if self.utf8 is not None else b""
        text = self.utf8 is not None
        return MessageSnapshot(text, b"".join(parts), self.size, self.fragments, undecoded)

    @classmethod
    def restore(cls, snapshot: MessageSnapshot) -> IncompleteMessage:
        message = cls(text=snapshot.text, compressed=False)
        so_far: str | bytes = snapshot.so_far.decode() if snapshot.text else snapshot.so_far
        message.parts.append(so_far)  # type: ignore[arg-type]
        message.size = snapshot.size
        message.fragments = snapshot.fragments
        if message.utf8 is not None:
            message.utf8.setstate((snapshot.undecoded, 0))
        return message


class IncompletePayload:
    """An incomplete frame.

    Payload that is checked only when it is complete is collected in `whole`.
    """

    __slots__ = ("fin", "key", "left", "offset", "whole")

    def __init__(self, fin: bool, key: bytes | None, length: int, *, whole: bool) -> None:
        self.fin = fin
        self.key = key
        self.left = length
        self.offset = 0
        self.whole = codec.Payload(length, key) if whole else None

    @property
    def collected(self) -> int:
        """How many of its bytes have come that are no part of the message yet."""
        return self.left - self.whole.left if self.whole is not None else 0

    def take_apart(self, message: IncompleteMessage) -> None:
        """Give `message` what has come of a payload that was to be taken whole."""
        whole = self.whole
        if whole is not None:
            left = whole.left
            come = self.left - left
            whole.take(bytes(left), 0)
            message.parts.append(whole.finish()[:come])  # type: ignore[arg-type]
            message.size += come
            self.left, self.offset, self.whole = left, come, None

    def snapshot(self) -> FrameSnapshot:
        return FrameSnapshot(self.fin, self.key, self.left, self.offset)

    @classmethod
    def restore(cls, snapshot: FrameSnapshot) -> IncompletePayload:
        payload = cls(snapshot.fin, snapshot.key, snapshot.left, whole=False)
        payload.offset = snapshot.offset
        return payload
