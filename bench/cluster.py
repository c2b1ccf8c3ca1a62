"""Gateways on one PostgreSQL database: round trips beside SQLite, commits, moves, and a dead one.

The stores take turns within each round. The gateways of a cluster have one core together.
"""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from tests import postgresql
from tests.postgresql import Cluster
from tests.sessions.stores.test_postgres import row as stored_row
from tests.sessions.stores.test_postgres import said

from bench import gateway, harness
from bench.harness import PYTHON, Row
from bench.sessions import Person, Programs, all_do
from holdfast.core.limits import StoreLimits
from holdfast.net.runtime.loop import allow_files
from holdfast.sessions.records import Batch
from holdfast.sessions.stores.base import Store
from holdfast.sessions.stores.postgres.store import PostgresStore
from holdfast.sessions.stores.sqlite import SQLiteStore

SHAPES = ((100, 1), (100, 16))
COMMITS = 500
FILLED_AT_ONCE = 500
_RETRY_SECONDS = 0.2
_FILL = "--fill"
"""The first argument of the process whose sessions are taken."""


# --- the store alone


async def commits(cluster: Cluster, folder: Path) -> list[Row]:
    """Group commits of one session, one after the other: what a single client waits for."""
    rows: list[Row] = []
    for sync in (False, True):
        stores: dict[str, Store] = {
            "sqlite": SQLiteStore(folder / f"{sync}.db", StoreLimits()),
            "postgresql": PostgresStore(
                cluster.url(await cluster.new_database()), StoreLimits(), node="a"
            ),
        }
        for name, store in stores.items():
            await store.open()
            began = time.monotonic()
            for number in range(1, COMMITS + 1):
                await store.commit(said(number, "s", number, "x" * 64, sync=sync))
            seconds = time.monotonic() - began
            await store.close(clean=True)
            mode = "durable" if sync else "fast"
            rows.append(
                {
                    "mode": mode,
                    "store": name,
                    "commits/s": round(COMMITS / seconds),
                    "ms each": round(1e3 * seconds / COMMITS, 3),
                }
            )
    return rows


async def fill(url: str, count: int) -> None:
    """Be a gateway with so many sessions, whose newest records are in its journal, until killed."""
    store = PostgresStore(url, StoreLimits(), node="filler")
    await store.open()
    number = 0
    for start in range(0, count, FILLED_AT_ONCE):
        sids = [f"s{each}" for each in range(start, min(count, start + FILLED_AT_ONCE))]
        for n in (1, 2):
            number += 1
            batch = Batch(number, rows=[stored_row(sid) for sid in sids] if n == 1 else [])
            batch.records = [(sid, said(number, sid, n, "x" * 64).records[0][1]) for sid in sids]
            await store.commit(batch)
            await store.beat()
    print("filled", flush=True)
    while True:
        await store.beat()
        await asyncio.sleep(1.0)


# --- several gateways


@asynccontextmanager
async def nodes(cluster: Cluster, count: int, *, linked: bool) -> AsyncIterator[list[Programs]]:
    """Gateways on a database of their own; `linked`: with an application."""
    url = cluster.url(await cluster.new_database())
    async with AsyncExitStack() as stack:
        made: list[Programs] = []
        for number in range(count):
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="holdfast-bench-"))
            node = Programs(Path(folder), f"node{number}", url)
            await node.start_gateway()
            stack.callback(node.stop_gateway)
            made.append(node)
        if linked:
            made[0].start_application()
            stack.callback(made[0].stop_application)
            for node in made:
                await node.until("holdfast_link_applications", 1)
        yield made


