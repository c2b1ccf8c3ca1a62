"""Frames on a byte stream: by length, by delimiter, of a fixed size, netstrings, chunks.

All decoders and encoders have the same interface and one limit, `frame_bytes_max`. Decoders
accept input in chunks of any size.
"""

from __future__ import annotations

from typing import Final, Literal, Protocol

from holdfast.core.errors import ProtocolError

_VARINT_BYTES_MAX: Final = 10
"""64 bits, seven in each byte."""
_MORE: Final = 0x80
_CRLF: Final = b"\r\n"
_CHUNK_LINE_BYTES_MAX: Final = 256
"""The size of a chunk with its extensions."""
_CHUNK_DIGITS_MAX: Final = 16
_TRAILER_BYTES_MAX: Final = 8 * 1024
_HEX: Final = frozenset(b"0123456789abcdefABCDEF")


class FrameError(ProtocolError):
    """A malformed frame. The message names the value found and the value expected."""


class FrameTooLargeError(FrameError):
    """A frame is larger than its limit."""


class Framing(Protocol):
    """A framing: how the end of a frame is found."""

    def receive_data(self, data: bytes) -> list[bytes]:
        """The frames that `data` completes. Raises `FrameError`; not to be called after that."""

    def receive_eof(self) -> None:
        """Raises `FrameError` when the stream ends within a frame."""

    def encode(self, frame: bytes) -> bytes:
        """Return the encoded frame. Raises `FrameError` for a frame that the peer would refuse."""


class _Buffered:
    """The received part of an incomplete frame. It takes linear time, for chunks of any size."""

    def __init__(self, frame_bytes_max: int) -> None:
        self._bytes_max = frame_bytes_max
        self._data = bytearray()

    def receive_data(self, data: bytes) -> list[bytes]:
        """The frames that `data` completes. Raises `FrameError`; not to be called after that."""
        kept = self._data
        if not kept:
            frames, at = self._split(data)
            kept += data[at:] if at else data
            return frames
        kept += data
        frames, at = self._split(kept)
        if at:
            del kept[:at]
        return frames

    def _split(self, data: bytes | bytearray) -> tuple[list[bytes], int]:
        """The whole frames, and where the rest begins."""
        frames: list[bytes] = []
        at = 0
        if isinstance(data, bytes):
            while (found := self._find(data, at)) is not None:
                start, end, at = found
                frames.append(data[start:end])
            return frames, at
        with memoryview(data) as view:
            while (found := self._find(data, at)) is not None:
                start, end, at = found
                frames.append(bytes(view[start:end]))
        return frames, at

    def receive_eof(self) -> None:
        """Raises `FrameError` when the stream ends within a frame."""
        if self._data:
            raise _ended_within(len(self._data))

    def encode(self, frame: bytes) -> bytes:
        """Return the encoded frame. Raises `FrameError` for a frame that the peer would refuse."""
        raise NotImplementedError

    def _find(self, data: bytes | bytearray, at: int) -> tuple[int, int, int] | None:
        """Where the next frame begins and ends, and where the one after it begins."""
        raise NotImplementedError

    def _check(self, size: int) -> None:
        if size > self._bytes_max:
            raise _too_large(size, self._bytes_max)


