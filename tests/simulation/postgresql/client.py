"""A connection to the server: as much of asyncpg's as the store uses."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Final

import asyncpg
import pytest

from tests.simulation.postgresql.rows import Row
from tests.simulation.postgresql.server import (
    BEGIN,
    CLOSE,
    END,
    HELLO,
    ROLLBACK,
    Path,
    Request,
    Server,
)

SIMULATED: Final = "postgresql://simulated/holdfast"


def simulate(patch: pytest.MonkeyPatch) -> Server:
    """Let the store of this process use a server in memory."""
    server = Server()
    path = server.path()
    patch.setattr(asyncpg, "connect", lambda url, **options: connect(path))
    return server


async def connect(path: Path) -> Connection:
    """As `asyncpg.connect`, on this way to the server."""
    made = Connection(path)
    await made.fetch(HELLO)
    return made


class Connection:
    """What a process knows of its connection."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._backend = path.server.connect(path)
        self._closed = False

    async def fetch(self, query: str, *values: object) -> list[Row]:
        if self.is_closed():
            raise asyncpg.InterfaceError("connection is closed")
        request = Request(self._backend, query, values)
        self._path.ask(request)
        return await request.answer

    async def fetchval(self, query: str, *values: object) -> Any:
        rows = await self.fetch(query, *values)
        return rows[0][0] if rows else None

    async def execute(self, script: str) -> None:
        await self.fetch(script)

    async def prepare(self, query: str, *, name: str) -> Prepared:
        return Prepared(self, query)

    def get_server_pid(self) -> int:
        return 1

    def transaction(self) -> Work:
        return Work(self)

    async def cursor(self, query: str, *values: object, prefetch: int) -> AsyncIterator[Row]:
        for row in await self.fetch(query, *values):
            yield row

    def is_closed(self) -> bool:
        return self._closed or self._backend.ended

    def terminate(self) -> None:
        if not self._closed:
            self._closed = True
            self._path.ask(Request(self._backend, CLOSE, ()))

    async def close(self) -> None:
        self.terminate()


class Prepared:
    """A prepared statement."""

    def __init__(self, connection: Connection, query: str) -> None:
        self._connection = connection
        self._query = query

    async def fetchval(self) -> Any:
        return await self._connection.fetchval(self._query)


class Work:
    """A transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def start(self) -> None:
        await self._connection.fetch(BEGIN)

    async def commit(self) -> None:
        await self._connection.fetch(END)

    async def rollback(self) -> None:
        await self._connection.fetch(ROLLBACK)
