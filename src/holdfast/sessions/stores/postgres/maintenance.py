"""An operator's work on the tables of a PostgreSQL database."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from holdfast.core.clock import wall
from holdfast.core.limits import StoreLimits
from holdfast.sessions.stores.postgres.connection import Connection
from holdfast.sessions.stores.postgres.opening import check_server, migrate, version_of
from holdfast.sessions.stores.postgres.schema import SCHEMA_VERSION


async def version_of_database(
    url: str, password: str | None, limits: StoreLimits
) -> tuple[int, int]:
    """The version of the schema, or 0, and the newest one. Raises `StoreError`."""
    async with _connected(url, password, limits) as db:
        return await version_of(db), SCHEMA_VERSION


async def migrate_database(url: str, password: str | None, limits: StoreLimits) -> tuple[int, int]:
    """Bring the tables to this version. Returns the one before and this one, or raises
    `StoreError`."""
    async with _connected(url, password, limits) as db:
        await check_server(db, limits, wall)
        before = await version_of(db)
        await migrate(db)
        return before, SCHEMA_VERSION


@asynccontextmanager
async def _connected(
    url: str, password: str | None, limits: StoreLimits
) -> AsyncIterator[Connection]:
    db = Connection(url, password, limits)
    try:
        await db.open()
        yield db
    finally:
        await db.close()
