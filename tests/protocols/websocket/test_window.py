"""What a decompressor remembers, read out of it."""

from __future__ import annotations

import random
import zlib

import pytest

from holdfast.protocols.websocket.window import WINDOW_BYTES_MAX, window_of


def flushed(packer: zlib._Compress, data: bytes) -> bytes:
    return packer.compress(data) + packer.flush(zlib.Z_SYNC_FLUSH)


@pytest.mark.parametrize("bits", [9, 12, 15])
@pytest.mark.parametrize(
    "size",
    [0, 1, 2, 3, 4, 5, 257, 258, 259, 512, 5_000, WINDOW_BYTES_MAX - 1, 3 * WINDOW_BYTES_MAX],
)
def test_it_is_the_end_of_what_was_decompressed(bits: int, size: int) -> None:
    data = random.Random(size).randbytes(size)
    packer, inflate = zlib.compressobj(6, zlib.DEFLATED, -bits), zlib.decompressobj(-bits)
    assert inflate.decompress(flushed(packer, data)) == data
    window = window_of(inflate)
    assert window == data[-(1 << bits) :]
    # One that begins with it understands what refers to it, and the other was not touched.
    restored = zlib.decompressobj(-bits, window)
    packed = flushed(packer, data[-300:] + b"news")
    assert restored.decompress(packed) == inflate.decompress(packed) == data[-300:] + b"news"
