"""The other runs of gateways on one PostgreSQL database, and the sessions that move between them.

Who wants a session of another run enters that in `move_request`; its owner looks there. The owner
gives it away in one transaction, which locks the rows of both runs: neither is fenced meanwhile,
so no session is given to a run whose sessions another one has taken already.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from holdfast.core.limits import StoreLimits
from holdfast.sessions.records import Found, Row, Stored
from holdfast.sessions.stores.base import Node, Others, OwnedRow, Owner, Whereabouts
from holdfast.sessions.stores.postgres.connection import Connection, Transaction
from holdfast.sessions.stores.postgres.content import Content
from holdfast.sessions.stores.postgres.process import Process
from holdfast.sessions.stores.postgres.runs import ANNOUNCE, Watch, adopt, ended_runs
from holdfast.sessions.stores.reading import read_rows

_NODES: Final = """
    SELECT name, host, extract(epoch FROM began)::float8 AS since, inc = $1 AS here, link, inc,
        (SELECT count(*) FROM holdfast.session s WHERE s.owner = n.inc) AS sessions
    FROM holdfast.node n WHERE NOT fenced ORDER BY inc LIMIT $2
"""
_ROWS: Final = "SELECT sid, body FROM holdfast.session WHERE sid = ANY($1)"
_OF_CODE: Final = """
    SELECT sid FROM holdfast.session
    WHERE (code = $1 AND code <> '') OR (code_before = $1 AND code_before <> '') LIMIT 1
"""
_ASK: Final = """
    INSERT INTO holdfast.move_request AS m (sid, owner, asker, gen)
    SELECT s.sid, s.owner, $1, w.gen FROM unnest($2::text[], $3::bigint[]) AS w (sid, gen)
    JOIN holdfast.session s ON s.sid = w.sid
    JOIN holdfast.node n ON n.inc = s.owner AND NOT n.fenced
    WHERE s.owner <> $1 ORDER BY s.sid
    ON CONFLICT (sid) DO UPDATE
    SET owner = excluded.owner, asker = excluded.asker, gen = excluded.gen, refused = false,
        offered = false
    WHERE m.owner <> excluded.owner OR m.asker <> excluded.asker OR m.gen <> excluded.gen
        OR m.offered
"""
_WHERE: Final = """
    SELECT s.sid, coalesce(s.owner = $1, false) AS here, coalesce(m.refused, false) AS refused
    FROM holdfast.session s LEFT JOIN holdfast.move_request m
        ON m.sid = s.sid AND m.asker = $1 AND m.owner = s.owner
    WHERE s.sid = ANY($2)
"""
_WITHDRAW: Final = "DELETE FROM holdfast.move_request WHERE asker = $1 AND sid = ANY($2)"
_ASKED: Final = """
    SELECT m.asker, m.sid, m.gen FROM holdfast.move_request m
    JOIN holdfast.node n ON n.inc = m.asker AND NOT n.fenced
    JOIN holdfast.session s ON s.sid = m.sid AND s.owner = $1
    WHERE m.owner = $1 AND NOT m.refused AND NOT m.offered ORDER BY random() LIMIT $2
"""
"""Not always the same first ones: they may be busy."""
_REFUSE: Final = """
    UPDATE holdfast.move_request SET refused = true WHERE owner = $1 AND sid = ANY($2)
"""
_OFFER: Final = """
    INSERT INTO holdfast.move_request AS m (sid, owner, asker, offered)
    SELECT s.sid, s.owner, $2, true FROM holdfast.session s
    JOIN holdfast.node n ON n.inc = $2 AND NOT n.fenced
    WHERE s.sid = ANY($3) AND s.owner = $1 ORDER BY s.sid
    ON CONFLICT (sid) DO UPDATE
    SET owner = excluded.owner, asker = excluded.asker, gen = 0, refused = false, offered = true
    WHERE m.owner <> excluded.owner OR m.offered
"""
_ACCEPT: Final = """
    UPDATE holdfast.move_request SET offered = false WHERE sid IN (
        SELECT sid FROM holdfast.move_request WHERE asker = $1 AND offered
        ORDER BY sid LIMIT $2 FOR UPDATE SKIP LOCKED)
    RETURNING sid
"""
_REQUEST_END: Final = """
    INSERT INTO holdfast.end_request (sid) SELECT sid FROM holdfast.session WHERE sid = $1
    ON CONFLICT DO NOTHING
"""
_OWNER: Final = """
    SELECT s.owner, coalesce(n.name, '') AS name FROM holdfast.session s
    LEFT JOIN holdfast.node n ON n.inc = s.owner WHERE s.sid = $1
"""
_FORGET_END: Final = "DELETE FROM holdfast.end_request WHERE sid = $1"
_ENDS: Final = """
    SELECT e.sid FROM holdfast.end_request e
    JOIN holdfast.session s ON s.sid = e.sid AND s.owner = $1
"""
_OF_OTHERS: Final = """
    SELECT s.sid, s.body, coalesce(n.name, '') AS name FROM holdfast.session s
    LEFT JOIN holdfast.node n ON n.inc = s.owner
    WHERE s.owner IS DISTINCT FROM $1 AND s.sid > $2 ORDER BY s.sid LIMIT $3
"""
_BOTH: Final = """
    SELECT inc FROM holdfast.node WHERE inc = ANY($1) AND NOT fenced
    ORDER BY inc FOR NO KEY UPDATE
"""
"""In one order, so that two runs that give each other sessions do not wait for each other."""
_WANTED: Final = """
    DELETE FROM holdfast.move_request WHERE sid = ANY($3) AND owner = $1 AND asker = $2
    RETURNING sid
"""
_GIVE: Final = """
    UPDATE holdfast.session SET owner = $2, gen = gen + 1 WHERE sid = ANY($3) AND owner = $1
    RETURNING sid
