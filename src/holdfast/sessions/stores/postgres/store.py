"""The store in PostgreSQL.

A group commit is one call of a function: one round trip and one transaction, which first locks
the row of this run. So a run that another one has fenced writes nothing any more. A second
connection does the rest, which therefore never waits for a commit.

A commit whose outcome is unknown, because the connection broke, is sent again with its number.
The function knows what it has written, also while the first call is still under way.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from holdfast.core.clock import Clock, wall
from holdfast.core.limits import StoreLimits
from holdfast.sessions.outbox import SharedEntry
from holdfast.sessions.records import Batch, Found, Recovered, Stored
from holdfast.sessions.stores.base import StoreError, StoreFencedError
from holdfast.sessions.stores.postgres.batches import place, size_of, values_of
from holdfast.sessions.stores.postgres.connection import Connection, Transaction
from holdfast.sessions.stores.postgres.opening import check_rights, check_server, migrate
from holdfast.sessions.stores.postgres.runs import BEAT, Adopted, adopt, fence_the_dead, register
from holdfast.sessions.stores.postgres.schema import COMMIT
from holdfast.sessions.stores.postgres.unflushed import Unflushed
from holdfast.sessions.stores.reading import Commons, Heads, Reader, Snapshot, Tail, snapshots_of

_FENCED: Final = -1
_WRITTEN: Final = 1
_SIDS_MAX: Final = 500
"""In one query."""

_ALIVE: Final = "SELECT 1 FROM holdfast.node WHERE inc = $1 AND NOT fenced FOR NO KEY UPDATE"
_NEWEST: Final = "SELECT coalesce(max(number), 0) FROM holdfast.journal WHERE inc = $1"
_CLOSE: Final = "UPDATE holdfast.node SET fenced = true, clean = $2 WHERE inc = $1 AND NOT fenced"
_HEADS: Final = "SELECT sid, body FROM holdfast.session WHERE owner = $1 ORDER BY sid"
_JOURNAL: Final = """
    SELECT inc, number, body, shared FROM holdfast.journal WHERE inc = ANY($1)
    ORDER BY inc, number
"""
_SETTINGS: Final = "SELECT key, value FROM holdfast.setting"
_HEARD: Final = "SELECT instance, number FROM holdfast.heard WHERE inc = $1"
_ORPHANS: Final = "SELECT sid, body FROM holdfast.snapshot WHERE sid = ANY($1) ORDER BY sid"
_FIND: Final = """
    SELECT s.sid, s.owner, s.body, n.body AS snapshot, n.common FROM holdfast.session s
    LEFT JOIN holdfast.snapshot n ON n.sid = s.sid WHERE s.sid = ANY($1)
"""
_COMMON: Final = "SELECT number, body FROM holdfast.common WHERE number = ANY($1)"
_CLAIM: Final = """
    UPDATE holdfast.session SET owner = $1, gen = gen + 1 WHERE sid = ANY($2) AND owner IS NULL
"""
_MINE: Final = "SELECT sid FROM holdfast.session WHERE sid = ANY($2) AND owner = $1"
_MOVE: Final = """
    UPDATE holdfast.session SET gen = gen + 1, owner = (
        SELECT max(inc) FROM holdfast.node WHERE name = $3 AND NOT fenced)
    WHERE sid = ANY($2) AND owner = $1
        AND EXISTS (SELECT 1 FROM holdfast.node WHERE name = $3 AND NOT fenced AND inc <> $1)
    RETURNING sid
"""
_DROP_SLICE: Final = """
    DELETE FROM holdfast.journal
    WHERE inc = ANY($1) AND (inc << 40) + number < $2
"""
_DROP_COMMON: Final = """
    DELETE FROM holdfast.common c WHERE NOT EXISTS (
        SELECT 1 FROM holdfast.snapshot n WHERE n.common = c.number AND n.common > 0)
