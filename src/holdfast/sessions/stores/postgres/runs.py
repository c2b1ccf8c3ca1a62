"""The runs of gateways on one database: which are alive, and who takes the sessions of the others.

A run raises its `beat` from time to time. Who sees the same beat for `lease_seconds_max` of its
own monotonic clock fences that run: no clock of another machine is compared with one's own. On
the same machine, the end of the process is seen at once.
"""

from __future__ import annotations

import asyncio
import math
from typing import Any, Final

from msgspec import Struct, field

from holdfast.core.clock import Clock
from holdfast.core.limits import StoreLimits
from holdfast.net.loggers import LazyLogger
from holdfast.sessions.records import ENDED_RUNS_MAX, EndedRun
from holdfast.sessions.stores.base import OtherRun, Others, StoreBusyError
from holdfast.sessions.stores.postgres.connection import Connection, Transaction
from holdfast.sessions.stores.postgres.kept_entries import KeptEntries
from holdfast.sessions.stores.postgres.process import Process
from holdfast.sessions.stores.reading import Heads
from holdfast.sessions.stores.tail import Tail

_log = LazyLogger("holdfast.store")

_REGISTER: Final = """
    INSERT INTO holdfast.node (name, host, process) VALUES ($1, $2, $3) RETURNING inc
"""
BEAT: Final = """
    UPDATE holdfast.node SET beat = beat + 1 WHERE inc = $1 AND NOT fenced
    RETURNING (pg_current_wal_insert_lsn() - '0/0')::bigint AS written,
        (pg_current_wal_flush_lsn() - '0/0')::bigint AS flushed
"""
"""A sign of life; no row for a run that is fenced."""
ANNOUNCE: Final = """
    UPDATE holdfast.node SET link = $2, apps = $3, accepts = $4 WHERE inc = $1
"""
_OTHERS: Final = """
    SELECT inc, name, host, process, beat FROM holdfast.node
    WHERE NOT fenced AND inc < $1 ORDER BY inc
"""
_WATCHED: Final = """
    SELECT n.inc, n.name, n.host, n.process, n.beat, n.fenced, n.link, n.apps, n.accepts
    FROM holdfast.node n
    WHERE n.inc <> $1 AND NOT (n.fenced AND EXISTS (
        SELECT 1 FROM holdfast.node a WHERE a.inc = n.adopter AND NOT a.fenced))
    ORDER BY n.inc
"""
_FENCE: Final = """
    UPDATE holdfast.node SET fenced = true WHERE inc = (
        SELECT inc FROM holdfast.node WHERE inc = $1 AND beat = $2 AND NOT fenced
        FOR UPDATE SKIP LOCKED)
    RETURNING inc
"""
"""One that is locked gives a sign of life just now, or its transaction is ended by the server."""
_GAP_SHARE: Final = 0.5
"""Of the lease: a longer time without a look counts for nothing."""
_ADOPTABLE: Final = """
    SELECT n.inc, n.name, n.clean OR n.adopter IS NOT NULL AS clean, n.adopter IS NULL AS new
    FROM holdfast.node n
    WHERE n.fenced AND NOT EXISTS (
        SELECT 1 FROM holdfast.node a WHERE a.inc = n.adopter AND NOT a.fenced)
    ORDER BY n.inc FOR UPDATE SKIP LOCKED
"""
"""With whether a run stopped in order. What an earlier adopter has seen of that counts there."""
_ADOPT: Final = "UPDATE holdfast.node SET adopter = $1 WHERE inc = ANY($2)"
_UNASK: Final = """
    DELETE FROM holdfast.move_request WHERE asker = ANY($1) OR owner = ANY($1)
"""
_OWN: Final = """
    UPDATE holdfast.session SET owner = $1, gen = gen + 1
    WHERE owner = ANY($2) OR owner IS NULL RETURNING sid, body
"""
COPYING_NODE: Final = "holdfast store"
"""The node of a run that copies a store, as others see it."""

