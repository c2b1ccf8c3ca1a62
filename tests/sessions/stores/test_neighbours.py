"""Runs on one PostgreSQL database: who has ended, who takes its sessions, and who gets one."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from typing import Any

import asyncpg
import pytest
import pytest_asyncio
from tests.postgresql import Cluster
from tests.sessions.stores.test_postgres import (
    LIMITS,
    Database,
    record,
    recover_all,
    row,
    said,
    texts,
)
from tests.simulation.postgresql.client import SIMULATED, simulate

from holdfast.sessions.records import Batch, Stored
from holdfast.sessions.stores.base import StoreError, StoreFencedError, Whereabouts
from holdfast.sessions.stores.postgres import connection, content, runs
from holdfast.sessions.stores.postgres.connection import Transaction
from holdfast.sessions.stores.postgres.store import PostgresStore

HERE, ASKED, REFUSED = Whereabouts.HERE, Whereabouts.ASKED, Whereabouts.REFUSED
FENCED = "SELECT fenced FROM holdfast.node ORDER BY inc"
GEN = "SELECT gen FROM holdfast.session"


@pytest_asyncio.fixture
async def database(postgresql: Cluster) -> AsyncIterator[Database]:
    name = await postgresql.empty_database()
    async with AsyncExitStack() as closing:
        yield Database(postgresql, name, closing)
    await postgresql.give_back(name)


class Simulated(Database):
    """The server in memory, on which the simulation runs several gateways."""

    def __init__(self, closing: AsyncExitStack) -> None:
        self._closing = closing

    def store(self, node: str = "a", *, url: str = SIMULATED, **options: Any) -> PostgresStore:
        return super().store(node, url=url, **options)


@pytest_asyncio.fixture(params=["postgresql", "simulated"])
async def either(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Database]:
    """A database of either server."""
    if request.param == "simulated":
        simulate(monkeypatch)
        async with AsyncExitStack() as closing:
            yield Simulated(closing)
        return
    cluster: Cluster = request.getfixturevalue("postgresql")
    name = await cluster.empty_database()
    async with AsyncExitStack() as closing:
        yield Database(cluster, name, closing)
    await cluster.give_back(name)


async def adopted(store: PostgresStore) -> Stored:
    """Watch the others until one can be adopted, and do that."""
    async with asyncio.timeout(60.0):
        while not (await store.neighbours.look()).adoptable:
            await store.beat()
            await asyncio.sleep(0.02)
    stored = await store.neighbours.adopt()
    assert stored is not None
    return stored


def number_of(store: PostgresStore) -> int:
    return store._content.inc


async def test_a_run_that_serves_takes_what_an_ended_one_has_left(either: Database) -> None:
    first, second = await either.opened("a"), await either.opened("b")
    await first.commit(said(1, "s1", 1, "a"))
    await second.commit(said(1, "s2", 1, "b"))
    assert await second.neighbours.adopt() is None
    await first.close(clean=True)
    stored = await adopted(second)
    assert stored.clean
    assert [head.sid for head in stored.heads] == ["s1"]
    assert (await second.neighbours.look()).alive == 0
    assert await texts(second, "s1") == ["a"]
    await second.commit(Batch(2, rows=[row("s1", "new")], records=[("s1", record(2, "c"))]))
    await recover_all(second)
    await second.close(clean=True)
    third = await either.opened("c")
    assert await texts(third, "s1") == ["a", "c"]
    assert await texts(third, "s2") == ["b"]


async def test_an_outage_in_the_middle_of_a_look_counts_for_nothing(
    either: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    lease, now = LIMITS.lease_seconds_max, 100.0
    await either.opened("a")
    second = either.store("b", clock=lambda: now)
    await second.open()
    assert (await second.neighbours.look()).alive == 1
    honest = second._watcher.fetch

    async def answers_late(query: str, *values: object) -> list[Any]:
        nonlocal now
        now += 2.0 * lease
        return await honest(query, *values)

    with monkeypatch.context() as patch:
        patch.setattr(second._watcher, "fetch", answers_late)
        assert (await second.neighbours.look()).alive == 1
    looks = []
    for _ in range(4):
        now += 0.3 * lease
        looks.append((await second.neighbours.look()).alive)
    assert looks == [1, 1, 1, 0]  # from then on, it is silent for the lease


async def test_a_silent_run_is_fenced_and_its_sessions_are_taken(either: Database) -> None:
    first, second = await either.opened("a"), await either.opened("b")
    await first.commit(said(1, "s1", 1, "a"))
    stored = await adopted(second)  # its process is alive: it hangs
    assert not stored.clean
    assert await texts(second, "s1") == ["a"]
    for refused in (first.beat(), first.commit(said(2, "s1", 2, "late"))):
        with pytest.raises(StoreFencedError):
            await refused
    assert await texts(second, "s1") == ["a"]


async def test_nobody_is_fenced_for_the_time_of_an_outage(either: Database) -> None:
    """Neither the run nor who watches it could reach the database meanwhile."""
    first, second = await either.opened("a"), await either.opened("b")
    assert (await second.neighbours.look()).alive == 1
    await asyncio.sleep(LIMITS.lease_seconds_max)
    assert not (await second.neighbours.look()).adoptable
    await first.beat()


async def test_a_run_that_gives_signs_of_life_is_let_alone(either: Database) -> None:
    first, second = await either.opened("a"), await either.opened("b")
    loop = asyncio.get_running_loop()
    until = loop.time() + 3 * LIMITS.lease_seconds_max
    while loop.time() < until:
        await first.beat()
        assert not (await second.neighbours.look()).adoptable
        await asyncio.sleep(0.02)


async def test_a_run_that_hangs_in_a_transaction_is_fenced(database: Database) -> None:
    """The server ends the transaction, whose lock would keep everybody from fencing the run."""
    first, second = await database.opened("a"), await database.opened("b")

    async def hang() -> None:
        async with first._short_transaction() as work:
            await first._content.lock(work)
            await adopted(second)
            await work.fetch("SELECT 1")

    with pytest.raises(StoreError, match="closed"):
        await hang()
    assert [each["fenced"] for each in await database.run(FENCED)] == [True, False]


async def test_a_run_that_hangs_while_it_takes_sessions_leaves_them_to_another(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, third = [await database.opened(name) for name in "abc"]
    await first.commit(said(1, "s1", 1, "a"))
    await first.close(clean=False)

    async def hang(work: Transaction, *_: object) -> Stored:
        async with asyncio.timeout(60.0):
            while await third.neighbours.adopt() is None:
                await third.beat()
                await asyncio.sleep(0.02)
        await work.fetch("SELECT 1")
        raise AssertionError("expected the server to end the transaction")

    monkeypatch.setattr(second._content, "stored", hang)
    with pytest.raises(StoreError):
        await second.neighbours.adopt()
    assert await texts(third, "s1") == ["a"]


async def test_sessions_are_taken_by_one_of_those_that_see_the_end(either: Database) -> None:
    stores = [await either.opened(name) for name in "abc"]
    await stores[0].commit(said(1, "s1", 1, "a"))
    await stores[0].close(clean=False)
    async with asyncio.TaskGroup() as tasks:
        adopting = [tasks.create_task(store.neighbours.adopt()) for store in stores[1:]]
    found = [each for each in (task.result() for task in adopting) if each is not None]
    assert [len(each.heads) for each in found] == [1]


async def test_a_run_that_was_fenced_takes_nobody_s_sessions(database: Database) -> None:
    first, second = await database.opened("a"), await database.opened("b")
    await first.commit(said(1, "s1", 1, "a"))
    await first.close(clean=False)
    await database.run(f"UPDATE holdfast.node SET fenced = true WHERE inc = {number_of(second)}")
    with pytest.raises(StoreFencedError):
        await second.neighbours.adopt()
    third = await database.opened("c")
    assert await texts(third, "s1") == ["a"]


async def test_signs_of_life_go_on_while_sessions_are_taken(database: Database) -> None:
    first, second = await database.opened("a"), await database.opened("b")
    await first.commit(said(1, "s1", 1, "a"))
    await first.close(clean=False)
    other = await asyncpg.connect(database.cluster.url(database.name))
    try:
        async with other.transaction():
            await other.fetch("SELECT * FROM holdfast.session FOR UPDATE")
            async with asyncio.TaskGroup() as tasks:
                adopting = tasks.create_task(second.neighbours.adopt())
                for number in range(1, 4):
                    await second.beat()
                    await second.commit(said(number, f"n{number}", 1, "b"))
                assert not adopting.done()
                await other.execute("ROLLBACK; BEGIN")
    finally:
        await other.close()
    assert (adopted := adopting.result()) is not None
    assert [head.sid for head in adopted.heads] == ["s1"]


async def test_what_was_heard_goes_with_the_sessions(either: Database) -> None:
    first, second = await either.opened("a"), await either.opened("b")
    await first.commit(Batch(1, rows=[row("s1")], accepted={"app/x": 7}))
    await second.commit(Batch(1, accepted={"app/x": 3}))
    await first.close(clean=True)
    (ended,) = (await adopted(second)).ended
    assert (ended.node, ended.heard) == ("a", {"app/x": 7})
    await second.close(clean=True)
    third = either.store("b")
    assert (await third.open()).accepted == {"app/x": 3}
    await third.close(clean=True)
    stored = await either.store("c").open()
    assert stored.accepted == {}  # instances number their outputs for each node
    heard = [(ended.node, ended.heard) for ended in stored.ended]
    assert heard == [("a", {"app/x": 7}), ("b", {"app/x": 3}), ("b", {"app/x": 3})]


async def test_what_was_heard_is_told_again_by_who_adopts_the_adopter(either: Database) -> None:
    first, second = await either.opened("a"), await either.opened("b")
    await first.commit(Batch(1, rows=[row("s1")], accepted={"app/x": 7}))
    await first.close(clean=True)
    await adopted(second)
    await recover_all(second)
    await second.close(clean=False)  # before it has told anybody
    third = await either.opened("c")
    fourth = either.store("a")
    assert (await fourth.open()).accepted == {}, "instances may have begun to number anew"
    await third.close(clean=False)
    heard = {ended.node: ended.heard for ended in (await adopted(fourth)).ended}
    assert heard == {"a": {"app/x": 7}, "b": {}, "c": {}}


async def test_what_was_heard_is_kept_of_the_newest_runs(
    either: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs, "ENDED_RUNS_MAX", 2)
    last = await either.opened("last")
    for name in "abc":
        store = await either.opened(name)
        await store.commit(Batch(1, accepted={"app/x": ord(name)}))
        await store.close(clean=True)
        await adopted(last)
        await recover_all(last)
    await last.close(clean=True)
    heard = {ended.node: ended.heard for ended in (await either.store("d").open()).ended}
    assert heard == {"b": {"app/x": 98}, "c": {"app/x": 99}, "last": {}}


async def test_a_session_is_asked_for_and_given(database: Database) -> None:
    first, second = await database.opened("a"), await database.opened("b")
    await first.commit(said(1, "s1", 1, "a"))
    assert await second.neighbours.ask({"s1": 0, "never": 0}) == {"s1": ASKED}
    assert await second.neighbours.arrived(["s1"]) == (await second.find([]))
    assert await first.neighbours.asked(9) == {number_of(second): {"s1": 0}}
    await first.commit(Batch(2, snapshots=[("s1", record(1, "a"))]))
    assert await first.neighbours.give(["s1"], number_of(second)) == ["s1"]
    assert await second.neighbours.ask({"s1": 0}) == {"s1": HERE}
    assert [each.row.sid for each in (await second.neighbours.arrived(["s1"])).sessions] == ["s1"]
    assert await texts(second, "s1") == ["a"]
    assert await first.neighbours.asked(9) == {}
    assert [each["gen"] for each in await database.run(GEN)] == [2]


async def test_a_session_that_was_asked_for_while_it_was_given_is_not_asked_for_for_ever(
    database: Database,
) -> None:
    first, second = await database.opened("a"), await database.opened("b")
    await first.commit(said(1, "s1", 1, "a"))
    await second.neighbours.ask({"s1": 0})
    await first.neighbours.give(["s1"], number_of(second))
    await database.run(
        f"INSERT INTO holdfast.move_request VALUES ('s1', {number_of(first)}, {number_of(second)})"
    )
    assert await first.neighbours.asked(9) == {}
    await second.neighbours.arrived(["s1"])
    assert await database.run("SELECT 1 FROM holdfast.move_request") == []


async def test_a_run_that_does_not_hear_that_it_has_the_sessions_leaves_them_to_the_next(
    either: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await either.opened("a")
    await first.commit(said(1, "s1", 1, "a"))
    await first.close(clean=True)
    second = either.store("b")
    honest = second._reader.transaction

    @contextlib.asynccontextmanager
    async def unanswered(*seconds: float) -> AsyncIterator[Transaction]:
        async with honest(*seconds) as work:
            yield work
        if second.neighbours.run:  # it is registered
            raise StoreError("the connection was lost")

    with monkeypatch.context() as patch:
        patch.setattr(second._reader, "transaction", unanswered)
        with pytest.raises(StoreError):
            await second._open()
    await second.close(clean=False)
    third = either.store("c")
    assert [head.sid for head in (await third.open()).heads] == ["s1"]


@contextlib.contextmanager
def lost_answers(patch: pytest.MonkeyPatch, *, committed: bool) -> Iterator[None]:
    """The connection of each transaction breaks at its end, before or after the commit."""
    honest = connection._transaction

    @contextlib.asynccontextmanager
    async def transaction(*arguments: Any) -> AsyncIterator[None]:
        async with honest(*arguments):
            yield
            if not committed:
                raise ConnectionResetError
        raise ConnectionResetError

    with patch.context() as patched:
        patched.setattr(connection, "_transaction", transaction)
        yield


async def test_an_adoption_whose_answer_is_lost_is_asked_for(
    either: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = await either.opened("a"), await either.opened("b")
    await first.commit(said(1, "s1", 1, "a"))
    await first.close(clean=False)
    assert (await second.neighbours.look()).adoptable
    with lost_answers(monkeypatch, committed=False), pytest.raises(StoreError, match="reached"):
        await second.neighbours.adopt()
    with lost_answers(monkeypatch, committed=True):
        stored = await second.neighbours.adopt()
    assert stored is not None
    assert [head.sid for head in stored.heads] == ["s1"]
    assert await texts(second, "s1") == ["a"], "with what is in the journal of the other"
    assert await second.neighbours.adopt() is None


async def test_a_move_whose_answer_is_lost_is_asked_for(
    either: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = await either.opened("a"), await either.opened("b")
    await first.commit(said(1, "s1", 1, "a"))
    await second.neighbours.ask({"s1": 0})
    with lost_answers(monkeypatch, committed=False), pytest.raises(StoreError, match="reached"):
        await first.neighbours.give(["s1"], number_of(second))
    assert await second.neighbours.ask({"s1": 0}) == {"s1": ASKED}
    with lost_answers(monkeypatch, committed=True):
        assert await first.neighbours.give(["s1"], number_of(second)) == ["s1"]
    assert await second.neighbours.ask({"s1": 0}) == {"s1": HERE}


async def test_a_commit_that_is_under_way_is_waited_for(database: Database) -> None:
    first = await database.opened("a")
    other = await asyncpg.connect(database.cluster.url(database.name))
    try:
        async with other.transaction():
            number = await other.fetchval(connection.NUMBER)
            asking = asyncio.get_running_loop().create_task(first._reader.committed(number))
            for _ in range(5):  # each after what it asks
                await first.beat()
            assert not asking.done()
        assert await asking
    finally:
        await other.close()
    lost = str(int(number) + 1_000)
    assert not await first._reader.committed(lost), "the server has lost it"


async def test_a_session_that_is_kept_is_refused(either: Database) -> None:
    first, second = await either.opened("a"), await either.opened("b")
    await first.commit(said(1, "s1", 1, "a"))
    await second.neighbours.ask({"s1": 0})
    await first.neighbours.refuse(["s1"])
    assert await second.neighbours.ask({"s1": 0}) == {"s1": REFUSED}
    assert await first.neighbours.asked(9) == {}
    # Its client has been there since, and asks anew.
    assert await second.neighbours.ask({"s1": 2}) == {"s1": ASKED}
    assert await first.neighbours.asked(9) == {number_of(second): {"s1": 2}}


async def test_a_session_that_is_not_wanted_any_more_is_not_given(either: Database) -> None:
    first, second = await either.opened("a"), await either.opened("b")
    for number, sid in enumerate(("s1", "s2"), 1):
        await first.commit(said(number, sid, 1, "a"))
    await second.neighbours.ask({"s1": 0, "s2": 0})
    await first.neighbours.give(["s2"], number_of(second))
    assert await second.neighbours.withdraw(["s1", "s2"]) == ["s2"]
    assert await first.neighbours.give(["s1"], number_of(second)) == []


async def test_no_session_is_given_to_a_run_that_is_fenced(either: Database) -> None:
    """Who adopts that run has taken all that it had: the session would be nobody's."""
    first, second = await either.opened("a"), await either.opened("b")
    await first.commit(said(1, "s1", 1, "a"))
    await second.neighbours.ask({"s1": 0})
    run = number_of(second)
    await second.close(clean=False)
    assert await first.neighbours.give(["s1"], run) == []
    assert (await first.claim(["s1"])) == ["s1"]


