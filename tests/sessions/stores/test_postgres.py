"""The store in PostgreSQL: runs beside each other, outages, and databases that it refuses."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final

import asyncpg
import pytest
import pytest_asyncio
import structlog
import trustme
from tests.ports import free_port
from tests.postgresql import Cluster, pooled, standby

from holdfast.core.items import Text
from holdfast.core.limits import StoreLimits
from holdfast.sessions.outbox import OutputEntry
from holdfast.sessions.records import Batch, Record, Row, Stored
from holdfast.sessions.stores.base import (
    StoreAccessError,
    StoreBrokenError,
    StoreBusyError,
    StoreError,
    StoreFencedError,
    StoreReadOnlyError,
    StoreTruncatedError,
    StoreVersionError,
)
from holdfast.sessions.stores.postgres import runs
from holdfast.sessions.stores.postgres.connection import Connection
from holdfast.sessions.stores.postgres.process import Process
from holdfast.sessions.stores.postgres.schema import SCHEMA_VERSION
from holdfast.sessions.stores.postgres.store import PostgresStore

SECONDS: Final = 60.0
LIMITS: Final = StoreLimits(
    beat_seconds_max=0.05, lease_seconds_max=0.3, busy_seconds_max=SECONDS, answer_seconds_max=60.0
)
HASTY: Final = StoreLimits(busy_seconds_max=0.1)
OLDEST: Final = "SELECT min(inc) AS inc FROM holdfast.node"


def row(sid: str, user: str = "") -> Row:
    return Row(sid=sid, epoch="e", durability="fast", created=1.0, user=user)


def record(n: int, text: str) -> Record:
    return Record(
        n=n,
        outs=[OutputEntry(Text(text), 1.0, "", 40)],
        ins=(),
        base=0,
        acked=0,
        maybe_delivered=0,
        top=n,
        applied=0,
        cin=0,
        offset=0,
    )


def said(number: int, sid: str, n: int, text: str, *, sync: bool = False) -> Batch:
    """A commit of one output."""
    rows = [row(sid)] if n == 1 else []
    return Batch(number, rows=rows, records=[(sid, record(n, text))], sync=sync)


class Database:
    """One database of the cluster, and the stores that a test opens in it."""

    def __init__(self, cluster: Cluster, name: str, closing: AsyncExitStack) -> None:
        self.cluster = cluster
        self.name = name
        self._closing = closing

    def store(self, node: str = "a", *, url: str = "", **options: Any) -> PostgresStore:
        store = PostgresStore(
            url or self.cluster.url(self.name), options.pop("limits", LIMITS), node=node, **options
        )

        async def close() -> None:
            await store.close(clean=False)

        self._closing.push_async_callback(close)
        return store

    async def opened(self, node: str = "a") -> PostgresStore:
        store = self.store(node)
        await store.open()
        return store

    async def run(self, *statements: str) -> list[Any]:
        return await self.cluster.run(self.name, *statements)

    async def elsewhere(self, node: str) -> None:
        """Let a node be one of another machine, whose processes cannot be seen."""
        await self.run(f"UPDATE holdfast.node SET host = 'elsewhere' WHERE name = '{node}'")


@pytest_asyncio.fixture
async def database(postgresql: Cluster) -> AsyncIterator[Database]:
    name = await postgresql.empty_database()
    async with AsyncExitStack() as closing:
        yield Database(postgresql, name, closing)
    await postgresql.give_back(name)


@pytest_asyncio.fixture
async def own_database(postgresql: Cluster) -> AsyncIterator[Database]:
    """A database that no other test gets, because this one changes it."""
    async with AsyncExitStack() as closing:
        yield Database(postgresql, await postgresql.new_database(), closing)


async def given(owner: PostgresStore, asker: PostgresStore, sids: list[str]) -> list[str]:
    """Let a run ask another one for sessions, which gives them. Returns those that it gave."""
    await asker.neighbours.ask(dict.fromkeys(sids, 0))
    ((run, asked),) = (await owner.neighbours.asked(100)).items()
    assert set(asked) <= set(sids)
    return await owner.neighbours.give(sids, run)


async def recover_all(store: PostgresStore) -> None:
    """Fold all of the earlier runs' journals."""
    while (await store.recover(1)).left:
        pass