async def recovery(cluster: Cluster, count: int) -> Row:
    """A gateway is killed: until another one has its sessions."""
    async with nodes(cluster, 1, linked=False) as (heir,):
        command = [PYTHON, "-m", "bench.cluster", _FILL, heir.store, str(count)]
        victim = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
        assert victim.stdout is not None
        assert await victim.stdout.readline()
        used = harness.cpu_seconds(heir.gateway.pid)
        victim.kill()
        began = time.monotonic()
        await victim.wait()
        await heir.until("holdfast_sessions_adopted_total", count)
        seconds = time.monotonic() - began
        used = harness.cpu_seconds(heir.gateway.pid) - used
    return {
        "sessions": count,
        "seconds": round(seconds, 2),
        "CPU s of the gateway": round(used, 2),
        "CPU µs each": round(1e6 * used / count, 1),
    }


async def moves_and_a_kill(cluster: Cluster, count: int) -> list[Row]:
    """All clients go from one gateway to the other, which is killed then: they come back."""
    people = [Person(f"user{number}") for number in range(count)]
    async with nodes(cluster, 2, linked=True) as (first, second):
        await all_do(people, lambda one: one.connect(first.port))
        await all_do(people, lambda one: one.log_in())
        used = harness.cpu_seconds(first.gateway.pid) + harness.cpu_seconds(second.gateway.pid)
        began = time.monotonic()
        await all_do(people, lambda one: one.connect(second.port))
        seconds = time.monotonic() - began
        used = (
            harness.cpu_seconds(first.gateway.pid) + harness.cpu_seconds(second.gateway.pid) - used
        )
        moved = {
            "clients": count,
            "what": "all come to the other gateway",
            "seconds": round(seconds, 2),
            "a second": round(count / seconds),
            "CPU µs each": round(1e6 * used / count, 1),
        }
        second.gateway.kill()
        times = await resumed(people, first)
    shares = {f"{share} % s": times[max(0, count * share // 100 - 1)] for share in (50, 99, 100)}
    return [moved, {"clients": count, "what": "their gateway is killed", **shares}]


async def resumed(people: Sequence[Person], node: Programs) -> list[float]:
    """Until each has its session at this gateway, in seconds, sorted."""
    began = time.monotonic()
    times: list[float] = []

    async def come(person: Person) -> None:
        await asyncio.sleep(random.uniform(0.0, _RETRY_SECONDS))
        while True:
            try:
                await person.connect(node.port)
            except (OSError, asyncio.IncompleteReadError):
                await asyncio.sleep(_RETRY_SECONDS)
            else:
                times.append(round(time.monotonic() - began, 2))
                return

    await all_do(people, come)
    return sorted(times)


def main(arguments: Sequence[str]) -> int:
    parser = harness.parser(__doc__)
    parser.add_argument("--clients", type=int, default=2_000, help="that move, and lose theirs")
    parser.add_argument("--sessions", type=int, action="append", help="of a dead gateway")
    parser.add_argument("--only", choices=["trips", "commits", "moves", "recovery"])
    options = parser.parse_args(arguments)
    allow_files()

    def wanted(name: str) -> bool:
        return options.only in (None, name)

    with (
        postgresql.running(**postgresql.REAL) as cluster,
        tempfile.TemporaryDirectory(prefix="holdfast-bench-") as folder,
    ):
        if wanted("trips"):
            rows = gateway.compare_stores(cluster, SHAPES, options)
            harness.show("The whole way by store, 64 B", rows, as_json=options.json)
        if wanted("commits"):
            rows = asyncio.run(commits(cluster, Path(folder)))
            harness.show("Group commits of one session", rows, as_json=options.json)
        if wanted("moves"):
            rows = asyncio.run(moves_and_a_kill(cluster, options.clients))
            harness.show("Two gateways", rows, as_json=options.json)
        if wanted("recovery"):
            counts = options.sessions or (1_000, 20_000)
            rows = [asyncio.run(recovery(cluster, count)) for count in counts]
            harness.show("Sessions of a killed gateway", rows, as_json=options.json)
    return 0


if __name__ == "__main__" and sys.argv[1:2] == [_FILL]:
    asyncio.run(fill(sys.argv[2], int(sys.argv[3])))
