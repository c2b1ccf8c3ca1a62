"""A generator of hostile input for the WebSocket engine, and the rules it must not break."""

from __future__ import annotations

import random
import time
import zlib
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from holdfast.core.limits import WebSocketLimits
from holdfast.protocols.websocket import (
    ClientConnection,
    Deflate,
    DeflateSettings,
    Event,
    HandshakeError,
    Offer,
    ServerConnection,
    State,
    Violation,
    codec,
)
from holdfast.protocols.websocket.frames import Decoder

LIMITS: Final = WebSocketLimits(
    head_bytes_max=2_000,
    header_count_max=20,
    frame_bytes_max=5_000,
    message_bytes_max=5_000,
    fragments_max=8,
    inflated_bytes_max=20_000,
)
_SECONDS_MAX: Final = 1.0
"""Of CPU time for one input, which takes microseconds: a thousand times more is not linear."""
_HANDSHAKE: Final = (
    b"GET /chat HTTP/1.1\r\nHost: example.org\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Protocol: a, b\r\nOrigin: http://example.org\r\n"
    b"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n"
)
_ANSWER: Final = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
    b"Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=12\r\n\r\n"
)
_WORDS: Final = (
    b"permessage-deflate", b"server_max_window_bits=", b"client_no_context_takeover", b"15", b"8",
    b"\r\n", b"\r\n\r\n", b"\r", b"\n", b":", b" ", b"\t", b",", b";", b"\0", b"\xff",
    b"HTTP/1.1", b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n", b"Upgrade", b'"',
)  # fmt: skip


class Broken(Exception):
    """A rule was broken; says by which input."""


class Tally(NamedTuple):
    """What came of some inputs."""

    inputs: int = 0
    size: int = 0
    messages: int = 0
    violations: int = 0

    def __add__(self, other: object) -> Tally:
        assert isinstance(other, Tally)
        return Tally(*(a + b for a, b in zip(self, other, strict=True)))


def _mutated(rng: random.Random, data: bytes) -> bytes:
    """`data` with a few bytes changed, cut, repeated or put in."""
    made = bytearray(data)
    for _ in range(rng.randrange(1, 5)):
        at = rng.randrange(len(made) + 1)
        match rng.randrange(5):
            case 0 if at < len(made):
                made[at] = rng.randrange(256)
            case 1:
                del made[at : at + rng.randrange(1, 12)]
            case 2:
                made[at:at] = rng.choice(_WORDS)
            case 3:
                made[at:at] = made[at : at + rng.randrange(40)]
            case _:
                made[at:at] = rng.randbytes(rng.randrange(4))
    return bytes(made)


def _frames(rng: random.Random, *, rsv: tuple[int, ...] = (0,)) -> bytes:
    """A few frames, most of them right."""
    out = b""
    within = False
    for _ in range(rng.randrange(1, 6)):
        opcode = rng.choice((0, 0, 0, 9, 10) if within else (1, 1, 1, 2, 2, 2, 9, 10))
        if rng.random() < 0.05:
            opcode = rng.randrange(16)
        size = rng.randrange(130) if rng.random() < 0.95 else rng.randrange(6_000)
        payload = rng.randbytes(size) if opcode == 2 else b"text " * (size // 5)
        fin = rng.random() < 0.8
        flags = rng.choice(rsv) if opcode in (1, 2) else 0
        if flags & 4:
            payload = _packed(rng, payload)
        if opcode >= 8:
            payload, fin = payload[:125], fin or rng.random() < 0.9
        else:
            within = not fin
        first = (0x80 if fin else 0) | flags << 4 | opcode
        out += codec.encode(first, payload[:65_535], rng.randbytes(4))
    return _mutated(rng, out) if rng.random() < 0.5 else out


def _packed(rng: random.Random, payload: bytes) -> bytes:
    packer = zlib.compressobj(rng.randrange(1, 10), zlib.DEFLATED, -rng.randrange(9, 16), 4)
    if rng.random() < 0.05:
        payload *= rng.randrange(1, 200)
    packed = packer.compress(payload) + packer.flush(
        rng.choice((zlib.Z_SYNC_FLUSH, zlib.Z_FULL_FLUSH, zlib.Z_FINISH))
    )
    return _mutated(rng, packed) if rng.random() < 0.4 else packed[:-4]


def _fed(rng: random.Random, feed: Callable[[bytes], list[Event]], data: bytes) -> list[Event]:
    """The events of `data`, whole or in pieces."""
    if rng.random() < 0.5:
        return feed(data)
    events: list[Event] = []
    pos = 0
    while pos < len(data):
        size = rng.randrange(1, 300)
        events += feed(data[pos : pos + size])
        pos += size
    return events


def _counted(events: list[Event], size: int) -> Tally:
    violations = [event for event in events if isinstance(event, Violation)]
    if violations and (len(violations) > 1 or events[-1] is not violations[0]):
        raise AssertionError(f"a violation is not the last event: {events!r}")
    messages = [event for event in events if isinstance(event, str | bytes)]
    if any(len(message) > LIMITS.message_bytes_max for message in messages):
        raise AssertionError("a message over the limit")
    return Tally(1, size, len(messages), len(violations))


def _decoder(rng: random.Random) -> Tally:
    data = _frames(rng, rsv=(0, 0, 0, rng.randrange(8)))
    decoder = Decoder(LIMITS, masked=True)
    return _counted(_fed(rng, decoder.receive_data, data), len(data))


def _handshake(rng: random.Random) -> Tally:
    if rng.random() < 0.3:
        data = _mutated(rng, _ANSWER)
        offer = Offer("a", deflate=Deflate(DeflateSettings()))
        client = ClientConnection(LIMITS, offer, lambda n: b"the sample nonce"[:n])
        try:
            return _counted(_fed(rng, client.receive_data, data), len(data))
        except HandshakeError:
            if client.state is not State.CLOSED:
                raise AssertionError("an error that leaves the connection open") from None
            return Tally(1, len(data), 0, 1)
    server = ServerConnection(LIMITS, Deflate())
    data = _mutated(rng, _HANDSHAKE)
    found = _counted(_fed(rng, server.receive_data, data), len(data))
    if len(server._head or b"") > 2 * LIMITS.head_bytes_max:
        raise AssertionError("a head over the limit is kept")
    return found


def _deflate(rng: random.Random) -> Tally:
    server = ServerConnection(LIMITS, Deflate())
    server.receive_data(_HANDSHAKE)
    server.accept()
    data = _frames(rng, rsv=(4, 4, 4, 0))
    return _counted(_fed(rng, server.receive_data, data), len(data))


def _run(one: Callable[[random.Random], Tally], seed: int, count: int) -> Tally:
    """`count` inputs from `seed` on. Raises `Broken` with the seed of the one that broke a rule."""
    total = Tally()
    for number in range(count):
        rng = random.Random(seed * 1_000_000 + number)
        begun = time.process_time()
        try:
            total += one(rng)
        except Exception as error:
            raise Broken(f"input {number}: {type(error).__name__}: {error}") from error
        spent = time.process_time() - begun
        if spent > _SECONDS_MAX:
            raise Broken(f"input {number} took {spent:.1f} s")
    return total


PARTS: Final[Mapping[str, Callable[[int, int], Tally]]] = {
    "decoder": lambda seed, count: _run(_decoder, seed, count),
    "handshake": lambda seed, count: _run(_handshake, seed, count),
    "deflate": lambda seed, count: _run(_deflate, seed, count),
}
