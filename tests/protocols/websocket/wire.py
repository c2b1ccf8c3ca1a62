"""Frames written by hand, so that the tests do not lean on the code under test."""

from __future__ import annotations

KEY = b"\x37\xfa\x21\x3d"


def frame(
    opcode: int, payload: bytes = b"", *, fin: bool = True, rsv: int = 0, key: bytes | None = KEY
) -> bytes:
    """A frame as a client sends it, or as a server does with `key=None`."""
    size = len(payload)
    bit = 0x80 if key is not None else 0
    out = bytearray([(0x80 if fin else 0) | rsv << 4 | opcode])
    if size < 126:
        out.append(bit | size)
    elif size < 65536:
        out.append(bit | 126)
        out += size.to_bytes(2, "big")
    else:
        out.append(bit | 127)
        out += size.to_bytes(8, "big")
    if key is not None:
        out += key
        payload = bytes(byte ^ key[i % 4] for i, byte in enumerate(payload))
    return bytes(out) + payload