async def test_a_run_is_not_fenced_while_a_session_is_given_to_it(database: Database) -> None:
    first, second = await database.opened("a"), await database.opened("b")
    await first.commit(said(1, "s1", 1, "a"))
    await second.neighbours.ask({"s1": 0})
    db = await asyncpg.connect(database.cluster.url(database.name))
    try:
        async with first._short_transaction() as work:
            assert await first.neighbours._give(work, ["s1"], number_of(second)) == {"s1"}
            await db.execute("SET lock_timeout = 100")
            with pytest.raises(asyncpg.LockNotAvailableError):
                await db.execute(
                    f"UPDATE holdfast.node SET fenced = true WHERE inc = {number_of(second)}"
                )
    finally:
        await db.close()


async def test_two_runs_that_give_each_other_sessions_do_not_wait_forever(
    either: Database,
) -> None:
    first, second = await either.opened("a"), await either.opened("b")
    for number in range(1, 6):
        await first.commit(said(number, f"a{number}", 1, "a"))
        await second.commit(said(number, f"b{number}", 1, "b"))
    await first.neighbours.ask({f"b{number}": 0 for number in range(1, 6)})
    await second.neighbours.ask({f"a{number}": 0 for number in range(1, 6)})
    async with asyncio.TaskGroup() as tasks:
        giving = [
            tasks.create_task(owner.neighbours.give([f"{letter}{number}"], number_of(other)))
            for number in range(1, 6)
            for owner, other, letter in ((first, second, "a"), (second, first, "b"))
        ]
    assert all(task.result() for task in giving)