"""
_FORGET: Final = "DELETE FROM holdfast.node WHERE inc = ANY($1)"


class PostgresStore:
    """A `Store` in a PostgreSQL database, for the gateway `node`."""

    beats = True

    def __init__(
        self,
        url: str,
        limits: StoreLimits,
        *,
        node: str,
        password: str | None = None,
        wall: Clock = wall,
        alone: bool = False,
    ) -> None:
        """With `alone`, it opens only if no gateway uses the database."""
        self._limits = limits
        self._node = node
        self._wall = wall
        self._alone = alone
        self._writer = Connection(url, password, limits, self._send_missing)
        self._reader = Connection(url, password, limits)
        self._inc = 0
        """The number of this run, or 0."""
        self._taken = False
        """Whether this run has taken the sessions of others, so that it may own some."""
        self._adopted: list[int] = []
        """The runs whose journals are `_tail`."""
        self._tail = Tail()
        self._unflushed = Unflushed()
        self._bodies: dict[int, bytes] = {}
        self._commons = Commons(lambda number: self._bodies.get(number, b""))

    async def open(self) -> Stored:
        try:
            return await self._open()
        except BaseException:
            await self.close(clean=False)
            raise

    async def commit(self, batch: Batch) -> int:
        values = values_of(self._inc, batch.number, batch)
        written = await self._writer.value(COMMIT, *values)
        if written == _FENCED:
            raise self._fenced()
        self._unflushed.add(batch.number, values, flushed=batch.sync)
        self._tail.forget(batch.deleted)
        if batch.journal_from:
            self._commons.forget()
        return size_of(values) if written == _WRITTEN else 0

    async def backup(self, path: Path) -> int:
        raise StoreError("the sessions are in PostgreSQL: back up its database (pg_dump)")

    async def check(self) -> None:
        if not await self._reader.fetch(
            "SELECT 1 FROM holdfast.node WHERE inc = $1 AND NOT fenced", self._inc
        ):
            raise self._fenced()

    async def claim(self, sids: Sequence[str]) -> list[str]:
        async with self._reader.transaction() as work:
            return await self._claim(work, sids)

    async def find(self, sids: Sequence[str]) -> Found:
        async with self._reader.transaction() as work:
            return await self._find(work, sids)

    async def take(self, sids: Sequence[str]) -> Found:
        if not sids:
            return Found()
        async with self._reader.transaction() as work:
            return await self._find(work, await self._claim(work, sids))

    async def move(self, sids: Sequence[str], node: str) -> list[str]:
        async with self._reader.transaction() as work:
            await self._lock(work)
            found = await self._find(work, sids)
            await self._write(work, snapshots_of(found), found)
            moved = {row["sid"] for row in await work.fetch(_MOVE, self._inc, sids, node)}
        self._tail.forget(moved)
        return [sid for sid in sids if sid in moved]

    async def beat(self) -> None:
        answered = self._unflushed.newest
        rows = await self._reader.fetch(BEAT, self._inc)
        if not rows:
            raise self._fenced()
        self._unflushed.look(answered, rows[0]["written"], rows[0]["flushed"])

    async def recover(self, count: int) -> Recovered:
        sids = self._tail.sids(count)
        async with self._reader.transaction() as work:
            await self._lock(work)
            found = await self._find(work, sids)
            await self._write(work, snapshots_of(found), found)
            if not sids:
                await self._drop_slice(work)
        self._tail.forget(sids)
        if not sids:
            self._tail.dropped()
            self._commons.forget()
        return Recovered(self._tail.left, found.set_aside)

    async def close(self, *, clean: bool) -> None:
        try:
            if self._taken:
                await self._reader.fetch(_CLOSE, self._inc, clean)
            elif self._inc:
                await self._reader.fetch(_FORGET, [self._inc])
        except StoreError:
            if clean:
                raise
        finally:
            self._inc, self._taken = 0, False
            await self._writer.close()
            await self._reader.close()

    async def _open(self) -> Stored:
        db = self._reader
        await db.open()
        await check_server(db, self._limits, self._wall)
        await migrate(db)
        await check_rights(db)
        self._inc = await register(db, self._node)
        await fence_the_dead(db, self._inc, None if self._alone else self._node, self._limits)
        async with db.transaction() as work:
            # This may take longer than the lease. Who waits to fence this run begins anew then.
            if not await work.fetch(BEAT, self._inc):
                raise self._fenced()
            adopted = await adopt(work, self._inc)
            stored = await self._read(work, adopted)
            self._taken = True
        await self._writer.open()
        return stored

    async def _read(self, work: Transaction, adopted: Adopted) -> Stored:
        heads, tail = Heads(), Tail(self._limits)
        async for sid, body in work.rows(_HEADS, self._inc):
            heads.row(sid, body)
        unreadable = [aside.sid for aside in heads.set_aside]
        for sid, body in await work.fetch(_ORPHANS, unreadable):
            heads.orphan(sid, body)
        number = 0
        async for inc, entry, body, shared in work.rows(_JOURNAL, adopted.incs):
            tail.entry(place(inc, entry), body, shared, heads.heads)
            number = max(number, entry)
        self._tail, self._adopted = tail, adopted.incs
        return Stored(
            clean=adopted.clean and tail.complete,
            number=number,
            journal_bytes=tail.size,
            newest=heads.newest,
            heads=list(heads.heads.values()),
            accepted=dict(await work.fetch(_HEARD, self._inc)),
            settings=dict(await work.fetch(_SETTINGS)),
            set_aside=heads.set_aside + tail.set_aside,
        )

    async def _claim(self, work: Transaction, sids: Sequence[str]) -> list[str]:
        await self._lock(work)
        await work.fetch(_CLAIM, self._inc, sids)
        mine = {row["sid"] for row in await work.fetch(_MINE, self._inc, sids)}
        return [sid for sid in sids if sid in mine]

    async def _find(self, work: Transaction, sids: Sequence[str]) -> Found:
        """Read sessions. In one transaction, so that their snapshots and what `_tail` has of them
        fit together: `recover` and `move` come before or after it."""
        reader, found = Reader(self._tail), Found()
        for start in range(0, len(sids), _SIDS_MAX):
            some = sids[start : start + _SIDS_MAX]
            rows = {row["sid"]: row for row in await work.fetch(_FIND, some)}
            commons = await self._commons_of(work, rows.values())
            snapshots = {
                sid: Snapshot(row["snapshot"], commons.get(row["common"], []))
                for sid, row in rows.items()
                if row["snapshot"] is not None
            }
            known = [(sid, rows[sid]["body"]) for sid in some if sid in rows]
            part = reader.read(known, snapshots)
            found.sessions += part.sessions
            found.set_aside += part.set_aside
        return found

    async def _commons_of(self, work: Transaction, rows: Any) -> dict[int, list[SharedEntry]]:
        """What these snapshots share, by its number.

        What is known is taken at once: a commit may let it be forgotten while the rest is fetched.
        """
        numbers = {row["common"] for row in rows if row["common"]}
        commons = {each: self._commons.of(each) for each in numbers if self._commons.knows(each)}
        wanted = list(numbers - commons.keys())
        if wanted:
            self._bodies = dict(await work.fetch(_COMMON, wanted))
            commons.update((each, self._commons.of(each)) for each in wanted)
            self._bodies = {}
        return commons

    async def _lock(self, work: Transaction) -> None:
        """Nobody fences this run until the end of the transaction."""
        if not await work.fetch(BEAT, self._inc):
            raise self._fenced()

    async def _write(self, work: Transaction, snapshots: Any, found: Found) -> None:
        """Store snapshots, and set aside what could not be read.

        On the disk: `_tail` has it no more after this, and nothing is kept to be sent again.
        """
        batch = Batch(snapshots=snapshots[0], snapshots_shared=snapshots[1], sync=True)
        batch.set_aside = found.set_aside
        batch.deleted = [kept.sid for kept in found.set_aside]
        await work.fetch(COMMIT, *values_of(self._inc, None, batch))

    async def _drop_slice(self, work: Transaction) -> None:
        """Drop a part of the earlier runs' journals, and with the last one these runs."""
        await work.fetch(_DROP_SLICE, self._adopted, self._tail.slice)
        await work.fetch(_DROP_COMMON)
        if self._tail.left <= 1:
            await work.fetch(_FORGET, self._adopted)

    async def _send_missing(self, db: Any) -> None:
        """On a new connection: send what the server has lost. Raises what asyncpg raises."""
        if len(self._unflushed):
            found = await db.fetchval(_NEWEST, self._inc)
            for values in self._unflushed.missing(found):
                await db.fetch(COMMIT, *values)

    def _fenced(self) -> StoreFencedError:
        return StoreFencedError(
            f"{self._reader.name}: another run has taken the sessions of {self._node!r}, because"
            " this one was silent for too long"
        )
