"""Messages in frames, without HTTP: an operation code and a length, then the payload.

    python examples/tcp/messages.py tcp://127.0.0.1:7006

1 says something, which all others hear; 2 is a ping, which is answered with 3.
"""

from __future__ import annotations

import asyncio
import sys

from holdfast.tcp import FrameError, Stream, serve_forever

SAY, PING, PONG = 1, 2, 3
HEAD_BYTES = 2

clients: set[Stream] = set()


def frame(opcode: int, payload: bytes) -> bytes:
    return bytes((opcode, len(payload))) + payload


async def client(stream: Stream) -> None:
    clients.add(stream)
    try:
        while True:
            opcode, size = await stream.read_exactly(HEAD_BYTES)
            payload = await stream.read_exactly(size)
            if opcode == PING:
                await stream.write(frame(PONG, payload))
            elif opcode == SAY:
                for other in clients - {stream}:
                    other.connection.write(frame(SAY, payload))
            else:
                raise FrameError(f"expected the operation 1 or 2, found {opcode}")
    finally:
        clients.discard(stream)


if __name__ == "__main__":
    asyncio.run(serve_forever(client, *sys.argv[1:], started=lambda at: print(*at, flush=True)))
