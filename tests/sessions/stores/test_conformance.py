"""What every store must do, whatever it is made of."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import NamedTuple
from uuid import UUID

import pytest
import pytest_asyncio
from msgspec.structs import replace
from tests.postgresql import Cluster
from tests.simulation.postgresql.client import SIMULATED, simulate

from holdfast.core.ids import pack_sid
from holdfast.core.items import Binary, Command, Data, Formatted, Interrupt, Prompt, Span, Text
from holdfast.core.limits import StoreLimits
from holdfast.sessions.folding import fold
from holdfast.sessions.inbox import Queued
from holdfast.sessions.outbox import OutputEntry, SharedEntry
from holdfast.sessions.records import (
    Batch,
    EpochEnd,
    Extension,
    Head,
    Record,
    Row,
    SetAside,
    Stored,
    StoredSession,
)
from holdfast.sessions.stores.base import Store
from holdfast.sessions.stores.memory import MemoryStore
from holdfast.sessions.stores.postgres.store import PostgresStore
from holdfast.sessions.stores.sqlite import SQLiteStore

Reopen = Callable[[], Store]


@pytest_asyncio.fixture(params=["memory", "sqlite", "postgresql", "simulated"])
async def reopen(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Reopen]:
    """Makes the store; each call gives the one that the next run of a gateway would have."""
    if request.param == "simulated":
        simulate(monkeypatch)
    memory = MemoryStore()
    made: list[Store] = []
    cluster: Cluster | None = None
    database = ""
    if request.param == "postgresql":
        cluster = request.getfixturevalue("postgresql")
        assert cluster is not None
        database = await cluster.empty_database()

    def make() -> Store:
        match request.param:
            case "memory":
                made.append(memory)
            case "simulated":
                made.append(PostgresStore(SIMULATED, StoreLimits(), node="gateway"))
            case "sqlite":
                made.append(SQLiteStore(tmp_path / "sessions.db", StoreLimits()))
            case _:
                assert cluster is not None
                made.append(PostgresStore(cluster.url(database), StoreLimits(), node="gateway"))
        return made[-1]

    yield make
    if made:
        await made[-1].close(clean=True)
    if cluster is not None:
        await cluster.give_back(database)


class Again(NamedTuple):
    """What the next run of a gateway finds."""

    store: Store
    stored: Stored
    sessions: list[StoredSession]


async def again(reopen: Reopen, store: Store, *, clean: bool = False) -> Again:
    await store.close(clean=clean)
    fresh = reopen()
    stored = await fresh.open()
    found = await fresh.take([head.sid for head in stored.heads])
    assert not found.set_aside
    assert len(found.sessions) == len(stored.heads)
    return Again(fresh, stored, found.sessions)


def row(sid: str, **fields: object) -> Row:
    return Row(sid=sid, epoch="e1", durability="fast", created=1.0, **fields)  # type: ignore[arg-type]


def record(n: int, *texts: str, top: int, base: int = 0, ins: tuple[Queued, ...] = ()) -> Record:
    outs = [OutputEntry(Text(text), 1.0, "", 40) for text in texts]
    return Record(
        n=n,
        outs=outs,
        ins=ins,
        base=base,
        acked=base,
        maybe_delivered=0,
        top=top,
        applied=0,
        cin=0,
        offset=0,
    )


def texts(session: StoredSession) -> list[list[str]]:
    return [
        [entry.item.text for entry in record.outs]  # type: ignore[union-attr]
        for record in session.records
    ]


async def test_a_new_store_is_empty_and_clean(reopen: Reopen) -> None:
    stored = await reopen().open()
    assert stored == Stored(clean=True)


async def test_what_was_committed_is_there_after_a_crash(reopen: Reopen) -> None:
    store = reopen()
    await store.open()
    full = row(
        "s1",
        user="ann",
        groups=("lobby",),
        ends=(EpochEnd("e0", 7),),
        data=b"\x00\xff",
        properties={"rank": "admiral"},
    )
    full.tokens.issue("01a1f8c5-42a6-71b3-acbd-d5b3ec2fc930")
    await store.commit(Batch(1, rows=[full], records=[("s1", record(1, "a", "b", top=2))]))
    await store.commit(Batch(2, records=[("s1", record(2, "c", top=3))]))
    _, stored, sessions = await again(reopen, store)
    assert not stored.clean
    assert stored.number == 2
    assert sessions[0].row == full
    assert texts(sessions[0]) == [["a", "b"], ["c"]]


async def test_every_kind_of_item_comes_back_as_it_was(reopen: Reopen) -> None:
    store = reopen()
    await store.open()
    outs = [
        OutputEntry(item, 2.5, "k", 9)
        for item in (
            Text("é\n\U0001f600"),
            Formatted("ab", (Span(0, 1, "bold red"),)),
            Data("Room.Info", '{"x":1}'),
            Prompt("> "),
            Binary(b"\x00\xff"),
        )
    ]
    commands: list[Command] = [Text("x"), Binary(b"\0"), Data("P", "1"), Interrupt()]
    ins = [Queued(number, item, 5) for number, item in enumerate(commands, 1)]
    sent = Record(
        n=1,
        outs=outs,
        ins=ins,
        base=0,
        acked=0,
        maybe_delivered=3,
        top=5,
        applied=0,
        cin=3,
        offset=1,
    )
    await store.commit(Batch(1, rows=[row("s1")], records=[("s1", sent)]))
    _, _, sessions = await again(reopen, store)
    assert sessions[0].records == [sent]


async def test_an_orderly_stop_is_told_once(reopen: Reopen) -> None:
    store = reopen()
    await store.open()
    await store.commit(Batch(1, rows=[row("s1")]))
    store, stored, _ = await again(reopen, store, clean=True)
    assert stored.clean
    _, stored, _ = await again(reopen, store)
    assert not stored.clean


async def test_a_row_is_replaced_and_the_newest_is_kept(reopen: Reopen) -> None:
    store = reopen()
    await store.open()
    await store.commit(Batch(1, rows=[row("s1", user="ann"), row("s2")]))
    await store.commit(Batch(2, rows=[row("s1", user="bob", state="active")]))
    _, _, sessions = await again(reopen, store)
    users = {session.row.sid: session.row.user for session in sessions}
    assert users == {"s1": "bob", "s2": ""}


async def test_a_snapshot_stands_for_what_came_before_it(reopen: Reopen) -> None:
    store = reopen()
    await store.open()
    await store.commit(
        Batch(1, rows=[row("s1")], records=[("s1", record(1, "a", "b", "c", top=3))])
    )
    await store.commit(Batch(2, records=[("s1", record(2, "d", top=4))]))
    snapshot = record(2, "c", "d", top=4, base=2)
    await store.commit(Batch(3, snapshots=[("s1", snapshot)], journal_from=3))
    await store.commit(Batch(4, records=[("s1", record(3, "e", top=5))]))
    _, stored, sessions = await again(reopen, store)
    assert texts(sessions[0]) == [["c", "d"], ["e"]]
    assert stored.number == 4


async def test_a_snapshot_beside_the_journal_it_covers_is_not_doubled(reopen: Reopen) -> None:
    store = reopen()
    await store.open()
    await store.commit(Batch(1, rows=[row("s1")], records=[("s1", record(1, "a", top=1))]))
    both = Batch(
        2,
        records=[("s1", record(2, "b", top=2))],
        snapshots=[("s1", record(2, "a", "b", top=2))],
    )
    await store.commit(both)
    _, _, sessions = await again(reopen, store)
    assert texts(sessions[0]) == [["a", "b"]]


async def test_a_deleted_session_is_gone_with_all_it_had(reopen: Reopen) -> None:
    store = reopen()
    await store.open()
    await store.commit(
        Batch(1, rows=[row("s1"), row("s2")], records=[("s1", record(1, "a", top=1))])
    )
    await store.commit(Batch(2, snapshots=[("s1", record(1, "a", top=1))]))
    await store.commit(Batch(3, deleted=["s1", "never-stored"]))
    _, _, sessions = await again(reopen, store)
    assert [session.row.sid for session in sessions] == ["s2"]


async def test_instances_and_settings_are_kept_until_forgotten(reopen: Reopen) -> None:
    store = reopen()
    await store.open()
    await store.commit(
        Batch(1, accepted={"i1": 5, "i2": 1}, settings={"k": b"v", "l": b"x", "m": b""})
    )
    await store.commit(
        Batch(2, accepted={"i1": 9}, forgotten=["i2"], settings={"k": b"w", "l": b""})
    )
    _, stored, _ = await again(reopen, store)
    assert stored.accepted == {"i1": 9}
    assert stored.settings == {"k": b"w"}


async def test_a_commit_says_how_much_the_journal_grew(reopen: Reopen) -> None:
    store = reopen()
    await store.open()
    small = await store.commit(Batch(1, rows=[row("s1")]))
    large = await store.commit(Batch(2, records=[("s1", record(1, "x" * 1000, top=1))]))
    assert 0 < small < 1000 < large


async def test_what_is_set_aside_is_not_found_again(reopen: Reopen) -> None:
    store = reopen()
    await store.open()
    await store.commit(Batch(1, rows=[row("s1"), row("s2")]))
    kept = SetAside("s1", "it cannot be taken up", b"body")
    await store.commit(Batch(2, deleted=["s1"], set_aside=[kept]))
    _, stored, sessions = await again(reopen, store)
    assert [session.row.sid for session in sessions] == ["s2"]
    assert stored.set_aside == []


async def test_a_store_that_is_where_it_was_passes_its_check(reopen: Reopen) -> None:
    store = reopen()
    await store.open()
    await store.commit(Batch(1, rows=[row("s1")]))
    await store.check()


async def test_what_several_sessions_hold_is_stored_once_and_shared_again(reopen: Reopen) -> None:
    store = reopen()
    await store.open()
    long = OutputEntry(Text("y" * 10_000), 1.0, "", 10_032)
    sids = [f"s{number}" for number in range(20)]
    records = [(sid, record(1, top=3, base=1)) for sid in sids]
    for _, each in records:
        each.outs = [OutputEntry(Text("own"), 1.0, "", 35), 0]
    rows = [row(sid) for sid in sids]
    size = await store.commit(Batch(1, rows=rows, records=records, shared=[long]))
    assert 10_000 < size < 15_000
    _, _, sessions = await again(reopen, store)
    outs = [session.records[0].outs for session in sessions]
    assert (
        outs
        == [[OutputEntry(Text("own"), 1.0, "", 35), SharedEntry(long.item, 1.0, "", 10_032)]] * 20
    )
    assert len({id(each[1]) for each in outs}) == 1


async def test_an_extension_continues_the_record_before_it_in_each_session(reopen: Reopen) -> None:
    store = reopen()
    await store.open()
    said = SharedEntry(Text("all"), 1.0, "", 35)
    sids = ["s0", "s1", str(UUID(int=7))]
    before = [record(4, top=3, base=1), record(5, top=4, base=2), record(6, top=5, base=3)]
    for each in before:
        each.ins = []
    rows, records = [row(sid) for sid in sids], list(zip(sids, before, strict=True))
    await store.commit(Batch(1, rows=rows, records=records))
    keys = [pack_sid(sid) for sid in sids]
    for number in (1, 2):
        extension = Extension.of(
            [0], *([at + number for at in on] for on in ((4, 5, 6), (3, 4, 5)))
        )
        await store.commit(Batch(1 + number, extensions=[(keys, extension)], shared=[said]))
    expected = {
        sid: [one, *(replace(one, n=one.n + k, top=one.top + k, outs=[said]) for k in (1, 2))]
        for sid, one in zip(sids, before, strict=True)
    }
    store, _, sessions = await again(reopen, store)
    assert {one.row.sid: one.records for one in sessions} == expected
    while (await store.recover(1)).left:
        pass
    _, _, sessions = await again(reopen, store)
    assert {one.row.sid: one.records for one in sessions} == {
        sid: [fold(records)] for sid, records in expected.items()
    }


async def test_an_output_that_is_shared_is_whole_in_a_snapshot(reopen: Reopen) -> None:
    store = reopen()
    await store.open()
    whole = record(1, top=1)
    whole.outs = [SharedEntry(Text("all"), 1.0, "", 35, holders=3)]
    await store.commit(Batch(1, rows=[row("s1")], snapshots=[("s1", whole)]))
    _, _, sessions = await again(reopen, store)
    assert sessions[0].records[0].outs == [OutputEntry(Text("all"), 1.0, "", 35)]


# --- what finds a session


async def test_a_head_says_what_finds_and_counts_a_session(reopen: Reopen) -> None:
    store = reopen()
    await store.open()
    known = row(
        "s1",
        user="ann",
        state="detached_active",
        app="chat",
        address="192.0.2.1:4711",
        protocol="telnet",
        known=True,
        instance="i1",
        code=b"c" * 32,
        code_before=b"b" * 32,
        detached=7.0,
        era=3,
    )
    rows = [known, row("s2"), row("s3", profile="mage"), row("s4", data=b"x"), row("s5")]
    rows[4].groups = ("lobby",)
    await store.commit(Batch(1, rows=rows))
    _, stored, _ = await again(reopen, store)
    heads = {head.sid: head for head in stored.heads}
    assert heads["s1"] == Head(
        sid="s1",
        created=1.0,
        app="chat",
        user="ann",
        state="detached_active",
        address="192.0.2.1:4711",
        protocol="telnet",
        detached=7.0,
        era=3,
        code=b"c" * 32,
        code_before=b"b" * 32,
        instance="i1",
        known=True,
        kept=True,
    )
    assert [heads[sid].kept for sid in ("s2", "s3", "s4", "s5")] == [False, True, True, True]
    assert stored.newest == 7.0


async def test_only_what_is_asked_for_is_read(reopen: Reopen) -> None:
    store = reopen()
    await store.open()
    await store.commit(Batch(1, rows=[row("s1"), row("s2"), row("s3")]))
    for read in (store.find, store.take):
        found = await read(["s3", "s1", "never"])
        assert sorted(session.row.sid for session in found.sessions) == ["s1", "s3"]
    assert (await store.take([])).sessions == []


async def test_many_are_read_at_once(reopen: Reopen) -> None:
    store = reopen()
    await store.open()
    sids = [f"s{number:04}" for number in range(1_200)]
    records = [(sid, record(1, sid, top=1)) for sid in sids]
    await store.commit(Batch(1, rows=[row(sid) for sid in sids], records=records))
    _, _, sessions = await again(reopen, store)
    assert {session.row.sid: texts(session) for session in sessions} == {
        sid: [[sid]] for sid in sids
    }


async def test_one_node_owns_all_sessions_and_is_never_fenced(reopen: Reopen) -> None:
    store = reopen()
    await store.open()
    await store.commit(Batch(1, rows=[row("s1")]))
    assert await store.claim(["s1", "never"]) == ["s1"]
    await store.beat()


# --- a commit whose outcome is unknown


async def test_a_commit_that_comes_twice_counts_once(reopen: Reopen) -> None:
    store = reopen()
    await store.open()
    first = Batch(1, rows=[row("s1", user="ann")], records=[("s1", record(1, "a", top=1))])
    first.accepted, first.settings = {"i1": 3}, {"k": b"v"}
    first.set_aside = [SetAside("s9", "damaged", b"body")]
    assert await store.commit(first) > 0
    assert await store.commit(first) == 0
    second = Batch(2, rows=[row("s1", user="bob")], records=[("s1", record(2, "b", top=2))])
    second.accepted = {"i1": 5}
    await store.commit(second)
    assert await store.commit(first) == 0  # late: what came after it stays
    _, stored, sessions = await again(reopen, store)
    assert texts(sessions[0]) == [["a"], ["b"]]
    assert sessions[0].row.user == "bob"
    assert stored.accepted == {"i1": 5}
    assert stored.number == 2


# --- the journal of the run before


async def recover(store: Store, count: int = 100) -> list[SetAside]:
    set_aside = []
    while True:
        recovered = await store.recover(count)
        set_aside += recovered.set_aside
        if not recovered.left:
            return set_aside


async def test_what_the_run_before_has_left_is_folded_into_snapshots(reopen: Reopen) -> None:
    store = reopen()
    await store.open()
    sids = [f"s{number}" for number in range(7)]
    await store.commit(Batch(1, rows=[row(sid) for sid in sids]))
    for n, text in enumerate("abc", 1):
        records = [(sid, record(n, f"{text} {sid}", top=n)) for sid in sids]
        await store.commit(Batch(n + 1, records=records))
    store, stored, before = await again(reopen, store)
    assert stored.journal_bytes > 0
    assert (await store.recover(3)).left > 4
    assert await recover(store, 3) == []
    await store.commit(Batch(5, records=[("s1", record(4, "d s1", top=4))]))
    _, stored, sessions = await again(reopen, store)
    found = {session.row.sid: texts(session) for session in sessions}
    assert found["s0"] == [["a s0", "b s0", "c s0"]]
    assert found["s1"] == [["a s1", "b s1", "c s1"], ["d s1"]]
    assert [fold(session.records) for session in before if session.row.sid != "s1"] == [
        session.records[0] for session in sessions if session.row.sid != "s1"
    ]


async def test_a_recovery_that_is_cut_short_goes_on_in_the_next_run(reopen: Reopen) -> None:
    store = reopen()
    await store.open()
    sids = ["s1", "s2", "s3"]
    records = [(sid, record(1, sid, top=1)) for sid in sids]
    await store.commit(Batch(1, rows=[row(sid) for sid in sids], records=records))
    store, _, _ = await again(reopen, store)
    await store.recover(2)
    store, stored, sessions = await again(reopen, store)
    assert [texts(session) for session in sessions] == [[[sid]] for sid in sids]
    await recover(store)
    _, stored, sessions = await again(reopen, store)
    assert stored.journal_bytes == 0
    assert [texts(session) for session in sessions] == [[[sid]] for sid in sids]


async def test_a_recovery_covers_up_nothing_newer(reopen: Reopen) -> None:
    store = reopen()
    await store.open()
    await store.commit(Batch(1, rows=[row("s1")], records=[("s1", record(1, "a", top=1))]))
    store, _, _ = await again(reopen, store)
    await store.commit(Batch(2, records=[("s1", record(2, "b", top=2))]))
    await store.commit(Batch(3, snapshots=[("s1", record(2, "b", top=2, base=1))]))
    await recover(store)
    _, _, sessions = await again(reopen, store)
    assert texts(sessions[0]) == [["b"]]


async def test_a_deleted_session_is_not_recovered(reopen: Reopen) -> None:
    store = reopen()
    await store.open()
    await store.commit(Batch(1, rows=[row("s1")], records=[("s1", record(1, "a", top=1))]))
    store, _, _ = await again(reopen, store)
    await store.commit(Batch(2, deleted=["s1"]))
    assert (await store.find(["s1"])).sessions == []
    await recover(store)
    _, stored, _ = await again(reopen, store)
    assert stored.heads == []
    assert stored.set_aside == []


async def test_what_is_shared_is_shared_again_by_those_that_are_read_apart(reopen: Reopen) -> None:
    store = reopen()
    await store.open()
    records = [(sid, record(1, top=1)) for sid in ("s1", "s2")]
    for _, each in records:
        each.outs = [0]
    shared = [OutputEntry(Text("all"), 1.0, "", 35)]
    rows = [row("s1"), row("s2")]
    await store.commit(Batch(1, rows=rows, records=records, shared=shared))
    store, _, _ = await again(reopen, store)
    (first,), (second,) = [(await store.take([sid])).sessions for sid in ("s1", "s2")]
    assert first.records[0].outs[0] is second.records[0].outs[0]


# --- what snapshots share


def sharing_one(*sids: str, text: str = "y" * 10_000) -> Batch:
    """Snapshots of sessions that hold one output, each with one of its own."""
    entry = OutputEntry(Text(text), 1.0, "", len(text) + 32)
    batch = Batch(1, rows=[row(sid) for sid in sids], snapshots_shared=[entry])
    for sid in sids:
        snapshot = record(1, sid, top=2)
        snapshot.outs = [*snapshot.outs, 0]
        batch.snapshots.append((sid, snapshot))
    return batch


async def test_what_several_snapshots_hold_is_one_object_when_it_is_read(reopen: Reopen) -> None:
    store = reopen()
    await store.open()
    await store.commit(sharing_one("s1", "s2"))
    store, _, sessions = await again(reopen, store)
    assert [texts(session) for session in sessions] == [
        [["s1", "y" * 10_000]],
        [["s2", "y" * 10_000]],
    ]
    (first,), (second,) = [(await store.take([sid])).sessions for sid in ("s1", "s2")]
    assert first.records[0].outs[1] is second.records[0].outs[1]
    assert isinstance(first.records[0].outs[1], SharedEntry)


async def test_what_snapshots_share_goes_with_the_last_of_them(reopen: Reopen) -> None:
    store = reopen()
    await store.open()
    await store.commit(sharing_one("s1", "s2"))
    own = [("s1", record(2, "own", top=3))]
    await store.commit(Batch(2, snapshots=own, journal_from=2))
    store, _, sessions = await again(reopen, store)
    found = {session.row.sid: texts(session) for session in sessions}
    assert found == {"s1": [["own"]], "s2": [["s2", "y" * 10_000]]}
    await store.commit(Batch(3, deleted=["s2"]))
    await store.commit(Batch(4, journal_from=4))
    another = sharing_one("s3", "s4", text="z" * 5_000)
    another.number = 5
    await store.commit(another)  # it may get the number of the one that is gone
    found = {
        session.row.sid: texts(session)
        for session in (await store.find(["s1", "s3", "s4"])).sessions
    }
    assert found["s3"] == [["s3", "z" * 5_000]]
    _, _, sessions = await again(reopen, store)
    assert {session.row.sid: texts(session) for session in sessions} == found


async def test_what_was_shared_in_the_journal_is_shared_in_snapshots(reopen: Reopen) -> None:
    store = reopen()
    await store.open()
    sids = [f"s{number}" for number in range(20)]
    records = [(sid, record(1, top=1)) for sid in sids]
    for _, each in records:
        each.outs = [0]
    long = OutputEntry(Text("y" * 10_000), 1.0, "", 10_032)
    rows = [row(sid) for sid in sids]
    await store.commit(Batch(1, rows=rows, records=records, shared=[long]))
    store, _, _ = await again(reopen, store)
    await recover(store)
    _, stored, sessions = await again(reopen, store)
    assert stored.journal_bytes == 0
    assert [texts(session) for session in sessions] == [[["y" * 10_000]]] * 20
    assert len({id(session.records[0].outs[0]) for session in sessions}) == 1
