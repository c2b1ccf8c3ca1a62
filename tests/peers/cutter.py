"""A network cable that can be cut: a way to a port of this machine."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.gateway.clients import break_off


class Cutter:
    """Forwards connections to `target` until it is cut; then there is nobody at `port`."""

    def __init__(self, target: int) -> None:
        self.port = 0
        self.connections = 0
        """How many there have been."""
        self.up = bytearray()
        """What clients have sent."""
        self.holds = False
        """Whether nothing goes through, while all seems well."""
        self._target = target
        self._open: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None

    async def mend(self) -> None:
        """Let connections through."""
        self._server = await asyncio.start_server(self._forward, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    def cut(self) -> None:
        """Reset what is open, and refuse what comes."""
        assert self._server is not None
        self._server.close()
        for writer in self._open:
            if writer.transport.is_closing():
                continue
            break_off(writer.get_extra_info("socket"))
            writer.transport.abort()
        self._open.clear()

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._open.add(writer)
        if self.holds:
            return
        try:
            there = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:  # nobody there either
            writer.transport.abort()
            return
        if writer.transport.is_closing():  # it was cut meanwhile
            there[1].transport.abort()
            return
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._pump(reader, there[1], self.up))
            tasks.create_task(self._pump(there[0], writer))

    async def _pump(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        kept: bytearray | None = None,
    ) -> None:
        self._open.add(writer)
        try:
            # In small pieces, so that a cut falls anywhere.
            while data := await reader.read(100):
                writer.write(data)
                await writer.drain()
                if kept is not None:
                    kept += data
            writer.close()
        except ConnectionError:
            writer.transport.abort()
        finally:
            self._open.discard(writer)


@asynccontextmanager
async def cutter(target: int) -> AsyncIterator[Cutter]:
    """A way to the port `target`, while the block runs."""
    self = Cutter(target)
    await self.mend()
    try:
        yield self
    finally:
        self.cut()
