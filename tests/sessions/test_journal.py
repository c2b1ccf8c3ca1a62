"""The group commit, driven by hand and by its loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from random import Random

import pytest
from tests.sessions.kept import restore
from tests.sessions.test_manager import RecordingBackend, RecordingConsumer

from holdfast.core.errors import Reason
from holdfast.core.ids import unpack_sid
from holdfast.core.items import MUST, Output, Text
from holdfast.core.limits import SessionLimits, StoreLimits
from holdfast.sessions.compaction import Compaction
from holdfast.sessions.dormant import DormantSession
from holdfast.sessions.journal import Journal
from holdfast.sessions.manager import UNANSWERED, SessionManager
from holdfast.sessions.outbox import OutputEntry, shared
from holdfast.sessions.records import Batch, Record, Recovered
from holdfast.sessions.session import Session
from holdfast.sessions.states import Durability, SessionInput
from holdfast.sessions.stores.base import (
    StoreError,
    StoreFencedError,
    StoreFullError,
    StoreMissingError,
)
from holdfast.sessions.stores.memory import MemoryStore
from holdfast.sessions.waiters import StoreUnavailableError

LIMITS = StoreLimits(
    journal_bytes_max=2_000,
    snapshot_bytes_max=300,
    retry_seconds_max=0.01,
    commit_seconds_max=0.01,
    check_seconds_max=0.01,
)


def items(record: Record) -> list[Output]:
    return [entry.item for entry in record.outs if isinstance(entry, OutputEntry)]


class FlakyStore(MemoryStore):
    """A store that refuses as long as `full` is set, and remembers its batches."""

    def __init__(self) -> None:
        super().__init__()
        self.full = False
        self.missing = False
        self.unfolded = 0
        """How many calls of `recover` are refused."""
        self.batches: list[Batch] = []
        self.committed = asyncio.Event()

    async def commit(self, batch: Batch) -> int:
        if self.full:
            raise StoreFullError("store: the disk is full")
        self.batches.append(batch)
        self.committed.set()
        return await super().commit(batch)

    @property
    def journal_bytes(self) -> int:
        return sum(len(entry) + len(shared) for entry, shared in self._journal.values())

    async def recover(self, count: int) -> Recovered:
        if self.unfolded:
            self.unfolded -= 1
            raise StoreFullError("store: the disk is full")
        return await super().recover(count)

    async def check(self) -> None:
        if self.missing:
            raise StoreMissingError("store: it is not there any more")


class Setting:
    def __init__(self, *, promises: bool = True) -> None:
        self.accepted: list[dict[str, int]] = []
        self.later: list[Callable[[], bool]] = []
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

    async def reopened(self) -> SessionManager:
        """What the next run of a gateway finds, with all sessions loaded."""
        manager = await self.restarted()
        await manager.loader.load_all(self.backend, 100.0)
        return manager

    async def restarted(self, time: float = 100.0) -> SessionManager:
        """The next run of a gateway, in which nobody has needed anything yet."""
        self.journal = Journal(LIMITS, lambda marks: None)
        self.manager = SessionManager(SessionLimits(), self.journal, lambda action: None)
        self.manager.loader.store = self.store
        restore(self.manager, await self.store.open(), self.backend, time)
        return self.manager

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
    news = {unpack_sid(packed): len(record.outs) for packed, record in batch.records}
    assert news == {ann.sid: 2, bob.sid: 1}
    assert batch.rows == []
    assert quiet.sid not in news


async def test_a_journal_without_news_commits_nothing(setting: Setting) -> None:
    """It waits for news, and looks now and then whether the store is still there."""
    checks = asyncio.Semaphore(0)

    async def check() -> None:
        checks.release()

    setting.store.check = check  # type: ignore[method-assign]
    async with setting.running(), asyncio.timeout(20):
        session = setting.session()
        await setting.store.committed.wait()
        session.emit(Text("x"), MUST, 1.0)
        while len(setting.store.batches) < 2:
            setting.store.committed.clear()
            await setting.store.committed.wait()
        for _ in range(5):  # each after as long as a commit waits for company
            await checks.acquire()
        assert len(setting.store.batches) == 2


async def test_a_session_kept_in_memory_is_never_stored(setting: Setting) -> None:
    session = setting.session(Durability.MEMORY)
    session.emit(Text("x"), MUST, 1.0)
    assert setting.journal.idle
    assert (await setting.commit()).records == []


async def test_what_was_acknowledged_before_its_commit_is_not_written(setting: Setting) -> None:
    session = active(setting)
    for _ in range(5):
        session.emit(Text("x"), MUST, 1.0)
    session.out.take(5)
    session.out.ack(4)
    batch = await setting.commit()
    ((_, record),) = batch.records
    assert (len(record.outs), record.top, record.base) == (1, 5, 4)
    manager = await setting.reopened()
    (restored,) = manager.sessions.values()
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


async def test_a_durable_session_is_stored_at_once_unless_others_are_expected(
    setting: Setting,
) -> None:
    session = setting.session(Durability.DURABLE)
    hurry = setting.journal._hurry
    assert hurry.is_set
    await setting.commit()
    session.emit(Text("a"), MUST, 1.0)
    assert hurry.is_set
    for _ in range(2):
        setting.journal.when_settled(lambda error: None)
    commit = setting.journal.collect()
    session.emit(Text("b"), MUST, 1.0)
    assert not hurry.is_set
    setting.journal.committed(commit, 0)
    assert not hurry.is_set, "the two that were told are expected again"
    for _ in range(2):
        setting.journal.when_settled(lambda error: None)
    assert hurry.is_set


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
    sessions = [active(setting) for _ in range(8)]
    longest = 0
    for number in range(300):
        sessions[number % 7].emit(Text(f"output {number}"), MUST, 1.0)
        await setting.commit()
        longest = max(longest, setting.store.journal_bytes)
    # Cleaning begins at 2,000 bytes and takes a few commits, which add to it.
    assert longest < 8_000
    expected = {session.sid: [e.item for e in session.out.entries] for session in sessions}
    manager = await setting.reopened()
    found = {
        sid: [e.item for e in session.out.entries] for sid, session in manager.sessions.items()
    }
    assert found == expected


async def test_what_is_done_with_is_dropped_in_slices(setting: Setting) -> None:
    limits = StoreLimits(journal_bytes_max=4_000, dropped_bytes_max=500)
    setting.journal.compaction = Compaction(limits)
    session = active(setting)
    dropped, longest = 0, 0
    for _ in range(400):
        session.emit(Text("x" * 60), MUST, 1.0)
        session.out.prove(session.out.top - 1)
        before = setting.store.journal_bytes
        commit = setting.journal.collect()
        size = await setting.store.commit(commit.batch)
        setting.journal.committed(commit, size)
        gone = before + size - setting.store.journal_bytes
        dropped += gone
        longest = max(longest, gone)
    assert dropped > 20_000
    assert longest < 500 + 250  # the limit, and what goes beyond it


async def test_outputs_that_sessions_share_count_for_the_snapshots_of_a_commit(
    setting: Setting,
) -> None:
    limits = StoreLimits(journal_bytes_max=1_000, snapshot_bytes_max=2_000)
    setting.journal.compaction = Compaction(limits)
    entry = shared(Text("x" * 3_000), MUST, 1.0)
    assert entry is not None
    for session in [active(setting) for _ in range(3)]:
        session.emit_shared(entry)
    await setting.commit()
    assert [len((await setting.commit()).snapshots) for _ in range(3)] == [1, 1, 1]


async def test_a_commit_has_so_many_snapshots_however_small_they_are(setting: Setting) -> None:
    setting.journal.compaction = Compaction(
        StoreLimits(journal_bytes_max=1_000, snapshot_bytes_max=2_000)
    )
    for session in [active(setting) for _ in range(100)]:
        session.emit(Text(""), MUST, 1.0)
    await setting.commit()
    counts: list[int] = []
    while sum(counts) < 100:
        counts.append(len((await setting.commit()).snapshots))
    assert max(counts) < 10


async def test_the_snapshots_of_a_commit_are_neighbours_in_the_store(setting: Setting) -> None:
    setting.journal.compaction = Compaction(
        StoreLimits(journal_bytes_max=1_000, snapshot_bytes_max=2_000)
    )
    sessions = [active(setting) for _ in range(100)]
    for session in Random(1).sample(sessions, 100):
        session.emit(Text(""), MUST, 1.0)
    await setting.commit()
    found: list[str] = []
    while len(found) < 99:
        if found:
            setting.manager.close(sessions[98], Reason.KICKED)  # needs none any more
        found += [sid for sid, _ in (await setting.commit()).snapshots]
    assert found == [session.sid for session in sessions if session is not sessions[98]]


async def test_the_loop_commits_by_itself_and_tells_who_waits(setting: Setting) -> None:
    async with setting.running(), asyncio.timeout(5):
        setting.session()
        await setting.journal.settled()
        assert setting.store.batches
        setting.store.committed.clear()
        setting.session()
        await setting.store.committed.wait()


async def test_very_many_who_wait_go_on_in_several_passes_and_in_order(setting: Setting) -> None:
    told: list[int] = []
    for number in range(130):
        setting.journal.when_settled(lambda error, number=number: told.append(number))  # type: ignore[misc]
    setting.session()
    await setting.commit()
    assert 0 < len(told) < 130
    setting.journal.when_settled(lambda error: told.append(130))
    setting.session()
    await setting.commit()
    async with asyncio.timeout(30):
        while len(told) < 131:
            before = len(told)
            await asyncio.sleep(0)
            assert len(told) - before <= 50
    assert told == list(range(131))


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


@pytest.mark.parametrize("error", [StoreFencedError("fenced"), StoreFullError("full"), None])
async def test_nobody_waits_for_a_journal_that_has_ended(
    setting: Setting, error: StoreError | None
) -> None:
    told: list[StoreUnavailableError | None] = []
    waits = asyncio.Event()

    async def commit(batch: Batch) -> int:
        if not waits.is_set():  # who comes during the last commit waits for the next one
            setting.journal.when_settled(told.append)
            waits.set()
            await asyncio.sleep(0)
        if error is not None:
            raise error
        return 0

    setting.store.commit = commit  # type: ignore[method-assign]
    setting.journal.on_fenced = lambda error: None
    async with setting.running(), asyncio.timeout(5):
        setting.session()
        await waits.wait()
    assert [one is None for one in told] == [error is None]
    with pytest.raises(StoreUnavailableError):
        await setting.journal.settled()


# --- the end of a session


def active(
    setting: Setting,
    durability: Durability = Durability.FAST,
    manager: SessionManager | None = None,
) -> Session:
    """An active session, in the present run."""
    session = (manager or setting.manager).create(setting.backend, durability, 0.0)
    for given in (SessionInput.NEGOTIATED, SessionInput.AUTHENTICATED, SessionInput.SELECTED):
        session.apply(given)
    return session


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
    assert setting.journal._hurry.is_set
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
    assert not setting.journal.compaction._journaled
    session = setting.session()
    commit = setting.journal.collect()
    setting.manager.close(session, Reason.KICKED)  # while its commit is under way
    setting.journal.committed(commit, await setting.store.commit(commit.batch))
    assert not setting.journal.compaction._journaled


async def test_a_row_is_stored_as_it_was_when_it_was_collected(setting: Setting) -> None:
    session = setting.session()
    setting.manager.groups.join(session, "lobby")
    commit = setting.journal.collect()
    setting.manager.groups.join(session, "garden")
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


async def test_a_store_that_fails_in_another_way_is_tried_again(
    setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing, stored = [OSError("the disk is on fire")], list[str]()

    async def commit(batch: Batch) -> int:
        if failing:
            raise failing.pop()
        stored.extend(row.sid for row in batch.rows)
        return await MemoryStore.commit(setting.store, batch)

    monkeypatch.setattr(setting.store, "commit", commit)
    session = setting.session()
    async with setting.running(), asyncio.timeout(5):
        with pytest.raises(StoreUnavailableError, match="a commit failed: the disk is on fire"):
            await setting.journal.settled()
        turned = asyncio.Event()
        setting.journal.on_turned = turned.set
        await turned.wait()
        assert setting.journal.broken is None
        assert stored == [session.sid]


async def test_without_promises_nothing_waits_for_a_store_that_refuses() -> None:
    setting = Setting(promises=False)
    session, consumer = connected(setting, Durability.DURABLE)
    setting.journal.promised({})
    await setting.commit()
    assert session.deliverable() == 0
    session.emit(Text("a"), MUST, 1.0)
    setting.journal.accept("i1", 1)
    assert session.deliverable() == 0
    setting.journal.failed(setting.journal.collect(), StoreFullError("full"))
    assert setting.accepted == [{"i1": 1}]
    assert session.deliverable() == 1
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
    assert session.deliverable() == 2  # it is durable again


async def test_numbers_that_were_shown_without_being_stored_are_not_used_twice() -> None:
    setting = Setting(promises=False)
    session, _ = connected(setting, Durability.DURABLE)
    for given in (SessionInput.NEGOTIATED, SessionInput.AUTHENTICATED, SessionInput.SELECTED):
        session.apply(given)
    setting.journal.promised({})
    await setting.commit()
    await setting.store.close(clean=False)
    manager = await setting.reopened()
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


async def test_a_session_that_is_loaded_late_begins_the_epoch_of_its_unclean_stop() -> None:
    setting = Setting()
    session = active(setting)
    session.emit(Text("seen"), MUST, 1.0)
    await setting.commit()
    before = session.row.epoch
    await setting.store.close(clean=False)
    for _ in range(2):  # runs in which nobody needs it
        manager = await setting.restarted()
        await setting.commit()
        await setting.store.close(clean=True)
    manager = await setting.restarted()
    assert not manager.sessions
    await manager.loader.load([session.sid], 100.0)
    again = manager.sessions[session.sid]
    assert [(end.epoch, end.top) for end in again.row.ends] == [(before, 1)]
    assert again.inbox.offset > 0
    ((row),) = (await setting.commit()).rows
    assert row.epoch == again.row.epoch
    await setting.store.close(clean=True)
    manager = await setting.reopened()
    assert manager.sessions[session.sid].row.epoch == again.row.epoch


async def test_a_session_of_an_orderly_stop_goes_on_as_it_was(setting: Setting) -> None:
    session = active(setting)
    session.apply(SessionInput.DROPPED)
    await setting.commit()
    await setting.store.close(clean=True)
    manager = await setting.reopened()
    again = manager.sessions[session.sid]
    assert (again.row.epoch, again.row.ends) == (session.row.epoch, ())
    assert setting.journal.idle


async def test_a_durable_session_keeps_its_epoch_if_every_run_kept_its_promises() -> None:
    for promises in (True, False):
        setting = Setting(promises=promises)
        session = active(setting, Durability.DURABLE)
        setting.journal.promised({})
        await setting.commit()
        await setting.store.close(clean=False)
        await setting.restarted()
        await setting.commit()
        await setting.store.close(clean=False)  # the run before this one may have broken them
        manager = await setting.reopened()
        again = manager.sessions[session.sid]
        assert (again.row.epoch == session.row.epoch) is promises


async def test_who_was_connected_counts_as_away_since_the_first_start_after_that() -> None:
    setting = Setting()
    session = active(setting)
    await setting.commit()
    await setting.store.close(clean=False)
    for time in (100.0, 200.0):
        await setting.restarted(time)
        await setting.commit()
        dormant = setting.manager.find(session.sid)
        assert isinstance(dormant, DormantSession)
        assert dormant.detached == 100.0
        await setting.store.close(clean=time == 100.0)
    await setting.manager.loader.load([session.sid], 200.0)
    assert setting.manager.sessions[session.sid].row.detached == 100.0


# --- the journal of the run before


async def test_the_journal_of_the_run_before_is_folded_once_it_is_long(setting: Setting) -> None:
    sessions = [active(setting) for _ in range(6)]
    for number in range(40):
        for session in sessions:
            session.emit(Text(f"output {number}"), MUST, 1.0)
        await setting.commit()
    expected = [e.item for e in sessions[0].out.entries]
    journal_bytes = setting.store.journal_bytes
    await setting.store.close(clean=True)
    manager = await setting.restarted()
    busy = active(setting, manager=manager)
    async with setting.running(), asyncio.timeout(5):
        while setting.store.journal_bytes >= journal_bytes / 2:
            busy.emit(Text("x"), MUST, 1.0)
            await setting.journal.settled()
    assert len(manager.loader.dormant) == 6
    await manager.loader.load([sessions[0].sid], 100.0)
    assert [e.item for e in manager.sessions[sessions[0].sid].out.entries] == expected
    await setting.store.close(clean=True)
    manager = await setting.reopened()
    assert [e.item for e in manager.sessions[sessions[5].sid].out.entries] == expected


async def test_what_cannot_be_folded_is_set_aside(setting: Setting) -> None:
    good, bad = active(setting), active(setting)
    for session in (good, bad):
        session.emit(Text("x" * 1_500), MUST, 1.0)
    await setting.commit()
    await setting.store.close(clean=True)
    manager = await setting.restarted()
    setting.store._snapshots[bad.sid] = b"damaged", 0
    busy = active(setting, manager=manager)
    async with setting.running(), asyncio.timeout(5):
        while manager.find(bad.sid) is not None:
            busy.emit(Text("x"), MUST, 1.0)
            await setting.journal.settled()
    assert manager.counts.set_aside > 0
    assert manager.find(good.sid) is not None
    assert {kept.sid for kept in setting.store._set_aside} == {bad.sid}
    stored = await setting.store.open()
    assert bad.sid not in {head.sid for head in stored.heads}


async def test_a_store_that_does_not_fold_is_asked_again(setting: Setting) -> None:
    session = active(setting)
    session.emit(Text("x" * 3_000), MUST, 1.0)
    await setting.commit()
    await setting.store.close(clean=True)
    await setting.restarted()
    setting.store.unfolded = 3
    busy = active(setting)
    async with setting.running(), asyncio.timeout(5):
        while setting.store._tail.left:
            busy.emit(Text("x"), MUST, 1.0)
            await setting.journal.settled()
    assert setting.store.unfolded == 0


@pytest.mark.parametrize("shared_output", [False, True], ids=["changed", "extended"])
async def test_a_commit_begins_at_once_when_very_many_sessions_have_news(
    shared_output: bool,
) -> None:
    setting = Setting()
    sessions = [active(setting, Durability.FAST) for _ in range(3)]
    await setting.commit()
    setting.store.batches.clear()
    setting.store.committed.clear()
    setting.journal._limits = StoreLimits(commit_sessions_max=3, commit_seconds_max=3_600.0)
    entry = shared(Text("x"), MUST, 1.0)
    assert entry is not None

    def say(session: Session) -> None:
        if shared_output:
            session.emit_shared(entry)
        else:
            session.emit(Text("x"), MUST, 1.0)

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(setting.journal.run(setting.store))
        for session in sessions[:2]:
            say(session)
        for _ in range(10):
            await asyncio.sleep(0)
        assert setting.store.batches == []
        say(sessions[2])
        async with asyncio.timeout(60.0):
            await setting.store.committed.wait()
        setting.journal.stop()
    batch = setting.store.batches[0]
    assert len(batch.records) + sum(len(keys) for keys, _ in batch.extensions) == 3