async def texts(store: PostgresStore, sid: str) -> list[str]:
    """What is kept of a session's output."""
    found = await store.find([sid])
    return [
        entry.item.text  # type: ignore[union-attr]
        for session in found.sessions
        for each in session.records
        for entry in each.outs
    ]


# --- a commit whose outcome is unknown


async def waiting_for_lock(database: Database, *, but: int = 0) -> int:
    """Wait until a server process waits for a lock. Returns its id."""
    query = f"""
        SELECT pid FROM pg_stat_activity
        WHERE datname = '{database.name}' AND wait_event_type = 'Lock' AND pid <> {but}
    """
    async with asyncio.timeout(SECONDS):
        while not (found := await database.run(query)):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    return int(found[0]["pid"])


@pytest.mark.parametrize("how", ["server", "client"])
async def test_a_commit_whose_connection_broke_is_stored_once(database: Database, how: str) -> None:
    store = await database.opened()
    await store.commit(said(1, "s1", 1, "a"))
    other = await asyncpg.connect(database.cluster.url(database.name))
    try:
        async with asyncio.TaskGroup() as tasks, other.transaction():
            await other.fetch("SELECT * FROM holdfast.node FOR UPDATE")
            committing = tasks.create_task(store.commit(said(2, "s1", 2, "b")))
            pid = await waiting_for_lock(database)
            if how == "server":
                await database.run(f"SELECT pg_terminate_backend({pid})")
            else:  # the server goes on with a call whose answer nobody waits for
                store._writer._db.terminate()
            await waiting_for_lock(database, but=pid)
        assert committing.done()
    finally:
        await other.close()
    await store.commit(said(3, "s1", 3, "c"))
    await store.close(clean=False)
    assert await texts(await database.opened(), "s1") == ["a", "b", "c"]


async def test_a_commit_that_a_later_one_has_overtaken_is_not_written(database: Database) -> None:
    store = await database.opened()
    await store.commit(Batch(2, rows=[row("s1", "new")]))
    assert await store.commit(Batch(1, rows=[row("s1", "old")])) == 0
    assert (await store.find(["s1"])).sessions[0].row.user == "new"


async def test_a_restart_of_the_server_is_waited_for(database: Database) -> None:
    store = await database.opened()
    await store.commit(said(1, "s1", 1, "a", sync=True))
    database.cluster.stop(signal.SIGQUIT)
    async with asyncio.TaskGroup() as tasks:
        committing = tasks.create_task(store.commit(said(2, "s1", 2, "b", sync=True)))
        finding = tasks.create_task(store.find(["s1"]))
        await asyncio.sleep(0)
        await asyncio.to_thread(database.cluster.start)
    assert committing.result() > 0
    assert [each.row.sid for each in finding.result().sessions] == ["s1"]
    await store.beat()


async def test_commits_that_a_crash_of_the_server_has_lost_are_sent_again(
    database: Database,
) -> None:
    store = await database.opened()
    await store.commit(said(1, "s1", 1, "a", sync=True))
    await store.commit(said(2, "s1", 2, "b"))
    await store.commit(said(3, "s2", 1, "c"))
    await database.run(
        "DELETE FROM holdfast.journal WHERE number > 1",
        "DELETE FROM holdfast.session WHERE sid = 's2'",
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        f" WHERE datname = '{database.name}' AND pid <> pg_backend_pid()",
    )
    with structlog.testing.capture_logs() as logs:
        await store.commit(said(4, "s1", 3, "d"))
    assert [(log["event"], log["count"]) for log in logs] == [
        ("the database has lost commits, which are sent again", 2)
    ]
    await store.close(clean=False)
    store = await database.opened()
    assert (await texts(store, "s1"), await texts(store, "s2")) == (["a", "b", "d"], ["c"])