async def test_a_session_is_found_by_its_code(either: Database) -> None:
    first, second = await either.opened("a"), await either.opened("b")
    one, two = row("s1"), row("s2")
    one.code, one.code_before, two.code = b"1" * 32, b"0" * 32, b"2" * 32
    await first.commit(Batch(1, rows=[one, two]))
    assert await second.neighbours.of_code(b"0" * 32) == "s1"
    assert await second.neighbours.of_code(b"2" * 32) == "s2"
    assert await second.neighbours.of_code(b"3" * 32) is None
    assert await second.neighbours.of_code(b"") is None
    assert [each.code for each in await second.neighbours.rows(["s2", "never"])] == [b"2" * 32]


@pytest.mark.parametrize("query", [content._PIECES, content._SHARED])
async def test_parts_of_a_journal_are_found_by_its_index(database: Database, query: str) -> None:
    """Else each part would look at the whole journal: minutes, for that of a busy gateway."""
    await database.opened("a")
    db = await asyncpg.connect(database.cluster.url(database.name))
    try:
        await db.execute("SET enable_seqscan = off; SET enable_hashjoin = off")
        await db.execute("SET enable_mergejoin = off; SET plan_cache_mode = force_generic_plan")
        types = "bigint[], int[], int[]" if "$3" in query else "bigint[]"
        values = "'{}', '{}', '{}'" if "$3" in query else "'{}'"
        await db.execute(f"PREPARE looked ({types}) AS {query}")
        plan = [line for (line,) in await db.fetch(f"EXPLAIN EXECUTE looked ({values})")]
    finally:
        await db.close()
    (found,) = [line for line in plan if "Index Cond" in line]
    assert "number = " in found, plan


async def test_what_a_run_announces_is_seen_by_the_others(either: Database) -> None:
    first, second = either.store("a"), either.store("b")
    for store in (first, second):
        await store.open()
    assert [run[1:3] for run in (await second.neighbours.look()).runs] == [("a", "")]
    await first.neighbours.announce("unix:/a", ["chat", "shop"], accepts=True)
    (seen,) = (await second.neighbours.look()).runs
    assert (seen.node, seen.link, list(seen.apps), seen.accepts) == (
        "a",
        "unix:/a",
        ["chat", "shop"],
        True,
    )
    assert seen.number == first.neighbours.run
    await first.neighbours.announce("unix:/a", [], accepts=False)
    (seen,) = (await second.neighbours.look()).runs
    assert (list(seen.apps), seen.accepts) == ([], False)
