"""The frame codec in Python: the twin of `_codec.pyx`. Hot path."""

from __future__ import annotations

from typing import Any, Final

_TEXT: Final = 0x81
_BINARY: Final = 0x82
_SHORT: Final = tuple(tuple(bytes((first, size)) for size in range(126)) for first in range(256))


def mask(data: bytes, key: bytes, offset: int) -> bytes:
    """`data` masked or unmasked with the 4-byte `key` (RFC 6455 section 5.3).

    `offset` is the position of `data` in its payload.
    """
    size = len(data)
    if offset & 3:
        key = key[offset & 3 :] + key[: offset & 3]
    pad = (key * ((size + 3) >> 2))[:size]
    return (int.from_bytes(data, "little") ^ int.from_bytes(pad, "little")).to_bytes(size, "little")


def head(first: int, size: int, masked: bool) -> bytes:
    """A frame head without its masking key: `first` is FIN, RSV and opcode."""
    bit = 0x80 if masked else 0
    if size < 126:
        return bytes((first, bit | size))
    if size < 65536:
        return bytes((first, bit | 126)) + size.to_bytes(2, "big")
    return bytes((first, bit | 127)) + size.to_bytes(8, "big")


def encode(first: int, payload: bytes, key: bytes | None) -> bytes:
    """A whole frame: masked with `key`, or unmasked where `key` is `None`."""
    size = len(payload)
    if key is not None:
        return head(first, size, True) + key + mask(payload, key, 0)
    if size < 126:
        return _SHORT[first][size] + payload
    return head(first, size, False) + payload


def encode_all(messages: list[str | bytes], uncopied_min: int) -> list[bytes]:
    """Unmasked frames of `messages`, in pieces to be written in order.

    They are joined; but a payload of `uncopied_min` bytes and more is a piece of its own.
    """
    pieces: list[bytes] = []
    joined: list[bytes] = []
    for message in messages:
        if type(message) is str:
            first, payload = _TEXT, message.encode()
        else:
            first, payload = _BINARY, message  # type: ignore[assignment]
        size = len(payload)
        if size < 126:
            joined += (_SHORT[first][size], payload)
        elif size < uncopied_min:
            joined += (head(first, size, False), payload)
        else:
            joined.append(head(first, size, False))
            pieces += (b"".join(joined), payload)
            joined = []
    if joined:
        pieces.append(b"".join(joined))
    return pieces


def scan(data: bytes, pos: int, masked: bool, size_max: int, out: list[Any]) -> int:
    """Decode the plain frames that stand at `pos` and append their messages to `out`.

    Plain is: whole, final, text or binary, no reserved bit, masked as `masked`
    says, minimal length, at most `size_max` bytes, valid UTF-8 if text. Returns
    the position of the first frame that is not.
    """
    end = len(data)
    key_size = 4 if masked else 0
    bit = 0x80 if masked else 0
    while end - pos >= 2:
        first = data[pos]
        if first not in (_TEXT, _BINARY):
            break
        size = data[pos + 1] ^ bit
        start = pos + 2
        if size >= 126:
            if size > 127:
                break
            wide = 2 if size == 126 else 8
            size = int.from_bytes(data[start : start + wide], "big")
            start += wide
            if start > end or size < (126 if wide == 2 else 65536):
                break
        start += key_size
        if size > size_max or start + size > end:
            break
        payload = data[start : start + size]
        if masked:
            payload = mask(payload, data[start - 4 : start], 0)
        if first == _TEXT:
            try:
                out.append(payload.decode())
            except UnicodeDecodeError:
                break
        else:
            out.append(payload)
        pos = start + size
    return pos


class Payload:
    """The payload of one frame of `size` bytes, unmasked with `key` as it arrives."""

    __slots__ = ("_key", "_parts", "_size", "left")

    def __init__(self, size: int, key: bytes | None) -> None:
        self._size = self.left = size
        self._key = key
        self._parts: list[bytes] = []

    def take(self, data: bytes, pos: int) -> int:
        """Take what is there of it in `data` from `pos` on; returns where the next byte stands."""
        part = data[pos : pos + self.left]
        if self._key is not None:
            self._parts.append(mask(part, self._key, self._size - self.left))
        else:
            self._parts.append(part)
        self.left -= len(part)
        return pos + len(part)

    def finish(self) -> bytes:
        """All of it. Raises `ValueError` while some is missing."""
        if self.left:
            raise ValueError("the payload is not complete")
        return b"".join(self._parts)