async def test_a_server_that_has_lost_commits_for_good_gets_everything_again(
    database: Database,
) -> None:
    """It is a standby that has taken over, say, and has an earlier owner of a session."""
    store, other = await database.opened(), await database.opened("b")
    for number, text in enumerate("abc", 1):
        await store.commit(said(number, "s1", number, text, sync=True))
    await database.run(
        "DELETE FROM holdfast.journal WHERE number > 1",
        f"UPDATE holdfast.session SET owner = {other.neighbours.run}",
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        f" WHERE datname = '{database.name}' AND pid <> pg_backend_pid()",
    )
    words = "it has lost commits: expected those up to 3, found those up to 1"
    with pytest.raises(StoreTruncatedError, match=words):
        await store.commit(said(4, "s1", 4, "d"))
    whole = said(4, "s1", 4, "d", sync=True)
    whole.whole, whole.rows = True, [row("s1")]
    kept = record(4, "a")
    kept.outs = [OutputEntry(Text(text), 1.0, "", 40) for text in "abcd"]
    whole.snapshots = [("s1", kept)]
    assert await store.commit(whole) > 0
    assert await store.commit(said(5, "s1", 5, "e")) > 0
    await store.close(clean=False)
    await other.close(clean=False)
    store = await database.opened()
    assert sorted(await texts(store, "s1")) == ["a", "b", "c", "d", "e"]


async def test_a_run_that_was_fenced_has_lost_no_commits(database: Database) -> None:
    store = await database.opened()
    await store.commit(said(1, "s1", 1, "a", sync=True))
    await database.run(
        "DELETE FROM holdfast.journal",
        "UPDATE holdfast.node SET fenced = true",
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        f" WHERE datname = '{database.name}' AND pid <> pg_backend_pid()",
    )
    with pytest.raises(StoreFencedError):
        await store.commit(said(2, "s1", 2, "b"))


async def test_a_real_crash_of_the_server_loses_no_commit(database: Database) -> None:
    cluster = database.cluster
    cluster.stop(signal.SIGQUIT)
    cluster.start(wal_writer_delay="10s")
    store = await database.opened()
    for number in range(1, 50):
        await store.commit(said(number, "s1", number, str(number)))
    cluster.stop(signal.SIGQUIT)
    cluster.start()
    await store.commit(said(50, "s1", 50, "50"))
    await store.close(clean=False)
    assert await texts(await database.opened(), "s1") == [str(n) for n in range(1, 51)]


async def test_commits_that_are_on_the_disk_are_not_kept(database: Database) -> None:
    store = await database.opened()
    await store.commit(said(1, "s1", 1, "a"))
    await store.commit(said(2, "s1", 2, "b"))
    assert len(store._unflushed) == 2
    async with asyncio.timeout(SECONDS):
        while len(store._unflushed):
            await store.beat()
            await asyncio.sleep(0.01)
    await store.commit(said(3, "s1", 3, "c"))
    await store.commit(said(4, "s1", 4, "d", sync=True))
    assert len(store._unflushed) == 0


async def test_a_server_that_stays_away_is_an_error_that_may_pass(postgresql: Cluster) -> None:
    limits = StoreLimits(busy_seconds_max=0.01)
    url = f"postgresql://holdfast@127.0.0.1:{free_port()}/chat"
    with pytest.raises(StoreBusyError, match=r"/chat: cannot be reached: ") as caught:
        await PostgresStore(url, limits, node="a").open()
    assert caught.value.retryable


@pytest.mark.parametrize("what", ["fetch", "transaction", "commit"])
async def test_a_server_that_answers_nothing_is_given_up(database: Database, what: str) -> None:
    limits = StoreLimits(busy_seconds_max=0.01, answer_seconds_max=0.3)
    store = database.store(limits=StoreLimits(busy_seconds_max=0.01))
    await store.open()
    for connection in (store._reader, store._writer):
        connection._limits = limits  # once it is open, which may take longer here
    processes = [store._reader._db.get_server_pid(), store._writer._db.get_server_pid()]
    asking: dict[str, Callable[[], Awaitable[object]]] = {
        "fetch": lambda: store.find(["s1"]),
        "transaction": lambda: store.claim(["s1"]),
        "commit": lambda: store.commit(said(1, "s1", 1, "a")),
    }
    with database.cluster.stopped(processes):
        async with asyncio.timeout(SECONDS):
            with pytest.raises(StoreBusyError, match="no answer in time"):
                await asking[what]()
    for connection in (store._reader, store._writer):
        connection._limits = LIMITS
    await store.commit(said(1, "s1", 1, "a"))
    assert await store.claim(["s1"]) == ["s1"]


# --- several runs