_HEAR: Final = """
    INSERT INTO holdfast.heard (inc, instance, number)
    SELECT $1, instance, max(number) FROM holdfast.heard WHERE inc = ANY($2) GROUP BY instance
"""
_HEARD: Final = "SELECT inc, instance, number FROM holdfast.heard WHERE inc = ANY($1)"
_HEARD_OF: Final = "SELECT instance, number FROM holdfast.heard WHERE inc = $1"
_WITH_JOURNAL: Final = """
    SELECT inc FROM holdfast.node n WHERE inc = ANY($1)
    AND EXISTS (SELECT 1 FROM holdfast.journal j WHERE j.inc = n.inc) ORDER BY inc
"""
_FORGET_OLD: Final = """
    DELETE FROM holdfast.node n WHERE inc IN (
        SELECT inc FROM holdfast.node WHERE adopter = $1 ORDER BY inc DESC OFFSET $2)
    AND NOT EXISTS (SELECT 1 FROM holdfast.journal j WHERE j.inc = n.inc)
"""
_FORGET_HEARD: Final = """
    DELETE FROM holdfast.heard h WHERE NOT EXISTS (
        SELECT 1 FROM holdfast.node n WHERE n.inc = h.inc)
"""


class Adopted(Struct):
    """The runs whose sessions and journals are this run's now."""

    runs: dict[int, str] = field(default_factory=dict)
    """All of them, with the names of their nodes: the oldest first."""
    new: set[int] = field(default_factory=set)
    """Those that no other run had adopted before."""
    incs: list[int] = field(default_factory=list)
    """Those that have left a journal."""
    clean: bool = True
    """Whether all of them stopped in order."""
    tail: Tail = field(default_factory=Tail)
    """What their journals have of the sessions."""
    entries: KeptEntries = field(default_factory=KeptEntries)
    """What was read of their journals."""


async def register(db: Connection, name: str) -> int:
    """Enter this run. Returns its number."""
    process = Process.own()
    async with db.transaction() as work:
        return int(await work.value(_REGISTER, name, process.host, process.number))


async def fence_the_dead(db: Connection, inc: int, name: str | None, limits: StoreLimits) -> None:
    """Fence the earlier runs that have ended without saying so. This one is alive meanwhile.

    Raises `StoreBusyError` if a live one has this run's name; if it has none, for any live one.
    """
    own, loop = Process.own(), asyncio.get_running_loop()
    began, beats = loop.time(), dict[int, int]()
    while True:
        await db.fetch(BEAT, inc)
        waits = False
        expired = loop.time() - began >= limits.lease_seconds_max
        for run in await db.fetch(_OTHERS, inc):
            ended = Process(run["host"], run["process"]).ended(own)
            silent = beats.setdefault(run["inc"], run["beat"]) == run["beat"]
            if ended or (ended is None and silent and expired):
                waits |= not await _fence(db, run)
            elif ended is None and silent:
                waits = True
            elif name is None or run["name"] == name:
                raise _busy(db, run, name)
        if not waits:
            return
        await asyncio.sleep(limits.beat_seconds_max / 4)


def _busy(db: Connection, run: Any, name: str | None) -> StoreBusyError:
    process = run["process"].partition(" ")[0] or "?"
    if name is None:
        return StoreBusyError(
            f"{db.name}: the gateway {run['name']!r} uses it (process {process}); expected it to"
            " be stopped"
        )
    return StoreBusyError(
        f"{db.name}: another gateway has the name {name!r} and uses it (process {process});"
        " expected a `node` of its own for each gateway"
    )


async def _fence(db: Connection, run: Any) -> bool:
    """False if there was a sign of life meanwhile."""
    fenced = bool(await db.fetch(_FENCE, run["inc"], run["beat"]))
    if fenced:
        _log.warning("run of a gateway fenced", node=run["name"], run=run["inc"])
    return fenced


