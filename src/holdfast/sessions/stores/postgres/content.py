"""What a database has of sessions, as one run reads and writes it.

Of the journals of the runs that this one has adopted, `Adopted.tail` knows what is where, until
they are folded into snapshots.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from holdfast.core.limits import StoreLimits
from holdfast.sessions.outbox import SharedEntry
from holdfast.sessions.records import Batch, Found, Recovered, SetAside, Stored
from holdfast.sessions.stores.base import StoreFencedError
from holdfast.sessions.stores.commons import Commons
from holdfast.sessions.stores.postgres.batches import place, values_of
from holdfast.sessions.stores.postgres.connection import Transaction
from holdfast.sessions.stores.postgres.kept_entries import KeptEntries
from holdfast.sessions.stores.postgres.runs import BEAT, Adopted
from holdfast.sessions.stores.postgres.schema import COMMIT, PLACE_BITS
from holdfast.sessions.stores.reading import Heads, Reader, Snapshot, snapshots_of
from holdfast.sessions.stores.tail import Excerpts, Piece, Tail, Tails

_SIDS_MAX: Final = 500
"""In one query."""
_READ_MAX: Final = 10
"""Sessions that are decoded in one go: each may have thousands of records."""

_MINE: Final = "SELECT sid FROM holdfast.session WHERE sid = ANY($2) AND owner = $1"
_JOURNAL: Final = """
    SELECT inc, number, body, shared FROM holdfast.journal WHERE inc = ANY($1)
    ORDER BY inc, number
"""
_NUMBERS: Final = (1 << PLACE_BITS) - 1
"""The bits of a place that are the entry's number."""
_PIECES: Final = f"""
    SELECT p.place, p.start, p.size, substring(j.body FROM p.start + 1 FOR p.size) AS record
    FROM unnest($1::bigint[], $2::int[], $3::int[]) AS p (place, start, size)
    JOIN holdfast.journal j ON j.inc = p.place >> {PLACE_BITS}
        AND j.number = p.place & {_NUMBERS}
"""
"""Both conditions are equations with values of `p` alone: each piece is one look into an index."""
_ENTRIES: Final = f"""
    SELECT p.place, j.body, j.shared FROM unnest($1::bigint[]) AS p (place)
    JOIN holdfast.journal j ON j.inc = p.place >> {PLACE_BITS}
        AND j.number = p.place & {_NUMBERS}
"""
_SHARED: Final = f"""
    SELECT p.place, j.shared FROM unnest($1::bigint[]) AS p (place)
    JOIN holdfast.journal j ON j.inc = p.place >> {PLACE_BITS}
        AND j.number = p.place & {_NUMBERS}
"""
_SETTINGS: Final = "SELECT key, value FROM holdfast.setting"
_ORPHANS: Final = "SELECT sid, body FROM holdfast.snapshot WHERE sid = ANY($1) ORDER BY sid"
_FIND: Final = """
    SELECT s.sid, s.owner, s.gen, s.body, n.body AS snapshot, n.common FROM holdfast.session s
    LEFT JOIN holdfast.snapshot n ON n.sid = s.sid WHERE s.sid = ANY($1)
"""
_COMMON: Final = "SELECT number, body FROM holdfast.common WHERE number = ANY($1)"
_DROP_SLICE: Final = """
    DELETE FROM holdfast.journal
    WHERE inc = ANY($1) AND (inc << 40) + number < $2
"""
_DROP_COMMON: Final = """
    DELETE FROM holdfast.common c WHERE NOT EXISTS (
        SELECT 1 FROM holdfast.snapshot n WHERE n.common = c.number AND n.common > 0)
"""


