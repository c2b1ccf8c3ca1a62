"""The store in PostgreSQL.

A group commit is one call of a function: one round trip and one transaction, which first locks
the row of this run. So a run that another one has fenced writes nothing any more. A second
connection does the rest, which therefore never waits for a commit.

A commit whose outcome is unknown, because the connection broke, is sent again with its number.
The function knows what it has written, also while the first call is still under way.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, Final

from holdfast.core.clock import Clock, monotonic, wall
from holdfast.core.limits import StoreLimits
from holdfast.sessions.records import Batch, Found, Recovered, Stored
from holdfast.sessions.stores.base import StoreError, StoreTruncatedError
from holdfast.sessions.stores.postgres.batches import size_of, values_of
from holdfast.sessions.stores.postgres.connection import Connection, Transaction
from holdfast.sessions.stores.postgres.content import Content
from holdfast.sessions.stores.postgres.neighbours import PostgresNeighbours
from holdfast.sessions.stores.postgres.opening import check_rights, check_server, migrate
from holdfast.sessions.stores.postgres.runs import (
    BEAT,
    Watch,
    adopt,
    ended_runs,
    fence_the_dead,
    inherit_heard,
    register,
)
from holdfast.sessions.stores.postgres.schema import COMMIT
from holdfast.sessions.stores.postgres.unflushed import Unflushed

_FENCED: Final = -1
_WRITTEN: Final = 1

_NEWEST: Final = """
    SELECT coalesce((SELECT max(number) FROM holdfast.journal WHERE inc = n.inc), 0)
    FROM holdfast.node n WHERE inc = $1 AND NOT fenced
"""
_REPOSSESS: Final = """
    UPDATE holdfast.session SET owner = $1, gen = gen + 1
    WHERE sid = ANY($2) AND owner IS DISTINCT FROM $1
"""
_CLOSE: Final = "UPDATE holdfast.node SET fenced = true, clean = $2 WHERE inc = $1 AND NOT fenced"
_FORGET: Final = "DELETE FROM holdfast.node WHERE inc = $1"
_CLAIM: Final = """
    UPDATE holdfast.session SET owner = $1, gen = gen + 1 WHERE sid = ANY($2) AND owner IS NULL