async def test_a_run_of_another_machine_is_fenced_after_its_lease(database: Database) -> None:
    first = await database.opened("a")
    await first.commit(said(1, "s1", 1, "a"))
    await database.elsewhere("a")
    second = database.store("a")
    stored = await second.open()
    assert not stored.clean
    assert [head.sid for head in stored.heads] == ["s1"]
    assert await texts(second, "s1") == ["a"]
    with pytest.raises(StoreFencedError):
        await first.beat()
    with pytest.raises(StoreFencedError, match="another run has taken the sessions of 'a'"):
        await first.commit(said(2, "s1", 2, "b"))
    given = first.neighbours.give(["s1"], 0)
    for refused in (first.check(), first.claim(["s1"]), first.recover(1), given):
        with pytest.raises(StoreFencedError):
            await refused
    assert await texts(second, "s1") == ["a"]


async def test_a_run_that_gives_signs_of_life_is_not_fenced(database: Database) -> None:
    first = await database.opened("a")
    await first.commit(said(1, "s1", 1, "a"))
    await database.elsewhere("a")
    ended = asyncio.Event()

    async def beat() -> None:
        while not ended.is_set():
            await first.beat()
            await asyncio.sleep(LIMITS.beat_seconds_max / 10)

    patient = StoreLimits(beat_seconds_max=0.05, lease_seconds_max=3600.0)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(beat())
        with pytest.raises(StoreBusyError, match="another gateway has the name 'a'"):
            await database.store("a", limits=patient).open()
        stored = await database.store("b", limits=patient).open()
        ended.set()
    assert stored == Stored(clean=True)
    assert await first.commit(said(2, "s1", 2, "b")) > 0


async def test_a_run_that_waits_for_a_lease_is_not_fenced_itself(database: Database) -> None:
    await database.opened("a")
    await database.elsewhere("a")
    patient = StoreLimits(beat_seconds_max=0.05, lease_seconds_max=3600.0)
    beats: set[int] = set()
    async with asyncio.timeout(SECONDS), asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(database.store("b", limits=patient).open())
        while len(beats) < 3:
            rows = await database.run("SELECT beat FROM holdfast.node WHERE name = 'b'")
            beats |= {each["beat"] for each in rows}
        waiting.cancel()