class LengthPrefixed:
    """A length in 1, 2, 4 or 8 bytes, then so many bytes. Hot path: the link's framing, too.

    `frame_bytes_max` may change between two frames.
    """

    __slots__ = ("_have", "_order", "_parts", "_size", "_want", "frame_bytes_max")

    def __init__(
        self,
        frame_bytes_max: int,
        prefix_bytes: Literal[1, 2, 4, 8] = 4,
        order: Literal["big", "little"] = "big",
    ) -> None:
        self.frame_bytes_max = frame_bytes_max
        self._size = prefix_bytes
        self._want: int = prefix_bytes
        self._order: Literal["big", "little"] = order
        self._parts: list[bytes] = []
        """The received part of an incomplete frame: joined once, not for each chunk."""
        self._have = 0

    def receive_data(self, data: bytes) -> list[bytes]:
        """The frames that `data` completes. Raises `FrameError`; not to be called after that."""
        return [bytes(view) for view in self.receive_views(data)]

    def receive_views(self, data: bytes) -> list[memoryview]:
        """As `receive_data`, without a copy of each frame: the views keep what they are of."""
        if self._have:
            self._parts.append(data)
            self._have += len(data)
            if self._have < self._want:
                return []
            data = b"".join(self._parts)
            self._parts = []
            self._have = 0
        head, order = self._size, self._order
        frames: list[memoryview] = []
        view = memoryview(data)
        pos, end = 0, len(data)
        self._want = head
        while end - pos >= head:
            start = pos + head
            size = int.from_bytes(view[pos:start], order)
            if size > self.frame_bytes_max:
                raise _too_large(size, self.frame_bytes_max)
            if end - start < size:
                self._want = head + size
                break
            pos = start + size
            frames.append(view[start:pos])
        if pos < end:
            self._parts = [data[pos:]]
            self._have = end - pos
        return frames

    def receive_eof(self) -> None:
        """Raises `FrameError` when the stream ends within a frame."""
        if self._have:
            raise _ended_within(self._have)

    def encode(self, frame: bytes) -> bytes:
        """Return the encoded frame. Raises `FrameError` for a frame that the peer would refuse."""
        if len(frame) > self.frame_bytes_max:
            raise _too_large(len(frame), self.frame_bytes_max)
        try:
            return len(frame).to_bytes(self._size, self._order) + frame
        except OverflowError:
            raise FrameTooLargeError(
                f"expected a length of {self._size} bytes, found a frame of {len(frame)}"
            ) from None


class VarintPrefixed(_Buffered):
    """A length in seven bits a byte, the lowest first (Protocol Buffers), then so many bytes."""

    def encode(self, frame: bytes) -> bytes:
        self._check(len(frame))
        prefix, left = bytearray(), len(frame)
        while left >= _MORE:
            prefix.append(left & 0x7F | _MORE)
            left >>= 7
        prefix.append(left)
        return bytes(prefix) + frame

    def _find(self, data: bytes | bytearray, at: int) -> tuple[int, int, int] | None:
        size = 0
        for number, byte in enumerate(data[at : at + _VARINT_BYTES_MAX]):
            size |= (byte & 0x7F) << 7 * number
            if byte < _MORE:
                self._check(size)
                start = at + number + 1
                end = start + size
                return (start, end, end) if len(data) >= end else None
        if len(data) - at >= _VARINT_BYTES_MAX:
            raise FrameError(f"expected a length of at most {_VARINT_BYTES_MAX} bytes, found more")
        return None


class Delimited(_Buffered):
    """Everything up to a delimiter, which is no part of the frame."""

    def __init__(self, frame_bytes_max: int, delimiter: bytes) -> None:
        super().__init__(frame_bytes_max)
        if not delimiter:
            raise ValueError("delimiter: expected at least one byte")
        self._delimiter = delimiter
        self._searched = 0
        """How far the present frame has none."""

    def encode(self, frame: bytes) -> bytes:
        self._check(len(frame))
        if self._delimiter in frame:
            raise FrameError(f"expected no {self._delimiter!r} in a frame, found one")
        return frame + self._delimiter

    def _find(self, data: bytes | bytearray, at: int) -> tuple[int, int, int] | None:
        size = len(self._delimiter)
        end = data.find(self._delimiter, at + self._searched, at + self._bytes_max + size)
        self._searched = 0
        if end >= 0:
            return at, end, end + size
        # A possible beginning of the delimiter does not count.
        without = len(data) - at - size + 1
        self._check(without)
        self._searched = max(0, without)
        return None


