"""One run: the programs, the people, what is done to them, and the counts."""

from __future__ import annotations

import asyncio
import random
import sqlite3
import ssl
import tempfile
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Sequence
from contextlib import closing, suppress
from pathlib import Path

from tests.postgresql import Cluster

from bench.chaos import programs
from bench.chaos.blows import Database, Stage
from bench.chaos.notes import ranges, show
from bench.chaos.people import Listener, Typist, Way
from bench.chaos.plan import Plan
from bench.chaos.programs import Ports
from bench.harness import Row
from holdfast.backends.link.trials import SET_ASIDE
from holdfast.client import Notice, connect

_BEGIN_SECONDS_MAX = 60.0
POISON = "poison"
"""The command that ends whoever begins it."""


async def torment(plan: Plan, cluster: Cluster | None = None) -> Row:
    """Do what the plan says, and count. Several gateways have a database in `cluster`."""
    with tempfile.TemporaryDirectory(prefix="holdfast-chaos-") as name:
        folder, ports = Path(name), [programs.free_ports() for _ in range(plan.nodes)]
        database = Database(cluster, await cluster.new_database()) if cluster is not None else None
        typists = [Typist(f"c{number}") for number in range(plan.clients)]
        finished, stopped = asyncio.Event(), asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            stage = Stage(folder, plan, ports, tasks, database)
            try:
                await stage.open()
                ways = await _ways(plan, ports, tasks, stopped)
                listeners = [Listener(ways[number % len(ways)]) for number in range(plan.listeners)]
                urls = [f"ws://127.0.0.1:{each.web}/" for each in ports]
                working = [
                    tasks.create_task(typist.work(urls, plan.commands_per_second, finished))
                    for typist in typists
                ]
                for listener in listeners:
                    tasks.create_task(listener.work(stopped))
                await _begun(typists)
                for _ in range(plan.kills):
                    await asyncio.sleep(random.uniform(0.5, 1.5) * plan.pause_seconds)
                    await stage.strike()
                    if plan.target == "poison":
                        await _take_poison(urls[0])
                await asyncio.sleep(1.0)
                finished.set()
                await asyncio.wait(working)
                ended = stage.nodes_ended
            finally:
                finished.set()
                stopped.set()
                with suppress(ProcessLookupError):
                    await stage.close()
        row = _count(plan, folder / "ledger.db", typists, listeners)
        row["nodes ended"] = ended
        return row | (_resumed(stage, typists) if plan.target == "node" else {})


async def _begun(typists: Sequence[Typist]) -> None:
    """Wait until everybody has had an answer."""
    async with asyncio.timeout(_BEGIN_SECONDS_MAX):
        while not all(typist.answered for typist in typists):  # noqa: ASYNC110 - no event for it
            await asyncio.sleep(0.05)


async def _ways(
    plan: Plan, ports: Sequence[Ports], tasks: asyncio.TaskGroup, stopped: asyncio.Event
) -> list[Way]:
    """How people at lines get to the gateway: straight, or through TLS and through a relay."""
    if plan.target != "replay":
        return [Way([each.lines for each in ports])]
    (only,) = ports
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    relay = await asyncio.start_server(
        lambda reader, writer: _relay(reader, writer, only.lines), "127.0.0.1", 0
    )

    async def close_relay() -> None:
        await stopped.wait()
        relay.close()

    tasks.create_task(close_relay())
    port = relay.sockets[0].getsockname()[1]
    plain = [Way([at], cuts=True) for at in (port, only.lines)]
    return [Way([only.tls], context, cuts=True), *plain]


async def _relay(near: asyncio.StreamReader, back: asyncio.StreamWriter, port: int) -> None:
    """Pass bytes on, both ways, until either side ends."""

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(4096):
                writer.write(data)
                await writer.drain()
        writer.close()

    try:
        far, there = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        back.close()
        return
    async with asyncio.TaskGroup() as both:
        both.create_task(pass_on(near, there))
        both.create_task(pass_on(far, back))


async def _take_poison(url: str) -> None:
    """Somebody's command ends the application, again and again until it is set aside."""
    async with connect(url) as client:
        client.command(POISON)
        async for event in client:
            if isinstance(event, Notice) and event.d == SET_ASIDE.text:
                return


# --- the counts