class Content:
    """The sessions of the run `inc`, and those of others as far as they are read."""

    def __init__(self, database: str, node: str, limits: StoreLimits) -> None:
        self.inc = 0
        """The number of this run, or 0."""
        self._database = database
        self._node = node
        self._limits = limits
        self._tails = Tails()
        self._runs: dict[Tail, list[int]] = {}
        """Whose journals each of the tails is."""
        self._kept = KeptEntries()
        """Of those journals."""
        self._bodies: dict[int, bytes] = {}
        self._commons = Commons(lambda number: self._bodies.get(number, b""))

    def fenced(self) -> StoreFencedError:
        return StoreFencedError(
            f"{self._database}: another run has taken the sessions of {self._node!r}, because"
            " this one was silent for too long"
        )

    async def lock(self, work: Transaction) -> None:
        """Nobody fences this run until the end of the transaction."""
        if not await work.fetch(BEAT, self.inc):
            raise self.fenced()

    async def mine(self, work: Transaction, sids: Sequence[str]) -> list[str]:
        """Those of these sessions that are this run's."""
        mine = {row["sid"] for row in await work.fetch(_MINE, self.inc, sids)}
        return [sid for sid in sids if sid in mine]

    async def stored(self, work: Transaction, adopted: Adopted, heads: Heads) -> Stored:
        """What was adopted, whose rows are `heads`. `keep` follows once it is this run's."""
        tail = Tail(self._limits)
        unreadable = [aside.sid for aside in heads.set_aside]
        for sid, body in await work.fetch(_ORPHANS, unreadable):
            heads.orphan(sid, body)
        number = 0
        async for inc, entry, body, shared in work.rows(_JOURNAL, adopted.incs):
            at = place(inc, entry)
            tail.entry(at, body, shared, heads.heads)
            adopted.entries.add(at, body, shared)
            number = max(number, entry)
        adopted.tail = tail
        return Stored(
            clean=adopted.clean and tail.complete,
            number=number,
            journal_bytes=tail.size,
            newest=heads.newest,
            heads=list(heads.heads.values()),
            settings=dict(await work.fetch(_SETTINGS)),
            set_aside=heads.set_aside + tail.set_aside,
        )

    def keep(self, adopted: Adopted) -> None:
        """The sessions of `adopted` are this run's."""
        if adopted.incs:
            self._tails.add(adopted.tail)
            self._runs[adopted.tail] = adopted.incs
            self._kept.take(adopted.entries)

    async def find(self, work: Transaction, sids: Sequence[str]) -> Found:
        """Read sessions. In one transaction, so that their snapshots and what the tails have of
        them fit together: `recover` and `give` come before or after it."""
        reader, found = Reader(self._tails), Found()
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
            excerpts = await self._excerpts(work, some)
            for first in range(0, len(known), _READ_MAX):
                part = reader.read(known[first : first + _READ_MAX], snapshots, excerpts)
                for session in part.sessions:
                    session.generation = rows[session.row.sid]["gen"]
                found.sessions += part.sessions
                found.set_aside += part.set_aside
                await asyncio.sleep(0)
        return found

    async def fold(self, work: Transaction, sids: Sequence[str]) -> Found:
        """Store what the tails have of these sessions as snapshots. `folded` follows."""
        found = await self.find(work, self._tails.of(sids))
        if found.sessions or found.set_aside:
            await self._write(work, found)
        return found

    def folded(self, sids: Collection[str]) -> None:
        """These sessions need nothing of the tails any more."""
        self._tails.forget(sids)

    async def recover(self, work: Transaction, sids: Sequence[str]) -> list[SetAside]:
        """One step of `Store.recover`, for the `next_folded`. `recovered` follows."""
        found = await self.fold(work, sids)
        if not sids:
            await self._drop_slice(work)
        return found.set_aside

    def next_folded(self, count: int) -> list[str]:
        """Up to `count` of the sessions that tails have news of."""
        return self._tails.first.sids(count)

    def recovered(self, sids: Sequence[str], set_aside: list[SetAside]) -> Recovered:
        """That step is stored."""
        self.folded(sids)
        if not sids:
            tail = self._tails.first
            self._kept.forget(self._runs.get(tail, []))
            tail.dropped()
            if not tail.left:
                self._tails.remove(tail)
                self._runs.pop(tail, None)
            self._commons.forget()
        return Recovered(self._tails.left, set_aside)

    def forget_commons(self) -> None:
        """What snapshots share may have been dropped."""
        self._commons.forget()

    async def _write(self, work: Transaction, found: Found) -> None:
        """Store snapshots, and set aside what could not be read.

        On the disk: no tail has it any more after this, and nothing is kept to be sent again.
        """
        snapshots, shared = snapshots_of(found)
        batch = Batch(snapshots=snapshots, snapshots_shared=shared, sync=True)
        batch.set_aside = found.set_aside
        batch.deleted = [kept.sid for kept in found.set_aside]
        await work.fetch(COMMIT, *values_of(self.inc, None, batch))

    async def _drop_slice(self, work: Transaction) -> None:
        """Drop a part of earlier runs' journals."""
        tail = self._tails.first
        runs = self._runs.get(tail, [])
        await work.fetch(_DROP_SLICE, runs, tail.slice)
        await work.fetch(_DROP_COMMON)

    async def _excerpts(self, work: Transaction, sids: Sequence[str]) -> Excerpts:
        """What the tails have of these sessions."""
        wanted: Mapping[int, Sequence[Piece]] = self._tails.pieces(sids)
        if not wanted:
            return Excerpts({}, {})
        excerpts = Excerpts({}, {})
        kept = self._kept.of(wanted)
        for entry, content in kept.items():
            excerpts.take(wanted[entry], *content)
        wanted = {entry: pieces for entry, pieces in wanted.items() if entry not in kept}
        # The server decompresses an entry for each piece of it: one of several is read whole.
        whole = [place for place, pieces in wanted.items() if len(pieces) > 1]
        async for entry, body, shared in work.rows(_ENTRIES, whole):
            excerpts.take(wanted[entry], body, shared)
        parts = [pieces[0].part for pieces in wanted.values() if len(pieces) == 1]
        if parts:
            found = await work.fetch(_PIECES, *map(list, zip(*parts, strict=True)))
            excerpts.records.update(
                ((place, start, size), record) for place, start, size, record in found
            )
            places = [place for place, _, _ in parts]
            excerpts.shared.update(await work.fetch(_SHARED, places))
        return excerpts

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