async def adopt(work: Transaction, inc: int) -> tuple[Adopted, Heads]:
    """Take the sessions of all runs that are fenced, and those without an owner."""
    found = await work.fetch(_ADOPTABLE)
    incs = [row["inc"] for row in found]
    await work.fetch(_ADOPT, inc, incs)
    await work.fetch(_UNASK, incs)
    heads = Heads()
    async for sid, body in work.rows(_OWN, inc, incs):
        heads.row(sid, body)
    names = {row["inc"]: row["name"] for row in found}
    new = {row["inc"] for row in found if row["new"]}
    left = [row["inc"] for row in await work.fetch(_WITH_JOURNAL, incs)]
    return Adopted(names, new, left, all(row["clean"] for row in found)), heads


async def inherit_heard(work: Transaction, inc: int, node: str, adopted: Adopted) -> dict[str, int]:
    """Go on with what earlier runs of `node` have heard of instances, which link to this run
    instead. Instances number their outputs for each node. What was copied has been of any node,
    and is for any. Returns it.

    What another run has adopted is not continued: instances may have begun to number anew.
    """
    any_node = node == COPYING_NODE
    names = adopted.runs
    own = [one for one in adopted.new if any_node or names[one] in (node, COPYING_NODE)]
    await work.fetch(_HEAR, inc, own)
    return dict(await work.fetch(_HEARD_OF, inc))


async def ended_runs(work: Transaction, inc: int, adopted: Adopted) -> list[EndedRun]:
    """What the runs that this one has adopted have heard of instances, which are told of it.

    It stays stored for the newest `ENDED_RUNS_MAX` of them: this run may die before all instances
    are told, and who adopts it tells them as well.
    """
    ended = {each: EndedRun(each, name, {}) for each, name in adopted.runs.items()}
    for each, instance, number in await work.fetch(_HEARD, list(ended)):
        ended[each].heard[instance] = number
    await work.fetch(_FORGET_OLD, inc, ENDED_RUNS_MAX)
    await work.fetch(_FORGET_HEARD)
    return list(ended.values())


def _other(run: Any, silent_seconds: float) -> OtherRun:
    apps = tuple(run["apps"])
    return OtherRun(run["inc"], run["name"], run["link"], silent_seconds, apps, run["accepts"])


class Watch:
    """Watches the other runs, and fences those that have ended or are silent for the lease.

    Only what passes while it looks counts: after an outage of the database, or of this process,
    it begins anew. So nobody is fenced for a time in which nobody could give signs of life.
    """

    def __init__(self, limits: StoreLimits, clock: Clock) -> None:
        self._limits = limits
        self._clock = clock
        self._seen: dict[int, tuple[int, float]] = {}
        """By run: its beat, and since when that is the same."""
        self._looked = -math.inf
        """When the last look was over."""

    def silent_seconds(self, inc: int) -> float:
        """Since a sign of life of another run was seen; 0 for one that is not watched yet."""
        seen = self._seen.get(inc)
        return self._clock() - seen[1] if seen is not None else 0.0

    async def look(self, db: Connection, inc: int) -> Others:
        """Look at all other runs once. Raises `StoreError`."""
        own, asked = Process.own(), self._clock()
        runs = await db.fetch(_WATCHED, inc)
        answered = self._clock()
        # Also a look that an outage has delayed: the others could not give signs either.
        if answered - self._looked > self._limits.lease_seconds_max * _GAP_SHARE:
            self._seen.clear()
        self._looked = answered
        before, self._seen = self._seen, {}
        alive: list[OtherRun] = []
        adoptable = fenced = 0
        for run in runs:
            if run["fenced"]:
                adoptable += 1
                continue
            beat, since = before.get(run["inc"], (-1, answered))
            if beat != run["beat"]:
                since = answered
            self._seen[run["inc"]] = run["beat"], since
            silent = asked - since >= self._limits.lease_seconds_max
            if (silent or Process(run["host"], run["process"]).ended(own)) and await _fence(
                db, run
            ):
                fenced += 1
            else:
                alive.append(_other(run, asked - since))
        return Others(len(alive), bool(adoptable or fenced), alive, fenced)
