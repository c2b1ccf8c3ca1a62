"""Something between a client and the gateway that takes bytes for the client: a proxy, a tunnel."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.gateway.clients import break_off


class Relay:
    """Passes bytes on, until it swallows what goes to the clients."""

    def __init__(self, target: int) -> None:
        self.port = 0
        self.swallows = False
        self.swallowed = 0
        """Bytes that no client got."""
        self.open = True
        """Whether it takes connections."""
        self._target = target
        self._writers: list[asyncio.StreamWriter] = []

    def cut(self) -> None:
        """Reset every connection, on both sides."""
        writers, self._writers = self._writers, []
        for writer in writers:
            if not writer.is_closing():
                break_off(writer.get_extra_info("socket"))
                writer.transport.abort()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        if not self.open:
            self.cut()
            return
        gateway_reader, gateway_writer = await asyncio.open_connection("127.0.0.1", self._target)
        self._writers.append(gateway_writer)
        if not self.open:
            self.cut()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._up(reader, gateway_writer))
            tasks.create_task(self._down(gateway_reader, writer))

    async def _up(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while (data := await reader.read(65536)) and not writer.is_closing():
                writer.write(data)
        except ConnectionError:
            pass

    async def _down(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while (data := await reader.read(65536)) and not writer.is_closing():
                if self.swallows:
                    self.swallowed += len(data)
                else:
                    writer.write(data)
        except ConnectionError:
            pass


@asynccontextmanager
async def relay_to(port: int) -> AsyncIterator[Relay]:
    """A relay to a port of this machine while the block runs."""
    relay = Relay(port)
    server = await asyncio.start_server(relay.serve, "127.0.0.1", 0)
    relay.port = server.sockets[0].getsockname()[1]
    try:
        yield relay
    finally:
        server.close()
        relay.cut()
