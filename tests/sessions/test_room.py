"""What all windows, and all queues, of a node may take together."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs
from tests.sessions.test_manager import RecordingBackend, RecordingConsumer
from tests.written import written_bytes

from holdfast.core.errors import Reason
from holdfast.core.items import MUST, Text
from holdfast.core.limits import KIB, SessionLimits, StoreLimits
from holdfast.sessions.inbox import Verdict
from holdfast.sessions.journal import Journal
from holdfast.sessions.manager import SessionManager
from holdfast.sessions.outbox import SharedEntry, shared
from holdfast.sessions.population import Member
from holdfast.sessions.room import STEP_BYTES, Room
from holdfast.sessions.session import Session
from holdfast.sessions.states import Durability, SessionInput
from holdfast.sessions.stores.sqlite import SQLiteFile

LIMITS = SessionLimits(
    node_windows_bytes_max=64 * KIB, node_queues_bytes_max=4 * KIB, window_bytes_max=16 * KIB
)
STORE_LIMITS = StoreLimits()


class Setting:
    def __init__(self, limits: SessionLimits = LIMITS, store: StoreLimits = STORE_LIMITS) -> None:
        self.backend = RecordingBackend()
        self.journal = Journal(store, lambda marks: None)
        self.manager = SessionManager(limits, self.journal, lambda action: None)

    def come(self) -> tuple[Session, RecordingConsumer]:
        session = self.manager.create(self.backend, Durability.FAST, 0.0)
        consumer = RecordingConsumer()
        session.open(consumer, numbered=True)
        for given_ in (SessionInput.NEGOTIATED, SessionInput.AUTHENTICATED, SessionInput.SELECTED):
            session.apply(given_)
        return session, consumer

    def away(self, count: int) -> list[Session]:
        sessions = [self.come()[0] for _ in range(count)]
        for now, session in enumerate(sessions):
            session.detach(Reason.NETWORK_ERROR, float(now))
        return sessions

    def say(self, session: Session, size: int) -> None:
        session.emit(Text("x" * (size - 32)), MUST, 0.0)


@pytest.fixture
def setting() -> Setting:
    return Setting()


def test_the_windows_of_who_is_away_longest_are_let_go_first(setting: Setting) -> None:
    sessions = setting.away(8)
    for session in sessions:
        for _ in range(10):
            setting.say(session, KIB)
    assert all(session.out.size == 10 * KIB for session in sessions[5:])
    assert setting.manager.windows.used <= 64 * KIB
    assert sessions[0].out.entries == []
    assert sessions[0].out.lost == 10  # and whoever comes back is told so
    forgotten = setting.manager.retention.windows_forgotten
    assert 1 <= forgotten <= 6
    sessions = setting.away(8)
    with capture_logs() as logs:
        for session in sessions:
            for _ in range(10):
                setting.say(session, KIB)
    assert {log["event"] for log in logs} == {"windows of detached sessions dropped"}
    assert setting.manager.windows.used <= 64 * KIB


def test_sessions_are_not_looked_through_for_each_output_where_nothing_can_be_let_go(
    setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    walks = 0
    waiting = setting.manager.population.waiting

    def look() -> Iterator[Member]:
        nonlocal walks
        walks += 1
        return waiting()

    monkeypatch.setattr(setting.manager.population, "waiting", look)
    setting.manager.windows.charge(64 * KIB)  # the clients that have it are connected
    before = walks
    (session,) = setting.away(1)
    for _ in range(50):
        setting.say(session, KIB)
    assert walks - before <= 1
    setting.manager.windows.give(64 * KIB)
    setting.manager.expire(0.0)
    for other in setting.away(8):
        for _ in range(10):
            setting.say(other, KIB)
    assert walks - before > 1
    assert setting.manager.windows.used <= 64 * KIB


def test_what_was_let_go_is_let_go_in_the_store_too(setting: Setting) -> None:
    session, *_ = setting.away(1)
    setting.say(session, KIB)
    setting.journal.committed(setting.journal.collect(), 0)
    session.forget_window()
    ((_, record),) = setting.journal.collect().batch.records
    assert (record.base, record.top, record.outs) == (1, 1, [])


def test_what_is_given_back_can_be_taken_again(setting: Setting) -> None:
    for _ in range(50):
        session, _ = setting.come()
        for _ in range(16):
            setting.say(session, KIB)
        setting.manager.close(session, Reason.KICKED)
    assert setting.manager.windows.used == 0
    assert setting.manager.retention.windows_forgotten == 0


def test_a_client_that_acknowledges_holds_no_room_for_long(setting: Setting) -> None:
    session, _ = setting.come()
    for _ in range(10):
        setting.say(session, KIB)
    session.out.take(10)
    session.out.ack(10)
    setting.manager.expire(0.0)
    assert setting.manager.windows.used == 0


def test_an_output_for_many_takes_room_once(setting: Setting) -> None:
    sessions = setting.away(50)
    said = shared(Text("y" * 8_000), MUST, 0.0)
    assert said is not None
    for session in sessions:
        session.emit_shared(said)
    assert said.holders == 50
    assert setting.manager.windows.used == said.size
    assert setting.manager.retention.windows_forgotten == 0
    for session in sessions:
        setting.manager.close(session, Reason.KICKED)
    assert setting.manager.windows.used == 0


def test_a_window_holds_no_more_because_it_is_shared(setting: Setting) -> None:
    session, *_ = setting.away(1)
    for _ in range(10):
        said = shared(Text("y" * 4_000), MUST, 0.0)
        assert said is not None
        session.emit_shared(said)
        assert session.out.size <= LIMITS.window_bytes_max
        assert setting.manager.windows.used == session.out.size


def test_a_broadcast_is_in_its_commit_once(setting: Setting) -> None:
    sessions = setting.away(30)
    own = sessions[3]
    setting.say(own, KIB)
    setting.journal.committed(setting.journal.collect(), 0)
    said = [shared(Text(text), MUST, 0.0) for text in ("a", "b")]
    setting.say(own, KIB)
    for each in said:
        assert each is not None
        for session in sessions:
            session.emit_shared(each)
    commit = setting.journal.collect()
    batch = commit.batch
    assert batch.shared == said
    (record,), (extension,) = batch.records, batch.extensions
    assert record[0] == own.journal_key
    assert extension[0] == [session.journal_key for session in sessions if session is not own]
    assert record[1].outs[-2:] == extension[1].outs == [0, 1]
    setting.journal.committed(commit, 0)  # what is stored is not stored again
    setting.say(own, KIB)
    again = setting.journal.collect().batch
    assert again.shared == []


def test_long_lines_to_absent_members_write_little_more_than_the_lines(tmp_path: Path) -> None:
    """Snapshots of the members, which shorten the journal, included."""
    store = StoreLimits(journal_bytes_max=512 * KIB)
    setting = Setting(SessionLimits(), store)
    sessions, file = setting.away(500), SQLiteFile(tmp_path / "sessions.db", store)
    file.open()

    def commit() -> None:
        commit = setting.journal.collect()
        setting.journal.committed(commit, file.commit(commit.batch))

    commit()
    before, lines, size = written_bytes(), 40, 60_000
    for number in range(lines):
        said = shared(Text(f"{number} ".ljust(size, "x")), MUST, 0.0)
        assert said is not None
        for session in sessions:
            session.emit_shared(said)
        commit()
    written = written_bytes() - before
    file.close(clean=True)
    # To the WAL and to the file, and so for a snapshot.
    assert written < 5 * lines * size


def test_commands_that_find_no_room_are_refused_and_asked_for_later(setting: Setting) -> None:
    full, _ = setting.come()
    verdict, number = Verdict.ACCEPTED, 0
    while verdict is Verdict.ACCEPTED:
        number += 1
        verdict = full.receive_numbered(number, Text("x" * 500))
    assert verdict is Verdict.FULL
    late, consumer = setting.come()
    assert late.receive_numbered(1, Text("look")) is Verdict.FULL
    setting.manager.expire(0.0)
    assert consumer.offered == 0
    full.applied(number)
    setting.manager.expire(0.0)
    assert consumer.offered == 1
    assert late.receive_numbered(1, Text("look")) is Verdict.ACCEPTED


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 5_000))))
def test_an_account_is_the_sum_of_its_parts(steps: list[tuple[int, int]]) -> None:
    room = Room(10_000)
    taken = [0] * 4
    for index, size in steps:
        if size < taken[index]:
            taken[index] = room.fit(taken[index], size)
        else:
            taken[index] = room.grow(taken[index], size, 4_000)
            assert taken[index] >= min(size, 4_000) or room.used + STEP_BYTES > 10_000 - 4_000
        assert room.used == sum(taken) <= 10_000
        assert all(0 <= each <= 4_000 for each in taken)


def test_a_shared_entry_is_stored_as_any_other() -> None:
    said = shared(Text("x"), "latest:score", 2.0)
    assert said == SharedEntry(Text("x"), 2.0, "score", 33)
