"""Servers that know nothing of the gateway: asyncio's own streams, and programs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.gateway.clients import break_off
from tests.gateway.running import SECONDS
from tests.programs import started


class Visit:
    """One connection to a `Mud`."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def says(self, text: str) -> None:
        self.writer.write(text.encode())

    async def hears(self, line: str) -> None:
        """The next line: it must be this one."""
        async with asyncio.timeout(SECONDS):
            assert (await self.reader.readline()).decode() == line

    async def is_left(self) -> None:
        """Wait until the gateway has hung up."""
        async with asyncio.timeout(SECONDS):
            assert await self.reader.read() == b""

    def ends(self) -> None:
        self.writer.close()

    def breaks(self) -> None:
        break_off(self.writer.get_extra_info("socket"))
        self.writer.transport.abort()


class Mud:
    """A server that says what the test says."""

    def __init__(self) -> None:
        self.port = 0
        self.visits: list[Visit] = []
        self.ends_all = False
        """Whether each connection is ended at once."""
        self._server: asyncio.Server
        self._came = asyncio.Event()
        self._taken = 0

    async def visit(self) -> Visit:
        """The next connection."""
        async with asyncio.timeout(SECONDS):
            while len(self.visits) <= self._taken:
                self._came.clear()
                await self._came.wait()
        self._taken += 1
        return self.visits[self._taken - 1]

    def close(self) -> None:
        """Accept nobody any more."""
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.visits.append(Visit(reader, writer))
        if self.ends_all:
            writer.close()
        self._came.set()


@asynccontextmanager
async def mud(port: int = 0) -> AsyncIterator[Mud]:
    """A server at a port of this machine while the block runs."""
    it = Mud()
    server = it._server = await asyncio.start_server(it._serve, "127.0.0.1", port)
    it.port = server.sockets[0].getsockname()[1]
    try:
        yield it
    finally:
        server.close()
        for visit in it.visits:
            visit.writer.transport.abort()


@asynccontextmanager
async def running(*command: str | Path, port: int) -> AsyncIterator[asyncio.subprocess.Process]:
    """A program while the block runs, once it listens at `port`."""
    options = {"stdin": asyncio.subprocess.DEVNULL, "stderr": asyncio.subprocess.PIPE}
    async with started(*command, **options) as process:
        async with asyncio.timeout(SECONDS):
            while not _listens(port):
                assert process.returncode is None, (await process.communicate())[1].decode()
                await asyncio.sleep(0.01)
        yield process


def _listens(port: int) -> bool:
    """Whether anybody listens there, by the kernel's own list: a visit would be one too many."""
    wanted = f"{port:04X}"
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    return any(
        fields[1].endswith(f":{wanted}") and fields[3] == "0A" for fields in map(str.split, lines)
    )
