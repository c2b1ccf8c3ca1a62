"""What a decompressor remembers: the window that what comes next may refer to.

zlib does not tell it, but decompresses it: a block that consists of matches at the
farthest distance that is allowed repeats the window from its beginning (RFC 1951
section 3.2.5). It is given to a copy.
"""

from __future__ import annotations

import zlib
from bisect import bisect_left
from collections.abc import Iterator
from typing import Final

WINDOW_BYTES_MAX: Final = 32 * 1024
_MATCH_BYTES: Final = 258
_LONGEST_MATCH: Final = "11000101"
"""Length 258 in the fixed code of section 3.2.6."""
_END_OF_BLOCK: Final = "0000000"
_FIXED_BLOCK: Final = "010"
"""BFINAL 0, BTYPE 01."""
_EMPTY_BLOCK: Final = b"\x00\x00\xff\xff"
"""The rest of an empty stored block, whose first bits are zeros."""


def window_of(inflate: zlib._Decompress) -> bytes:
    """The window of a decompressor that stands between two blocks, at the end of a byte."""
    size = bisect_left(
        range(1, WINDOW_BYTES_MAX + 1), True, key=lambda far: not _reaches(inflate, far)
    )
    return inflate.copy().decompress(_repeat(size))[:size] if size else b""


def _reaches(inflate: zlib._Decompress, distance: int) -> bool:
    try:
        inflate.copy().decompress(_match(distance, 1))
    except zlib.error:
        return False
    return True


def _repeat(size: int) -> bytes:
    return _match(size, -(-size // _MATCH_BYTES))


def _match(distance: int, count: int) -> bytes:
    """A block of `count` matches of 258 bytes at `distance`."""
    bits = _FIXED_BLOCK + count * (_LONGEST_MATCH + _distance_bits(distance)) + _END_OF_BLOCK
    bits += "000"  # the head of a stored block
    return bytes(_octets(bits)) + _EMPTY_BLOCK


def _octets(bits: str) -> Iterator[int]:
    """Bits in the order in which they are sent, as bytes (section 3.1.1)."""
    for at in range(0, len(bits), 8):
        yield int(bits[at : at + 8][::-1], 2)


def _distance_bits(distance: int) -> str:
    """A distance in the fixed code: 5 bits and then its extra bits (section 3.2.5)."""
    if distance <= 4:
        return f"{distance - 1:05b}"
    extra = (distance - 1).bit_length() - 2
    upper, lower = divmod(distance - 1, 1 << extra)
    code = 2 * extra + upper
    return f"{code:05b}" + f"{lower:0{extra}b}"[::-1]