"""


class PostgresStore:
    """A `Store` in a PostgreSQL database, for the gateway `node`."""

    def __init__(
        self,
        url: str,
        limits: StoreLimits,
        *,
        node: str,
        password: str | None = None,
        wall: Clock = wall,
        clock: Clock = monotonic,
        alone: bool = False,
    ) -> None:
        """With `alone`, it opens only if no gateway uses the database."""
        self._limits = limits
        self._node = node
        self._wall = wall
        self._alone = alone
        self._writer = Connection(url, password, limits, self._send_missing)
        self._reader = Connection(url, password, limits)
        self._watcher = Connection(url, password, limits)
        self._taken = False
        """Whether this run may have taken the sessions of others, so that it may own some."""
        self._content = Content(self._reader.name, node, limits)
        self._unflushed = Unflushed()
        self._truncated = False
        """Whether the database has lost commits of this run for good, until one is `whole`."""
        self.neighbours = PostgresNeighbours(
            self._reader, self._watcher, self._content, Watch(limits, clock), limits
        )

    async def open(self) -> Stored:
        try:
            return await self._open()
        except BaseException:
            await self.close(clean=False)
            raise

    async def commit(self, batch: Batch) -> int:
        content = self._content
        values = values_of(content.inc, batch.number, batch)
        if batch.whole:
            await self._repossess([row.sid for row in batch.rows])
        written = await self._writer.value(COMMIT, *values)
        if written == _FENCED:
            raise content.fenced()
        self._unflushed.add(batch.number, values, flushed=batch.sync)
        self._truncated = self._truncated and not batch.whole
        content.folded(batch.deleted)
        if batch.journal_from:
            content.forget_commons()
        return size_of(values) if written == _WRITTEN else 0

    async def backup(self, path: Path) -> int:
        raise StoreError("the sessions are in PostgreSQL: back up its database (pg_dump)")

    async def check(self) -> None:
        await self._writer.open()  # a new connection finds out whether commits are lost
        if not await self._reader.fetch(
            "SELECT 1 FROM holdfast.node WHERE inc = $1 AND NOT fenced", self._content.inc
        ):
            raise self._content.fenced()

    async def claim(self, sids: Sequence[str]) -> list[str]:
        async with self._short_transaction() as work:
            return await self._claim(work, sids)

    async def find(self, sids: Sequence[str]) -> Found:
        async with self._reader.transaction() as work:
            return await self._content.find(work, sids)

    async def take(self, sids: Sequence[str]) -> Found:
        if not sids:
            return Found()
        async with self._short_transaction() as work:
            return await self._content.find(work, await self._claim(work, sids))

    async def beat(self) -> None:
        answered = self._unflushed.newest
        rows = await self._reader.fetch(BEAT, self._content.inc)
        if not rows:
            raise self._content.fenced()
        self._unflushed.look(answered, rows[0]["written"], rows[0]["flushed"])

    async def recover(self, count: int) -> Recovered:
        content = self._content
        sids = content.next_folded(count)
        async with self._short_transaction() as work:
            await content.lock(work)
            set_aside = await content.recover(work, sids)
        return content.recovered(sids, set_aside)

    async def close(self, *, clean: bool) -> None:
        inc = self._content.inc
        try:
            if self._taken:
                await self._reader.fetch(_CLOSE, inc, clean)
            elif inc:
                await self._reader.fetch(_FORGET, inc)
        except StoreError:
            if clean:
                raise
        finally:
            self._content.inc, self._taken = 0, False
            for connection in (self._writer, self._reader, self._watcher):
                await connection.close()

    async def _open(self) -> Stored:
        db, content = self._reader, self._content
        await db.open()
        await check_server(db, self._limits, self._wall)
        await migrate(db)
        await check_rights(db)
        content.inc = await register(db, self._node)
        await fence_the_dead(db, content.inc, None if self._alone else self._node, self._limits)
        self._taken = True  # perhaps, if the answer to the commit is lost: then others take over
        async with db.transaction() as work:
            # This may take longer than the lease. Who waits to fence this run begins anew then.
            await content.lock(work)
            adopted, heads = await adopt(work, content.inc)
            stored = await content.stored(work, adopted, heads)
            stored.accepted = await inherit_heard(work, content.inc, self._node, adopted)
            stored.ended = await ended_runs(work, content.inc, adopted)
        content.keep(adopted)
        await self._writer.open()
        return stored

    def _short_transaction(self) -> AbstractAsyncContextManager[Transaction]:
        """One that locks this run: a process that hangs in it is fenced nevertheless."""
        return self._reader.transaction(self._limits.lease_seconds_max)

    async def _claim(self, work: Transaction, sids: Sequence[str]) -> list[str]:
        await self._content.lock(work)
        await work.fetch(_CLAIM, self._content.inc, sids)
        return await self._content.mine(work, sids)

    async def _send_missing(self, db: Any) -> None:
        """On a new connection: send what the server has lost.

        Raises what asyncpg raises, and `StoreTruncatedError`.
        """
        newest = self._unflushed.newest
        if not newest or self._truncated:
            return
        found = await db.fetchval(_NEWEST, self._content.inc)
        if found is None:
            return  # this run is fenced, as the next commit is told
        missing = self._unflushed.missing(found)
        if missing is None:
            self._truncated = True
            raise StoreTruncatedError(
                f"{self._writer.name}: it has lost commits: expected those up to {newest}, found"
                f" those up to {found}"
            )
        for values in missing:
            await db.fetch(COMMIT, *values)

    async def _repossess(self, sids: Sequence[str]) -> None:
        """Own these sessions: the database may have lost that they have come to this run."""
        async with self._writer.transaction(self._limits.lease_seconds_max) as work:
            await self._content.lock(work)
            await work.fetch(_REPOSSESS, self._content.inc, sids)