def _count(
    plan: Plan, ledger: Path, typists: Sequence[Typist], listeners: Sequence[Listener]
) -> Row:
    effects: defaultdict[str, list[tuple[str, int]]] = defaultdict(list)
    with closing(sqlite3.connect(ledger)) as database:
        for sid, what in database.execute("SELECT sid, what FROM effect ORDER BY rowid"):
            name, _, number = what.rpartition("-")
            effects[name].append((sid, int(number)))
    lost = told = twice = disorder = shown_twice = missing = 0
    notes: list[str] = []
    for typist in typists:
        done = effects[typist.name]
        undone = set(range(1, len(typist.typed) + 1)) - {number for _, number in done}
        untold = {number for number in undone if number > typist.told_upto}
        if untold:
            notes.append(f"{typist.name} ({typist.sid}): not done: {ranges(untold)}")
        if typist.unanswered:
            unanswered = {int(text.rpartition("-")[2]) for text in typist.unanswered}
            notes.append(f"{typist.name} ({typist.sid}): not answered: {ranges(unanswered)}")
        if typist.stuck:
            notes.append(f"{typist.name} ({typist.sid}): stuck: {typist.stuck}")
        lost += len(untold)
        told += len(undone) - len(untold)
        twice += len(done) - len({number for _, number in done})
        disorder += any(_out_of_order(done, sid) for sid in {sid for sid, _ in done})
        answers = [text for text in typist.shown if text.startswith("did ")]
        shown_twice += len(answers) - len(set(answers))
        missing += len(typist.unanswered)
    show(notes)
    return {
        "struck": plan.target,
        "durability": plan.durability,
        "kills": plan.kills,
        "clients": plan.clients,
        "commands": sum(len(typist.typed) for typist in typists),
        "lost": lost,
        "lost and told": told,
        "twice": twice,
        "out of order": disorder,
        "stuck": sum(bool(typist.stuck) for typist in typists),
        "resets told": _told(sum((typist.resets for typist in typists), Counter())),
        "answers missing": missing,
        "answers twice": shown_twice,
        "notices a client": round(sum(t.notices for t in typists) / max(1, len(typists)), 2),
        "listeners cut": sum(listener.cuts for listener in listeners),
        "codes refused": sum(listener.refused for listener in listeners),
        "ticks heard": sum(listener.ticks for listener in listeners),
        "ticks missed": sum(listener.missed for listener in listeners),
        "ticks repeated": sum(listener.repeated for listener in listeners),
    }


def _resumed(stage: Stage, typists: Sequence[Typist]) -> Row:
    """How long clients of killed gateways waited for their sessions, and what ended otherwise."""
    times = [kill.at for kill in stage.kills]
    waited: dict[bool, list[float]] = {True: [], False: []}
    for typist in typists:
        for outage in typist.outages:
            last = bisect_right(times, outage.began) - 1
            waited[last < 0 or stage.kills[last].seen].append(outage.seconds)
    row: Row = {"ended unkilled": stage.restarts - len(stage.kills)}
    for seen, seconds in waited.items():
        name = "end seen" if seen else "lease"
        seconds.sort()
        row[f"{name}: resumed"] = len(seconds)
        for share in (50, 99, 100):
            at = max(0, -(-len(seconds) * share // 100) - 1)
            row[f"{name}: {share} % s"] = round(seconds[at], 2) if seconds else 0.0
    return row


def _out_of_order(done: Sequence[tuple[str, int]], sid: str) -> bool:
    numbers = [number for at, number in done if at == sid]
    return numbers != sorted(numbers)


def _told(resets: Counter[str]) -> str | int:
    return ", ".join(f"{count} {reason}" for reason, count in resets.items()) or 0


def broken(row: Row) -> list[str]:
    """Which promises the counts of a run break.

    In every run, whatever is struck: each command that was typed is done once and in order, and
    its answer is shown once; each tick between two of one run of the application is shown to
    everybody who listens. The exceptions are told, never silent:

    - A gateway without a store (`memory`) forgets its sessions. Each client is told that its
      session is gone, and which commands may be lost with it.
    - `fast` shows before it writes. A client of a gateway that was killed may be told to begin
      afresh: answers to what it typed before may be missing.
    - People at lines cannot acknowledge. They may be told that lines are missing, that they may
      have seen a line before, or, except with `durable`, that their code is not known.

    - A broadcast does not reach a session that is between two nodes, nor one of a killed node
      before another one has it; and it is said at each node: a session that moves between these
      two gets it twice.

    Gateways whose database was away all run afterwards: none has taken another one for dead.

    What the application has not said before it died is not promised: it keeps each answer with
    its command's effect, and says it again when the command comes again.
    """
    must_be_none = [
        "lost",
        "twice",
        "out of order",
        "stuck",
        "answers missing",
        "answers twice",
        "ticks missed",
        "ticks repeated",
    ]
    if row["struck"] == "database":
        must_be_none.append("nodes ended")
    if row["struck"] in ("node", "rolling"):
        must_be_none.remove("ticks missed")
        must_be_none.remove("ticks repeated")
    if row["durability"] != "memory":
        must_be_none += ["lost and told"]
    if row["durability"] == "durable" or row["struck"] not in ("gateway", "node", "database"):
        must_be_none += ["resets told", "codes refused"]
    return [name for name in must_be_none if row[name]]
