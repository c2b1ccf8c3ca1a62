"""The frame codec in Python: the twin of `_codec.pyx`. Hot path."""

from __future__ import annotations

from typing import Any, Final

_TEXT: Final = 0x81
_BINARY: Final = 0x82
_number: Final = int.from_bytes
_SHORT: Final = tuple(tuple(bytes((first, size)) for size in range(126)) for first in range(256))


def mask(data: bytes, key: bytes, offset: int) -> bytes:
    """`data` masked or unmasked with the 4-byte `key` (RFC 6455 section 5.3).

    `offset` is the position of `data` in its payload.
    """
    size = len(data)
    if offset & 3:
        key = key[offset & 3 :] + key[: offset & 3]
    pad = key * (size >> 2) + key[: size & 3]
    return (_number(data) ^ _number(pad)).to_bytes(size)


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


def encode_all(messages: list[str | bytes]) -> bytes:
    """Return an unmasked frame for each of `messages`, one after the other."""
    frames = []
    for message in messages:
        if type(message) is str:
            first, payload = _TEXT, message.encode()
        else:
            first, payload = _BINARY, message  # type: ignore[assignment]
        size = len(payload)
        if size < 126:
            frames.append(_SHORT[first][size] + payload)
        else:
            frames.append(head(first, size, False) + payload)
    return frames[0] if len(frames) == 1 else b"".join(frames)


def scan(data: bytes, pos: int, masked: bool, size_max: int, out: list[Any]) -> int:
    """Decode the plain frames at `pos` and append their messages to `out`.

    A plain frame is whole, final, text or binary, without reserved bits, masked as `masked`
    says, of minimal length encoding, at most `size_max` bytes, and valid UTF-8 if it is text.
    Returns the position of the first other frame.
    """
    end = len(data)
    key_size = 4 if masked else 0
    bit = 0x80 if masked else 0
    while end - pos >= 2:
        first = data[pos]
        if first != _BINARY and first != _TEXT:
            break
        size = data[pos + 1] ^ bit
        start = pos + 2 + key_size
        if size >= 126:
            if size > 127:
                break
            wide = 2 if size == 126 else 8
            size = _number(data[pos + 2 : pos + 2 + wide])
            start += wide
            if start > end or size < (126 if wide == 2 else 65536):
                break
        stop = start + size
        if size > size_max or stop > end:
            break
        payload = data[start:stop]
        if masked:  # as `mask`, without the call
            rest = size & 3
            key = data[start - 4 : start]
            pad = key * (size >> 2) + key[:rest] if rest else key * (size >> 2)
            payload = (_number(payload) ^ _number(pad)).to_bytes(size)
        if first == _TEXT:
            try:
                out.append(payload.decode())
            except UnicodeDecodeError:
                break
        else:
            out.append(payload)
        pos = stop
    return pos


class Payload:
    """The payload of one frame of `size` bytes, unmasked with `key` as it arrives."""

    __slots__ = ("_key", "_parts", "_size", "left")

    def __init__(self, size: int, key: bytes | None) -> None:
        self._size = self.left = size
        self._key = key
        self._parts: list[bytes] = []

    def take(self, data: bytes, pos: int) -> int:
        """Append the available part of it from `data` at `pos`; return the position of the next
        byte."""
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
