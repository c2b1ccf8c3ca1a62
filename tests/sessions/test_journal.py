"""The group commit, driven by hand and by its loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from tests.sessions.test_manager import RecordingBackend, RecordingConsumer

from holdfast.core.errors import Reason
from holdfast.core.items import MUST, Output, Text
from holdfast.core.limits import SessionLimits, StoreLimits
from holdfast.sessions.journal import Journal, StoreUnavailableError
from holdfast.sessions.manager import UNANSWERED, SessionManager
from holdfast.sessions.outbox import Entry
from holdfast.sessions.records import Batch, Record, Stored
from holdfast.sessions.session import Session
from holdfast.sessions.states import Durability, SessionInput
from holdfast.sessions.stores.base import StoreFullError, StoreMissingError
from holdfast.sessions.stores.memory import MemoryStore

LIMITS = StoreLimits(
    journal_bytes_max=2_000,
    snapshot_bytes_max=300,
    retry_seconds_max=0.01,
    commit_seconds_max=0.01,
    check_seconds_max=0.01,
)


def items(record: Record) -> list[Output]:
    return [entry.item for entry in record.outs if isinstance(entry, Entry)]


class FlakyStore(MemoryStore):
    """A store that refuses as long as `full` is set, and remembers its batches."""

    def __init__(self) -> None:
        super().__init__()
        self.full = False
        self.missing = False
        self.batches: list[Batch] = []
        self.committed = asyncio.Event()

    async def commit(self, batch: Batch) -> int:
        if self.full:
            raise StoreFullError("store: the disk is full")
        self.batches.append(batch)
        self.committed.set()
        return await super().commit(batch)

    async def check(self) -> None:
        if self.missing:
            raise StoreMissingError("store: it is not there any more")


class Setting:
    def __init__(self, *, promises: bool = True) -> None:
        self.accepted: list[dict[str, int]] = []
        self.later: list[Callable[[], None]] = []
        self.journal = Journal(LIMITS, self.accepted.append, promises=promises)
        self.manager = SessionManager(SessionLimits(), self.journal, self.later.append)
        self.backend = RecordingBackend()
        self.store = FlakyStore()

    def session(self, durability: Durability = Durability.FAST) -> Session:
        session = self.manager.create(self.backend, durability, 0.0)
        session.mark_row_dirty()
        return session

    async def commit(self) -> Batch:
        commit = self.journal.collect()
        self.journal.committed(commit, await self.store.commit(commit.batch))
        return commit.batch

    async def reopened(self) -> tuple[SessionManager, Stored]:
        """What the next run of a gateway finds."""
        stored = await self.store.open()
        journal = Journal(LIMITS, lambda marks: None)
        manager = SessionManager(SessionLimits(), journal, lambda action: None)
        manager.restore(stored, lambda row: self.backend, 100.0)
        return manager, stored

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.journal.run(self.store))
            yield
            self.journal.stop()


@pytest.fixture
async def setting() -> Setting:
    return Setting()


async def test_a_commit_holds_the_news_of_every_session_that_has_any(setting: Setting) -> None:
    ann, bob, quiet = (setting.session() for _ in range(3))
    await setting.commit()
    for session in (ann, bob, ann):
        session.emit(Text("x"), MUST, 1.0)
    batch = await setting.commit()
    news = {sid: len(record.outs) for sid, record in batch.records}
    assert news == {ann.sid: 2, bob.sid: 1}
    assert batch.rows == []
    assert quiet.sid not in news


async def test_a_session_kept_in_memory_is_never_stored(setting: Setting) -> None:
    session = setting.session(Durability.MEMORY)
    session.emit(Text("x"), MUST, 1.0)
    assert setting.journal.idle
    assert (await setting.commit()).records == []


async def test_what_was_acknowledged_before_its_commit_is_not_written(setting: Setting) -> None:
    session = setting.session()
    for _ in range(5):
        session.emit(Text("x"), MUST, 1.0)
    session.out.take(5)
    session.out.ack(4)
    batch = await setting.commit()
    ((_, record),) = batch.records
    assert (len(record.outs), record.top, record.base) == (1, 5, 4)
    manager, _ = await setting.reopened()
    (restored,) = manager.sessions.values() or [session]
    assert restored.out.top == 5


async def test_a_durable_session_asks_for_the_disk_and_a_fast_one_does_not(
    setting: Setting,
) -> None:
    setting.session(Durability.FAST)
    assert not (await setting.commit()).sync
    setting.session(Durability.DURABLE)
    assert (await setting.commit()).sync


async def test_news_of_the_time_of_a_commit_belong_into_the_next(setting: Setting) -> None:
    session = setting.session()
    session.emit(Text("a"), MUST, 1.0)
    commit = setting.journal.collect()
    session.emit(Text("b"), MUST, 1.0)
    setting.journal.committed(commit, await setting.store.commit(commit.batch))
    ((_, record),) = (await setting.commit()).records
    assert items(record) == [Text("b")]


async def test_a_refused_commit_is_made_again_with_what_came_meanwhile(setting: Setting) -> None:
    session, gone = setting.session(), setting.session()
    await setting.commit()
    session.emit(Text("a"), MUST, 1.0)
    setting.manager.close(gone, Reason.KICKED)
    setting.journal.accept("i1", 3)
    setting.journal.keep("k", b"v")
    setting.journal.forget("i0")
    commit = setting.journal.collect()
    session.emit(Text("b"), MUST, 1.0)
    setting.journal.accept("i1", 4)
    setting.journal.failed(commit, StoreFullError("full"))
    assert setting.accepted == []
    batch = await setting.commit()
    ((_, record),) = batch.records
    assert items(record) == [Text("a"), Text("b")]
    assert batch.deleted == [gone.sid]
    assert (batch.accepted, batch.settings) == ({"i1": 4}, {"k": b"v"})
    assert batch.forgotten == ["i0"]
    assert setting.accepted == [{"i1": 4}]


async def test_a_closed_session_is_deleted_and_its_news_are_not_written(setting: Setting) -> None:
    session = setting.session()
    await setting.commit()
    session.emit(Text("x"), MUST, 1.0)
    setting.manager.close(session, Reason.KICKED)
    session.emit(Text("late"), MUST, 1.0)
    batch = await setting.commit()
    assert batch.deleted == [session.sid]
    assert batch.records == []


async def test_the_journal_is_kept_short_and_nothing_in_it_is_lost(setting: Setting) -> None:
    sessions = [setting.session() for _ in range(8)]
    longest = 0
    for number in range(300):
        sessions[number % 7].emit(Text(f"output {number}"), MUST, 1.0)
        await setting.commit()
        longest = max(longest, sum(map(len, setting.store._journal.values())))
    # Compaction begins at 2,000 bytes and takes a few commits, which add to it.
    assert longest < 8_000
    expected = {session.sid: [e.item for e in session.out.entries] for session in sessions}
    stored = await setting.store.open()
    journal = Journal(LIMITS, lambda marks: None)
    for kept in stored.sessions:
        kept.row.state = "active"
    manager = SessionManager(SessionLimits(), journal, lambda action: None)
    manager.restore(stored, lambda row: setting.backend, 100.0)
    found = {
        sid: [e.item for e in session.out.entries] for sid, session in manager.sessions.items()
    }
    assert found == expected


async def test_the_loop_commits_by_itself_and_tells_who_waits(setting: Setting) -> None:
    async with setting.running(), asyncio.timeout(5):
        setting.session()
        await setting.journal.settled()
        assert setting.store.batches
        setting.store.committed.clear()
        setting.session()
        await setting.store.committed.wait()


async def test_stopping_commits_what_is_left(setting: Setting) -> None:
    async with setting.running():
        session = setting.session()
    assert [row.sid for batch in setting.store.batches for row in batch.rows] == [session.sid]
    assert setting.journal.idle


async def test_a_store_that_refuses_is_told_of_and_tried_again(setting: Setting) -> None:
    async with setting.running(), asyncio.timeout(5):
        setting.store.full = True
        session = setting.session()
        with pytest.raises(StoreUnavailableError, match="the disk is full"):
            await setting.journal.settled()
        assert setting.journal.broken is not None
        with pytest.raises(StoreUnavailableError, match="the disk is full"):
            await setting.journal.settled()
        setting.store.full = False
        await setting.store.committed.wait()
        await setting.journal.settled()
        assert setting.journal.broken is None
    assert session.sid in {row.sid for batch in setting.store.batches for row in batch.rows}


async def test_a_store_that_refuses_to_the_end_leaves_the_journal_unsettled(
    setting: Setting,
) -> None:
    setting.store.full = True
    async with setting.running():
        setting.session()
    assert not setting.journal.idle


# --- the end of a session


def connected(setting: Setting, durability: Durability) -> tuple[Session, RecordingConsumer]:
    session, consumer = setting.session(durability), RecordingConsumer()
    session.open(consumer, numbered=False)
    return session, consumer


async def test_the_end_of_a_durable_session_is_told_once_it_is_stored(setting: Setting) -> None:
    session, consumer = connected(setting, Durability.DURABLE)
    await setting.commit()
    setting.manager.close(session, Reason.KICKED)
    assert session.sid not in setting.manager.sessions
    assert consumer.closed == []
    batch = await setting.commit()
    assert (batch.deleted, batch.sync) == ([session.sid], True)
    assert consumer.closed == [Reason.KICKED]
    assert setting.backend.told[-1] == ("ended", session, Reason.KICKED)


async def test_the_end_of_a_fast_session_is_told_at_once_and_stored_at_once(
    setting: Setting,
) -> None:
    session, consumer = connected(setting, Durability.FAST)
    await setting.commit()
    setting.manager.close(session, Reason.KICKED)
    assert consumer.closed == [Reason.KICKED]
    assert setting.journal._hurry.is_set()
    assert (await setting.commit()).deleted == [session.sid]


async def test_nobody_waits_for_an_end_that_cannot_be_stored(setting: Setting) -> None:
    session, consumer = connected(setting, Durability.DURABLE)
    setting.manager.close(session, Reason.KICKED)
    setting.journal.failed(setting.journal.collect(), StoreFullError("full"))
    assert consumer.closed == [Reason.KICKED]
    later, another = connected(setting, Durability.DURABLE)
    setting.manager.close(later, Reason.KICKED)
    assert another.closed == [Reason.KICKED]
    assert (await setting.commit()).deleted == [session.sid, later.sid]


async def test_a_session_that_cannot_be_written_keeps_no_other_from_being_stored(
    setting: Setting,
) -> None:
    async with setting.running(), asyncio.timeout(5):
        good, bad = setting.session(), setting.session()
        bad.row.attempt = 2**70
        await setting.journal.settled()
    assert list(setting.manager.sessions.values()) == [good]
    assert ("ended", bad, Reason.INTERNAL_ERROR) in setting.backend.told


async def test_a_closed_session_is_not_kept_in_memory(setting: Setting) -> None:
    for _ in range(20):
        session = setting.session()
        await setting.commit()
        setting.manager.close(session, Reason.KICKED)
    await setting.commit()
    assert not setting.journal._compaction._journaled
    session = setting.session()
    commit = setting.journal.collect()
    setting.manager.close(session, Reason.KICKED)  # while its commit is under way
    setting.journal.committed(commit, await setting.store.commit(commit.batch))
    assert not setting.journal._compaction._journaled


async def test_a_row_is_stored_as_it_was_when_it_was_collected(setting: Setting) -> None:
    session = setting.session()
    setting.manager.join(session, "lobby")
    commit = setting.journal.collect()
    setting.manager.join(session, "garden")
    session.row.tokens.issue(session.sid)
    session.row.user = "ann"
    ((row),) = commit.batch.rows
    assert (row.groups, row.user) == (("lobby",), "")
    assert row.tokens.current == bytes(32)


# --- a store that refuses


async def test_a_store_that_is_not_where_it_was_is_noticed_without_a_commit(
    setting: Setting,
) -> None:
    turned = asyncio.Event()
    async with setting.running(), asyncio.timeout(5):
        setting.journal.on_turned = turned.set
        setting.store.missing = True
        await turned.wait()
        assert isinstance(setting.journal.broken, StoreMissingError)
        turned.clear()
        setting.store.missing = False
        await turned.wait()
        assert setting.journal.broken is None


async def test_without_promises_nothing_waits_for_a_store_that_refuses() -> None:
    setting = Setting(promises=False)
    session, consumer = connected(setting, Durability.DURABLE)
    setting.journal.promised({})
    await setting.commit()
    assert session.deliverable == 0
    session.emit(Text("a"), MUST, 1.0)
    setting.journal.accept("i1", 1)
    assert session.deliverable == 0
    setting.journal.failed(setting.journal.collect(), StoreFullError("full"))
    assert setting.accepted == [{"i1": 1}]
    assert session.deliverable == 1
    setting.journal.accept("i1", 2)
    assert setting.accepted == [{"i1": 1}, {"i1": 2}]
    delivered = consumer.delivered
    session.emit(Text("b"), MUST, 1.0)
    setting.later.pop()()
    assert consumer.delivered == delivered + 1
    session.receive_numbered(1, Text("look"))
    assert consumer.acknowledged[-1] == 1
    await setting.commit()
    assert setting.accepted[-1] == {"i1": 2}
    session.emit(Text("c"), MUST, 1.0)
    assert session.deliverable == 2  # it is durable again


async def test_numbers_that_were_shown_without_being_stored_are_not_used_twice() -> None:
    setting = Setting(promises=False)
    session, _ = connected(setting, Durability.DURABLE)
    for given in (SessionInput.NEGOTIATED, SessionInput.AUTHENTICATED, SessionInput.SELECTED):
        session.apply(given)
    setting.journal.promised({})
    await setting.commit()
    await setting.store.close(clean=False)
    manager, _ = await setting.reopened()
    (again,) = manager.sessions.values()
    assert again.row.epoch != session.row.epoch
    assert [end.epoch for end in again.row.ends] == [session.row.epoch]


async def test_who_waits_for_a_durable_answer_is_told_once(setting: Setting) -> None:
    (_, durable), (_, fast) = (connected(setting, kind) for kind in list(Durability)[:0:-1])
    for _ in range(3):
        setting.journal.failed(setting.journal.collect(), StoreFullError("full"))
    assert durable.shown == [UNANSWERED]
    assert fast.shown == []


# --- after an unclean stop


async def test_new_epochs_are_stored_a_few_at_a_time_and_nobody_waits_for_them() -> None:
    setting = Setting()
    sessions = [setting.session() for _ in range(2_500)]
    for session in sessions:
        session.row.state = "detached_active"
    await setting.commit()
    await setting.store.close(clean=False)
    stored = await setting.store.open()
    assert not stored.clean
    journal = Journal(StoreLimits(), lambda marks: None)
    manager = SessionManager(SessionLimits(), journal, lambda action: None)
    manager.restore(stored, lambda row: setting.backend, 100.0)
    hasty = manager.sessions[sessions[0].sid]
    assert hasty.row.epoch != sessions[0].row.epoch
    hasty.mark_row_dirty()
    sizes, first = [], set[str]()
    while not journal.idle:
        commit = journal.collect()
        sizes.append(len(commit.batch.rows))
        first = first or {row.sid for row in commit.batch.rows}
        journal.committed(commit, await setting.store.commit(commit.batch))
    assert hasty.sid in first
    assert max(sizes) <= 201
    assert sum(sizes) == 2_500
    await setting.store.close(clean=True)
    again = await setting.store.open()
    epochs = {kept.row.sid: kept.row.epoch for kept in again.sessions}
    assert epochs == {sid: session.row.epoch for sid, session in manager.sessions.items()}


async def test_a_stop_waits_for_what_is_in_no_hurry(setting: Setting) -> None:
    sessions = [setting.session() for _ in range(10)]
    setting.journal.postpone()
    async with setting.running():
        pass
    assert setting.journal.idle
    rows = [row.sid for batch in setting.store.batches for row in batch.rows]
    assert sorted(rows) == sorted(session.sid for session in sessions)
