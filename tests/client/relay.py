"""A TCP relay that breaks connections where a test says."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from tests.gateway.clients import break_off


class Relay:
    """Passes bytes on between clients and one port of this machine."""

    def __init__(self, tasks: asyncio.TaskGroup, target: int) -> None:
        self.port = 0
        self.connections = 0
        self.budgets: list[int] = []
        """Bytes to the client after which each of the next connections is broken."""
        self.silent = False
        """Whether what comes is swallowed, both ways."""
        self.refuses = False
        """Whether new connections are broken at once."""
        self._tasks = tasks
        self._target = target
        self._writers: set[asyncio.StreamWriter] = set()

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        if self.refuses:
            writer.transport.abort()
            return
        self._tasks.create_task(self._serve(reader, writer))

    def cut(self) -> None:
        """Break every connection."""
        for writer in self._writers:
            if not writer.is_closing():
                break_off(writer.get_extra_info("socket"))
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            there, onward = await asyncio.open_connection("127.0.0.1", self._target)
            self._writers.add(onward)
            try:
                async with asyncio.TaskGroup() as both:
                    both.create_task(self._pass_on(reader, onward, None))
                    budget = self.budgets.pop(0) if self.budgets else None
                    both.create_task(self._pass_on(there, writer, budget))
            finally:
                self._writers.discard(onward)
                onward.transport.abort()
        except OSError:
            pass  # the gateway is down
        finally:
            self._writers.discard(writer)
            writer.transport.abort()

    async def _pass_on(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, left: int | None
    ) -> None:
        with contextlib.suppress(OSError):
            while left is None or left > 0:
                data = await reader.read(65536 if left is None else left)
                if not data:
                    break
                if not (self.silent or writer.is_closing()):
                    writer.write(data)
                    await writer.drain()
                left = None if left is None else left - len(data)
        writer.close()


@contextlib.asynccontextmanager
async def relayed(target: int) -> AsyncIterator[Relay]:
    """A relay to a port of this machine, while the block runs."""
    async with asyncio.TaskGroup() as tasks:
        relay = Relay(tasks, target)
        server = await asyncio.start_server(relay.accept, "127.0.0.1", 0)
        relay.port = server.sockets[0].getsockname()[1]
        try:
            yield relay
        finally:
            server.close()
            relay.cut()
