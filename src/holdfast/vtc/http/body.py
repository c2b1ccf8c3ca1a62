"""Bodies that tests send: patterns, and gzip. No I/O."""

from __future__ import annotations

import os
import zlib
from functools import lru_cache

_FIRST, _STOP = ord("!"), ord("~")
_CYCLE = _STOP - _FIRST
_LINE = 64
_PRINTABLE = bytes(range(ord(" "), ord(" ") + 95))
_RANDOM = bytes(_PRINTABLE[code % 95] for code in range(256))

GZIP_WINDOW = 31
GZIP_MEMORY = 9
_FRAGMENT_MIN = 3


@lru_cache(maxsize=1)
def _period() -> bytes:
    """After so many lines the pattern begins anew."""
    ring = bytes(range(_FIRST, _STOP)) * 2
    return b"".join(ring[start : start + _LINE - 1] + b"\n" for start in range(_CYCLE))


def pattern_body(length: int) -> bytes:
    """A body of `length` bytes: rising characters, each line one further; the last is a newline."""
    period = _period()
    whole = period * (length // len(period) + 1)
    return whole[: length - 1] + b"\n"


def random_body(length: int) -> bytes:
    """A body of `length` random characters in lines; the last is a newline."""
    body = bytearray(os.urandom(length).translate(_RANDOM))
    body[_LINE - 1 :: _LINE] = b"\n" * len(body[_LINE - 1 :: _LINE])
    body[-1:] = b"\n"
    return bytes(body)


def digits(length: int) -> bytes:
    """`0123456701234567…`"""
    return (b"01234567" * (length // 8 + 1))[:length]


def first_off_pattern(body: bytes) -> int:
    """Where `body` leaves the pattern of `digits`, or -1."""
    expected = digits(len(body))
    if body == expected:
        return -1
    return next(i for i, (a, b) in enumerate(zip(body, expected, strict=True)) if a != b)


def gzip(data: bytes, level: int, *, fragments: bool = False) -> bytes:
    """`data` compressed; in several blocks if `fragments`."""
    packer = zlib.compressobj(level, zlib.DEFLATED, GZIP_WINDOW, GZIP_MEMORY)
    packed = b""
    rest = data
    while fragments and len(rest) > _FRAGMENT_MIN:
        third = len(rest) // 3
        packed += packer.compress(rest[:third]) + packer.flush(zlib.Z_BLOCK)
        rest = rest[third:]
    return packed + packer.compress(rest) + packer.flush()


def gunzip(data: bytes) -> bytes:
    """`data` unpacked. Raises `zlib.error`, also when it is cut short."""
    unpacker = zlib.decompressobj(GZIP_WINDOW)
    body = unpacker.decompress(data)
    if not unpacker.eof:
        raise zlib.error("the data is cut short")
    return body


def c_string(body: bytes | bytearray) -> bytes:
    """A body as `expect` sees it: it ends at its first NUL."""
    return bytes(body).partition(b"\0")[0]
