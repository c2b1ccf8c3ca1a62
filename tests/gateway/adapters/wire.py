"""What a client reads of a gateway's bytes."""

from __future__ import annotations

import json
from typing import Any

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


def frames(data: bytes) -> list[tuple[int, bytes]]:
    """The unmasked, unfragmented frames in `data`: opcodes and payloads."""
    found = []
    while data:
        assert data[0] & 0x80, "a fragment"
        size, start = data[1], 2
        assert size < 128, "a server masks nothing (RFC 6455 section 5.1)"
        if size == 126:
            size, start = int.from_bytes(data[2:4], "big"), 4
        elif size == 127:
            size, start = int.from_bytes(data[2:10], "big"), 10
        assert len(data) >= start + size, "half a frame"
        found.append((data[0] & 0x0F, data[start : start + size]))
        data = data[start + size :]
    return found


def messages(data: bytes) -> list[Any]:
    """The JSON messages in `data`, a text frame each."""
    found = []
    for opcode, payload in frames(data):
        assert opcode == TEXT
        found.append(json.loads(payload))
    return found