"""


class PostgresNeighbours:
    """The `Neighbours` of one run: `content` has its sessions.

    What may take long, and what may wait for others, has the connection `watcher`: signs of life
    never wait for it.
    """

    def __init__(
        self,
        reader: Connection,
        watcher: Connection,
        content: Content,
        watch: Watch,
        limits: StoreLimits,
    ) -> None:
        self._reader = reader
        self._watcher = watcher
        self._content = content
        self._idle_seconds_max = limits.lease_seconds_max
        self._watch = watch

    @property
    def run(self) -> int:
        return self._content.inc

    async def announce(self, link: str, apps: Sequence[str], *, accepts: bool) -> None:
        await self._reader.fetch(ANNOUNCE, self._content.inc, link, list(apps), accepts)

    async def look(self) -> Others:
        return await self._watch.look(self._watcher, self._content.inc)

    async def nodes(self, count: int) -> list[Node]:
        found = await self._reader.fetch(_NODES, self._content.inc, count)
        return [
            Node(
                one["name"],
                Process(one["host"], "").machine,
                one["since"],
                one["here"],
                one["link"],
                one["sessions"],
                self._watch.silent_seconds(one["inc"]),
            )
            for one in found
        ]

    async def adopt(self) -> Stored | None:
        content = self._content
        async with self._watcher.certain(self._idle_seconds_max) as work:
            adopted, heads = await adopt(work, content.inc)
            if not adopted.runs and not heads.heads and not heads.set_aside:
                return None
            stored = await content.stored(work, adopted, heads)
            stored.ended = await ended_runs(work, content.inc, adopted)
            await content.lock(work)  # at last: commits and signs of life wait for it
        content.keep(adopted)
        return stored

    async def rows(self, sids: Sequence[str]) -> list[Row]:
        return read_rows(await self._reader.fetch(_ROWS, sids))

    async def of_code(self, code: bytes) -> str | None:
        found: str | None = await self._reader.value(_OF_CODE, code)
        return found

    async def ask(self, wanted: Mapping[str, int]) -> dict[str, Whereabouts]:
        inc, sids = self._content.inc, list(wanted)
        await self._reader.fetch(_ASK, inc, sids, list(wanted.values()))
        return {
            row["sid"]: _whereabouts(here=row["here"], refused=row["refused"])
            for row in await self._reader.fetch(_WHERE, inc, sids)
        }

    async def arrived(self, sids: Sequence[str]) -> Found:
        async with self._reader.transaction() as work:
            mine = await self._content.mine(work, sids)
            # One that was asked for while it was given away is not wanted any more.
            await work.fetch(_WITHDRAW, self._content.inc, mine)
            return await self._content.find(work, mine)

    async def withdraw(self, sids: Sequence[str]) -> list[str]:
        await self._reader.fetch(_WITHDRAW, self._content.inc, sids)
        async with self._reader.transaction() as work:
            return await self._content.mine(work, sids)

    async def asked(self, count: int) -> dict[int, dict[str, int]]:
        wanted: dict[int, dict[str, int]] = {}
        for row in await self._reader.fetch(_ASKED, self._content.inc, count):
            wanted.setdefault(row["asker"], {})[row["sid"]] = row["gen"]
        return wanted

    async def refuse(self, sids: Sequence[str]) -> None:
        await self._reader.fetch(_REFUSE, self._content.inc, sids)

    async def offer(self, sids: Sequence[str], run: int) -> None:
        await self._reader.fetch(_OFFER, self._content.inc, run, sids)

    async def accept(self, count: int) -> list[str]:
        rows = await self._reader.fetch(_ACCEPT, self._content.inc, count)
        return [row["sid"] for row in rows]

    async def request_end(self, sid: str) -> Owner | None:
        await self._reader.fetch(_REQUEST_END, sid)
        return await self.owner(sid)

    async def owner(self, sid: str) -> Owner | None:
        found = await self._reader.fetch(_OWNER, sid)
        if not found:
            return None
        inc = found[0]["owner"]
        return Owner(found[0]["name"], self._watch.silent_seconds(inc), inc == self.run)

    async def forget_end(self, sid: str) -> None:
        await self._reader.fetch(_FORGET_END, sid)

    async def ends(self) -> list[str]:
        return [row["sid"] for row in await self._reader.fetch(_ENDS, self._content.inc)]

    async def of_others(self, after: str, count: int) -> list[OwnedRow]:
        found = await self._watcher.fetch(_OF_OTHERS, self._content.inc, after, count)
        names = {row["sid"]: row["name"] for row in found}
        rows = read_rows([(row["sid"], row["body"]) for row in found])
        return [OwnedRow(names[row.sid], row) for row in rows]

    async def give(self, sids: Sequence[str], run: int) -> list[str]:
        content = self._content
        async with self._reader.certain(self._idle_seconds_max) as work:
            given = await self._give(work, sids, run)
        content.folded(given)
        return [sid for sid in sids if sid in given]

    async def _give(self, work: Transaction, sids: Sequence[str], run: int) -> set[str]:
        content, inc = self._content, self._content.inc
        alive = {row["inc"] for row in await work.fetch(_BOTH, [inc, run])}
        if inc not in alive:
            raise content.fenced()
        if run not in alive:
            return set()
        wanted = [row["sid"] for row in await work.fetch(_WANTED, inc, run, sids)]
        await content.fold(work, await content.mine(work, wanted))
        return {row["sid"] for row in await work.fetch(_GIVE, inc, run, wanted)}


def _whereabouts(*, here: bool, refused: bool) -> Whereabouts:
    if here:
        return Whereabouts.HERE
    return Whereabouts.REFUSED if refused else Whereabouts.ASKED