async def test_a_run_that_reads_for_longer_than_the_lease_is_not_fenced(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another one has seen its beat, and waits for its transaction, which has a newer one."""
    await (await database.opened("a")).close(clean=True)
    first = database.store("a")
    other = await asyncpg.connect(database.cluster.url(database.name))
    try:
        async with asyncio.TaskGroup() as tasks, other.transaction():
            await other.execute("LOCK TABLE holdfast.setting")
            with monkeypatch.context() as patch:  # a process that cannot be seen
                patch.setattr(Process, "own", lambda: Process("elsewhere", "1"))
                opening = tasks.create_task(first.open())
                await waiting_for_lock(database)
            tried, fence = asyncio.Event(), runs._fence

            async def try_to_fence(db: Connection, run: Any) -> bool:
                fenced = await fence(db, run)
                tried.set()
                return fenced

            monkeypatch.setattr(runs, "_fence", try_to_fence)
            second = tasks.create_task(database.store("b").open())
            async with asyncio.timeout(SECONDS):
                await tried.wait()
            assert not second.done()
        assert opening.done()
        assert second.done()
    finally:
        await other.close()
    await first.beat()


async def test_a_second_gateway_of_the_same_name_is_refused(database: Database) -> None:
    first = await database.opened("a")
    words = rf"another gateway has the name 'a' and uses it \(process {os.getpid()}\); expected"
    with pytest.raises(StoreBusyError, match=words):
        await database.store("a").open()
    await first.commit(said(1, "s1", 1, "a"))
    await first.beat()


async def test_the_end_of_a_process_of_this_machine_is_seen_at_once(database: Database) -> None:
    process = await asyncio.create_subprocess_exec("true")
    await process.wait()
    first = await database.opened("a")
    await first.commit(said(1, "s1", 1, "a"))
    await database.run(f"UPDATE holdfast.node SET process = '{process.pid} 1'")
    never = StoreLimits(lease_seconds_max=3600.0)
    stored = await database.store("a", limits=never).open()
    assert [head.sid for head in stored.heads] == ["s1"]


async def test_two_nodes_keep_their_sessions_apart_and_move_them(database: Database) -> None:
    first, second = await database.opened("a"), await database.opened("b")
    await first.commit(said(1, "s1", 1, "a"))
    await second.commit(said(1, "s2", 1, "b"))
    assert await first.claim(["s1", "s2"]) == ["s1"]
    assert [session.row.sid for session in (await second.take(["s1", "s2"])).sessions] == ["s2"]
    assert (await first.find(["s2"])).sessions[0].row.sid == "s2"
    await first.commit(Batch(2, snapshots=[("s1", record(1, "a"))]))
    assert await given(first, second, ["s1", "s2"]) == ["s1"]
    assert await first.claim(["s1"]) == []
    await first.commit(Batch(3, rows=[row("s1", "old")], deleted=["s1"]))
    assert await texts(second, "s1") == ["a"]
    await second.commit(Batch(2, rows=[row("s1", "new")], records=[("s1", record(2, "c"))]))
    assert (await second.find(["s1"])).sessions[0].row.user == "new"
    gens = await database.run("SELECT gen FROM holdfast.session ORDER BY sid")
    assert [each["gen"] for each in gens] == [2, 1]


async def test_a_session_that_is_not_loaded_moves_with_its_journal(database: Database) -> None:
    before = await database.opened("a")
    await before.commit(said(1, "s1", 1, "a"))
    await before.close(clean=False)
    first, second = await database.opened("a"), await database.opened("b")
    assert await given(first, second, ["s1"]) == ["s1"]
    assert await texts(second, "s1") == ["a"]


async def test_a_run_adopts_what_a_dead_adopter_had_begun(database: Database) -> None:
    """The entries are older than those of the adopter, whose run began earlier."""
    first, second = await database.opened("a"), await database.opened("b")
    for sid in ("s1", "s2"):
        await second.commit(said(1 + (sid == "s2"), sid, 1, f"1 {sid}"))
    await second.close(clean=False)
    # The run that began first goes on with a session of the one that began later.
    (inc,) = [each["inc"] for each in await database.run(OLDEST)]
    await database.run(
        f"UPDATE holdfast.node SET adopter = {inc} WHERE inc <> {inc}",
        f"UPDATE holdfast.session SET owner = {inc}",
    )
    await first.commit(Batch(1, records=[("s1", record(2, "2 s1"))]))
    await first.close(clean=True)
    third = database.store("c")
    stored = await third.open()
    assert stored.clean  # what was not, the adopter has seen
    assert await texts(third, "s1") == ["1 s1", "2 s1"]
    assert await texts(third, "s2") == ["1 s2"]
    await recover_all(third)
    assert await texts(third, "s1") == ["1 s1", "2 s1"]
    assert await database.run("SELECT 1 FROM holdfast.journal") == []


async def test_old_runs_are_forgotten_with_what_they_have_heard(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs, "ENDED_RUNS_MAX", 2)
    for number in range(4):
        store = await database.opened()
        await store.commit(Batch(1, accepted={"app/x": number}))
        await store.close(clean=True)
        store = await database.opened()
        await recover_all(store)
        await store.close(clean=True)
    await database.opened()
    assert len(await database.run("SELECT 1 FROM holdfast.node")) == 3
    heard = await database.run("SELECT number FROM holdfast.heard")
    assert [each["number"] for each in heard] == [3, 3, 3]


async def test_two_that_start_at_once_make_the_tables_once(database: Database) -> None:
    stores = [database.store(name) for name in "abcd"]
    async with asyncio.TaskGroup() as tasks:
        opening = [tasks.create_task(store.open()) for store in stores]
    assert [each.result() for each in opening] == [Stored(clean=True)] * 4


async def test_a_text_with_a_zero_byte_is_stored(database: Database) -> None:
    store = await database.opened()
    await store.commit(Batch(1, rows=[row("s1", "a\0b")]))
    assert (await store.find(["s1"])).sessions[0].row.user == "a\0b"


async def test_a_session_that_cannot_be_read_is_set_aside(database: Database) -> None:
    store = await database.opened()
    await store.commit(Batch(1, rows=[row("s1"), row("s2")]))
    await store.commit(Batch(2, snapshots=[("s1", record(1, "a"))]))
    await store.close(clean=True)
    await database.run("UPDATE holdfast.session SET body = 'x' WHERE sid = 's1'")
    store = database.store()
    stored = await store.open()
    assert [head.sid for head in stored.heads] == ["s2"]
    assert [aside.sid for aside in stored.set_aside] == ["s1", "s1"]
    await store.commit(Batch(3, set_aside=stored.set_aside, deleted=["s1", "s1"]))
    kept = await database.run("SELECT sid, body FROM holdfast.set_aside ORDER BY number")
    assert [each["sid"] for each in kept] == ["s1", "s1"]
    assert await database.run("SELECT 1 FROM holdfast.snapshot") == []


async def test_a_damaged_entry_of_the_journal_is_set_aside(database: Database) -> None:
    store = await database.opened()
    await store.commit(said(1, "s1", 1, "a"))
    await store.commit(said(2, "s1", 2, "b"))
    await store.close(clean=True)
    await database.run("UPDATE holdfast.journal SET body = 'x' WHERE number = 1")
    store = database.store()
    stored = await store.open()
    assert not stored.clean
    assert await texts(store, "s1") == ["b"]
    await store.commit(Batch(3, set_aside=stored.set_aside))
    entries = await database.run("SELECT number FROM holdfast.journal ORDER BY number")
    assert [each["number"] for each in entries] == [2, 3]


# --- what is between


@pytest.mark.parametrize("mode", ["session", "transaction"])
async def test_it_works_through_pgbouncer(database: Database, mode: str) -> None:
    with pooled(database.cluster, mode) as port:
        url = f"postgresql://holdfast@127.0.0.1:{port}/{database.name}"
        stores = [database.store(node, url=url) for node in "abc"]
        async with asyncio.TaskGroup() as tasks:  # more connections than server processes
            opening = [tasks.create_task(store.open()) for store in stores]
        assert [each.result() for each in opening] == [Stored(clean=True)] * 3
        for store in stores:
            await store.close(clean=True)
        store = database.store("d", url=url)
        await store.open()
        for number in range(1, 8):
            assert await store.commit(said(number, "s1", number, str(number))) > 0
            await store.beat()
            assert [each.row.sid for each in (await store.take(["s1"])).sessions] == ["s1"]
        await store.close(clean=True)
        store = database.store("d", url=url)
        stored = await store.open()
        assert (stored.clean, stored.number) == (True, 7)
        assert len(await texts(store, "s1")) == 7
        await recover_all(store)
        await store.close(clean=True)


async def test_pgbouncer_that_pools_statements_is_refused(database: Database) -> None:
    with pooled(database.cluster, "statement") as port:
        url = f"postgresql://holdfast@127.0.0.1:{port}/{database.name}"
        words = ".*transaction blocks not allowed in statement pooling mode"
        await refused(database, StoreError, words, url=url, limits=HASTY)


@pytest.fixture
def with_tls(postgresql: Cluster) -> Iterator[trustme.CA]:
    """The server has a certificate for `db.example.org`, of this authority."""
    authority = trustme.CA()
    made = authority.issue_cert("db.example.org")
    key = postgresql.write("server.key", made.private_key_pem.bytes())
    chain = b"".join(each.bytes() for each in made.cert_chain_pems)
    cert = postgresql.write("server.pem", chain)
    postgresql.stop()
    postgresql.start(ssl="on", ssl_cert_file=str(cert), ssl_key_file=str(key))
    yield authority
    postgresql.stop()
    postgresql.start()


async def test_a_certificate_that_does_not_fit_is_refused(
    with_tls: trustme.CA, database: Database, tmp_path: Path
) -> None:
    theirs, others = tmp_path / "theirs.pem", tmp_path / "others.pem"
    with_tls.cert_pem.write_to_path(theirs)
    trustme.CA().cert_pem.write_to_path(others)
    url = database.cluster.network_url(database.name)
    for options, words in (
        (f"sslmode=verify-ca&sslrootcert={others}", "(issuer|self.signed)"),
        (f"sslmode=verify-full&sslrootcert={theirs}", "IP address mismatch"),
    ):
        expected = f"its certificate is not accepted: .*{words}"
        await refused(database, StoreAccessError, expected, url=f"{url}?{options}")
    absent = f"{url}?sslmode=verify-full&sslrootcert={tmp_path / 'absent.pem'}"
    words = "expected its Unix socket, and the files of sslrootcert.*: No such file"
    await refused(database, StoreBusyError, words, url=absent, limits=HASTY)
    store = database.store(url=f"{url}?sslmode=verify-ca&sslrootcert={theirs}")
    assert await store.open() == Stored(clean=True)
    await store.close(clean=True)


# --- databases that are refused


async def refused(database: Database, kind: type[StoreError], words: str, **options: Any) -> None:
    """The store refuses the database, with words that name it."""
    store = database.store(**options)
    with pytest.raises(kind, match=rf"^postgresql://[^/]*/\w+: {words}"):
        await store.open()


async def test_a_database_of_another_program_is_left_as_it_is(own_database: Database) -> None:
    await own_database.run("CREATE SCHEMA shop", "CREATE TABLE shop.orders (number integer)")
    words = "expected an empty database or one of Holdfast, found other tables: shop.orders"
    await refused(own_database, StoreBrokenError, words)
    assert await own_database.run("SELECT 1 FROM pg_namespace WHERE nspname = 'holdfast'") == []


async def test_a_schema_of_another_product_is_refused(database: Database) -> None:
    await database.opened()
    await database.run("UPDATE holdfast.version SET product = 'anchor'")
    await refused(database, StoreBrokenError, "expected a database of Holdfast, found 'anchor'")


async def test_a_newer_schema_is_refused_with_both_versions(database: Database) -> None:
    await database.opened()
    await database.run(f"UPDATE holdfast.version SET number = {SCHEMA_VERSION + 1}")
    words = rf"written by a newer Holdfast \(schema {SCHEMA_VERSION + 1}; this one reads up to"
    await refused(database, StoreVersionError, words)


async def test_a_database_that_does_not_exist_is_refused(database: Database) -> None:
    url = database.cluster.url("nowhere")
    words = "expected a database of this name, found none"
    await refused(database, StoreAccessError, words, url=url)


async def test_a_wrong_password_is_refused_and_not_shown(database: Database) -> None:
    url = database.cluster.network_url(database.name, "holdfast:wrong")
    store = database.store(url=url)
    with pytest.raises(StoreAccessError, match="it does not accept the password: ") as caught:
        await store.open()
    assert "wrong" not in str(caught.value)


async def test_a_password_of_its_own_is_used(database: Database) -> None:
    url = database.cluster.network_url(database.name, "holdfast")
    await refused(
        database, StoreAccessError, "it does not accept the password", url=url, password="wrong"
    )
    assert await database.store(url=url, password="right").open() == Stored(clean=True)


async def test_a_server_without_tls_is_refused_where_tls_is_asked_for(database: Database) -> None:
    url = database.cluster.network_url(database.name) + "?sslmode=require"
    await refused(database, StoreAccessError, "it offers no TLS", url=url)


async def test_a_user_who_may_not_make_the_schema_is_refused(database: Database) -> None:
    await database.run("DROP ROLE IF EXISTS poor", "CREATE ROLE poor LOGIN")
    url = database.cluster.url(database.name, user="poor")
    await refused(database, StoreAccessError, "the user lacks a right: ", url=url)


async def test_a_user_who_lacks_rights_on_tables_is_refused_with_their_names(
    database: Database,
) -> None:
    await database.opened()
    await database.run("CREATE ROLE reader LOGIN")
    url = database.cluster.url(database.name, user="reader")
    words = "the user lacks a right: expected USAGE on the schema holdfast"
    await refused(database, StoreAccessError, words, url=url)
    await database.run(
        "GRANT USAGE ON SCHEMA holdfast TO reader",
        "GRANT SELECT ON ALL TABLES IN SCHEMA holdfast TO reader",
    )
    words = "the user lacks rights: expected insert on holdfast.common, update on "
    await refused(database, StoreAccessError, words, url=url)
    await database.run("GRANT INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA holdfast TO reader")
    await database.store("b", url=url).open()


async def test_a_replica_is_refused(database: Database) -> None:
    await (await database.opened()).close(clean=True)
    with standby(database.cluster) as replica:
        url = replica.url(database.name)
        words = "expected the primary server, found a replica"
        await refused(database, StoreReadOnlyError, words, url=url)


async def test_a_database_that_is_read_only_is_refused(own_database: Database) -> None:
    await own_database.run(
        f"ALTER DATABASE {own_database.name} SET default_transaction_read_only = on"
    )
    words = r"read-only \(default_transaction_read_only is on\); expected"
    await refused(own_database, StoreReadOnlyError, words)


async def test_a_database_that_becomes_read_only_refuses_commits(own_database: Database) -> None:
    store = await own_database.opened()
    await own_database.run(
        f"ALTER DATABASE {own_database.name} SET default_transaction_read_only = on",
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        f" WHERE datname = '{own_database.name}' AND pid <> pg_backend_pid()",
    )
    with pytest.raises(StoreReadOnlyError, match="read-only: expected the primary"):
        await store.commit(said(1, "s1", 1, "a"))


async def test_an_encoding_that_cannot_hold_every_text_is_refused(postgresql: Cluster) -> None:
    async with AsyncExitStack() as closing:
        name = await postgresql.new_database("ENCODING 'SQL_ASCII'")
        database = Database(postgresql, name, closing)
        words = "expected the encoding UTF8 of the database, found SQL_ASCII"
        await refused(database, StoreError, words)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (3600, "this machine's clock is 3[56].. s ahead of the server's"),
        (-3600, "this machine's clock is 3[56].. s behind the server's"),
    ],
)
async def test_a_clock_that_is_an_hour_off_is_refused(
    database: Database, seconds: float, words: str
) -> None:
    await refused(database, StoreError, words, wall=lambda: time.time() + seconds)


# --- what snapshots share


def with_snapshots(number: int, words: dict[str, str]) -> Batch:
    """A commit of sessions, each with a snapshot whose one output is in what it shares."""
    snapshots = []
    for sid in words:
        snapshot = record(1, "")
        snapshot.outs = [0]
        snapshots.append((sid, snapshot))
    (word,) = set(words.values())
    return Batch(
        number,
        rows=[row(sid) for sid in words],
        snapshots=snapshots,
        snapshots_shared=[OutputEntry(Text(word), 1.0, "", 40)],
    )


async def test_a_session_is_read_while_its_journal_is_folded(database: Database) -> None:
    before = await database.opened("a")
    await before.commit(with_snapshots(1, {"s1": "snapshot"}))
    await before.commit(Batch(2, records=[("s1", record(2, "journal"))]))
    await before.close(clean=True)
    store = await database.opened("a")
    async with asyncio.TaskGroup() as tasks:
        read = tasks.create_task(texts(store, "s1"))
        tasks.create_task(store.recover(1))
    assert read.result() == ["snapshot", "journal"]


async def test_many_sessions_are_read_that_share_with_none_of_the_others(
    database: Database,
) -> None:
    """One is known already: the others leave no room for it among those that are remembered."""
    store = await database.opened("a")
    sids = [f"s{number:03}" for number in range(100)]
    for number, sid in enumerate(sids, 1):
        await store.commit(with_snapshots(number, {sid: f"text of {sid}"}))
    assert await texts(store, sids[-1]) == [f"text of {sids[-1]}"]
    found = await store.find(sids)
    assert not found.set_aside
    assert [session.row.sid for session in found.sessions] == sids


async def test_what_is_shared_is_known_although_a_commit_drops_some_meanwhile(
    database: Database,
) -> None:
    store = await database.opened("a")
    await store.commit(with_snapshots(1, {"s1": "one"}))
    await store.commit(with_snapshots(2, {"s2": "two" * 1_000_000}))  # it takes a while
    assert await texts(store, "s1") == ["one"]
    async with asyncio.TaskGroup() as tasks:
        reading = tasks.create_task(store.find(["s1", "s2"]))
        tasks.create_task(store.commit(Batch(3, journal_from=3)))
    found = reading.result()
    assert not found.set_aside
    assert len(found.sessions) == 2


async def test_what_replaces_a_journal_is_on_the_disk(database: Database) -> None:
    """A crash of the server would otherwise lose it, and the journal is not read again."""
    before = await database.opened("a")
    await before.commit(said(1, "s1", 1, "a"))
    await before.commit(said(2, "s2", 1, "a"))
    await before.close(clean=True)
    store, other = await database.opened("a"), await database.opened("b")
    await database.run(
        "CREATE TABLE holdfast.seen (mode text)",
        """
        CREATE FUNCTION holdfast.see() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            INSERT INTO holdfast.seen VALUES (current_setting('synchronous_commit'));
            RETURN NEW;
        END $$
        """,
        "CREATE TRIGGER see AFTER INSERT ON holdfast.snapshot FOR EACH ROW"
        " EXECUTE FUNCTION holdfast.see()",
    )
    await store.recover(1)
    assert await given(store, other, ["s2"]) == ["s2"]
    modes = [each["mode"] for each in await database.run("SELECT mode FROM holdfast.seen")]
    assert modes == ["on", "on"]
    assert await texts(other, "s2") == ["a"]