class Fixed(_Buffered):
    """Frames of one size."""

    def encode(self, frame: bytes) -> bytes:
        if len(frame) != self._bytes_max:
            raise FrameError(f"expected a frame of {self._bytes_max} bytes, found {len(frame)}")
        return frame

    def _find(self, data: bytes | bytearray, at: int) -> tuple[int, int, int] | None:
        end = at + self._bytes_max
        return (at, end, end) if len(data) >= end else None


class Netstring(_Buffered):
    """`5:hello,` (https://cr.yp.to/proto/netstrings.txt)."""

    def encode(self, frame: bytes) -> bytes:
        self._check(len(frame))
        return b"%d:%b," % (len(frame), frame)

    def _find(self, data: bytes | bytearray, at: int) -> tuple[int, int, int] | None:
        digits_max = len(str(self._bytes_max))
        colon = data.find(b":", at, at + digits_max + 1)
        digits = bytes(data[at : colon if colon >= 0 else at + digits_max + 1])
        if (digits and not digits.isdigit()) or digits[:1] == b"0" != digits:
            raise FrameError(f"expected a length and a colon, found {digits!r}")
        if colon < 0:
            if len(digits) > digits_max:
                self._check(int(digits))
            return None
        if not digits:
            raise FrameError("expected a length before the colon, found none")
        self._check(int(digits))
        end = colon + 1 + int(digits)
        if len(data) <= end:
            return None
        if data[end : end + 1] != b",":
            found = bytes(data[end : end + 1])
            raise FrameError(f"expected a comma after the frame, found {found!r}")
        return colon + 1, end, end + 1


class Chunked(_Buffered):
    """The chunks of HTTP (RFC 9112 section 7.1). The empty frame is the last chunk of a body.

    Extensions of chunks and trailer fields are left out; another body may follow.
    """

    def encode(self, frame: bytes) -> bytes:
        self._check(len(frame))
        return b"%x\r\n%b\r\n" % (len(frame), frame)

    def _find(self, data: bytes | bytearray, at: int) -> tuple[int, int, int] | None:
        end = data.find(_CRLF, at, at + _CHUNK_LINE_BYTES_MAX)
        if end < 0:
            if len(data) - at >= _CHUNK_LINE_BYTES_MAX:
                raise FrameError(
                    f"expected the size of a chunk within {_CHUNK_LINE_BYTES_MAX} bytes, found more"
                )
            return None
        size = chunk_size(bytes(data[at:end]))
        self._check(size)
        if not size:
            return self._find_end(data, end)
        start = end + len(_CRLF)
        end = start + size
        if len(data) < end + len(_CRLF):
            return None
        found = bytes(data[end : end + len(_CRLF)])
        if found != _CRLF:
            raise FrameError(f"expected a line end after a chunk, found {found!r}")
        return start, end, end + len(_CRLF)

    def _find_end(self, data: bytes | bytearray, at: int) -> tuple[int, int, int] | None:
        """The end of the trailer section; the line of the last chunk ends at `at`."""
        end = data.find(_CRLF + _CRLF, at, at + _TRAILER_BYTES_MAX)
        if end >= 0:
            return end, end, end + 2 * len(_CRLF)
        if len(data) - at >= _TRAILER_BYTES_MAX:
            raise FrameTooLargeError(
                f"expected trailer fields of at most {_TRAILER_BYTES_MAX} bytes, found more"
            )
        return None


def chunk_size(line: bytes) -> int:
    """The size that the line before a chunk gives. Raises `FrameError`."""
    digits = line.partition(b";")[0].rstrip(b" \t")
    if not 0 < len(digits) <= _CHUNK_DIGITS_MAX or not _HEX.issuperset(digits):
        raise FrameError(f"expected the size of a chunk, found {line[:40]!r}")
    return int(digits, 16)


def _too_large(size: int, most: int) -> FrameTooLargeError:
    return FrameTooLargeError(f"expected a frame of at most {most} bytes, found {size}")


def _ended_within(have: int) -> FrameError:
    return FrameError(f"expected the rest of a frame after {have} bytes")
