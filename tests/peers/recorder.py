"""A way to a port of this machine that keeps what goes through, in both directions."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Recorder:
    """One connection, and its bytes."""

    def __init__(self) -> None:
        self.port = 0
        self.up = b""
        """What the client has sent."""
        self.down = b""
        """What it was sent."""

    async def pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, up: bool
    ) -> None:
        """Forward one direction."""
        try:
            while data := await reader.read(65536):
                if up:
                    self.up += data
                else:
                    self.down += data
                writer.write(data)
            writer.close()
        except ConnectionError:
            writer.transport.abort()


def inflated(data: bytes, option: int) -> bytes:
    """What was compressed behind the mark of MCCP 2 or 3; nothing without it."""
    packed = data.partition(bytes((255, 250, option, 255, 240)))[2]
    return zlib.decompressobj().decompress(packed)


@asynccontextmanager
async def recorder(target: int) -> AsyncIterator[Recorder]:
    """A way to the port `target` for one client, while the block runs."""
    self = Recorder()

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there = await asyncio.open_connection("127.0.0.1", target)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.pump(reader, there[1], up=True))
            tasks.create_task(self.pump(there[0], writer, up=False))

    server = await asyncio.start_server(forward, "127.0.0.1", 0)
    self.port = server.sockets[0].getsockname()[1]
    try:
        yield self
    finally:
        server.close()
