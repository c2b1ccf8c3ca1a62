"""When a journal is compacted, which snapshots that takes, and what is dropped after them."""

from __future__ import annotations

from typing import Any

import pytest

from holdfast.core.limits import StoreLimits
from holdfast.sessions.compaction import Compaction
from holdfast.sessions.records import Batch, Record

LIMITS = StoreLimits(journal_bytes_max=1_000, snapshot_bytes_max=1, dropped_bytes_max=600)


class Kept:
    """A session, as far as compaction knows one."""

    def __init__(self, sid: str) -> None:
        self.sid = sid
        self.persistent = True

    def snapshot(self) -> Record:
        return Record(1, [], [], 0, 0, 0, 0, 0, 0, 0)


class Setting:
    """A compaction whose commits are made by hand."""

    def __init__(self, limits: StoreLimits = LIMITS) -> None:
        self.compaction = Compaction(limits)
        self.number = 0

    def commit(self, size: int, *journaled: Any) -> Batch:
        """The next commit, after which these sessions have news in the journal."""
        self.number += 1
        batch = Batch(self.number)
        self.compaction.contribute(batch)
        for session in journaled:
            self.compaction.journaled(session)
        self.compaction.committed(batch, size)
        return batch

    def snapshots(self, count: int) -> list[list[str]]:
        """The sessions with a snapshot in each of the next commits, which add nothing."""
        return [[sid for sid, _ in self.commit(0).snapshots] for _ in range(count)]


def kept(*sids: str) -> list[Any]:
    return [Kept(sid) for sid in sids]


@pytest.fixture
def setting() -> Setting:
    return Setting()


def test_a_journal_is_compacted_once_it_has_its_size_and_not_before(setting: Setting) -> None:
    sessions = kept("b", "a")
    setting.commit(999, *sessions)
    assert setting.snapshots(2) == [[], []]
    setting.commit(1, *sessions)
    assert setting.snapshots(3) == [["a"], ["b"], []]


def test_it_is_dropped_in_slices_after_the_last_snapshot(setting: Setting) -> None:
    setting.commit(600, *kept("a"))
    setting.commit(400, *kept("b"))
    assert setting.commit(0).journal_from == 0, "b has no snapshot yet"
    assert [setting.commit(0).journal_from for _ in range(3)] == [2, 3, 0]


def test_what_comes_meanwhile_counts_for_the_next_compaction(setting: Setting) -> None:
    (session,) = kept("a")
    setting.commit(1_000, session)
    assert [sid for sid, _ in setting.commit(400, session).snapshots] == ["a"]
    setting.commit(599, session)
    assert setting.snapshots(2) == [[], []]
    setting.commit(1)
    assert setting.snapshots(1) == [["a"]]


def test_a_commit_has_so_many_bytes_of_snapshots() -> None:
    setting = Setting(StoreLimits(journal_bytes_max=1, snapshot_bytes_max=257))
    setting.commit(1, *kept("a", "b", "c"))
    assert setting.snapshots(2) == [["a", "b"], ["c"]]


def test_a_session_that_is_closed_needs_no_snapshot(setting: Setting) -> None:
    one, two, three = kept("a", "b", "c")
    setting.commit(999, one, two, three)
    setting.compaction.forget(one)
    setting.commit(1)
    setting.compaction.forget(two)
    assert setting.snapshots(2) == [["c"], []]


def test_a_refused_snapshot_is_made_again_unless_the_session_is_closed(setting: Setting) -> None:
    one, two = kept("a", "b")
    setting.commit(1_000, one, two)
    for session in (one, two):
        assert setting.compaction.contribute(Batch(2)) == [session]
    two.persistent = False
    setting.compaction.failed([one, two])
    assert setting.snapshots(2) == [["a"], []]


def test_a_session_that_leaves_has_a_snapshot_at_once(setting: Setting) -> None:
    one, two = kept("a", "b")
    two.persistent = False
    setting.compaction.leave(one)
    setting.compaction.leave(two)
    assert setting.snapshots(2) == [["a"], []]


def test_a_refused_snapshot_of_a_session_that_leaves_is_in_the_next_commit(
    setting: Setting,
) -> None:
    one, two = kept("a", "b")
    setting.compaction.leave(one)
    assert setting.compaction.contribute(Batch(1)) == []
    setting.compaction.leave(two)
    setting.compaction.failed([])
    assert setting.snapshots(2) == [["a", "b"], []]


@pytest.mark.parametrize(("left", "adopted"), [(999, 0), (0, 999), (400, 599)])
def test_the_journal_of_other_runs_counts_and_is_folded_before_it_is_dropped(
    setting: Setting, left: int, adopted: int
) -> None:
    setting.compaction.resume(left)
    setting.compaction.adopted(adopted)
    assert not setting.compaction.recovering, "the journal is not long yet"
    setting.commit(1, *kept("a"))
    assert setting.compaction.recovering
    assert setting.commit(0).journal_from == 0
    setting.compaction.recovered()
    assert not setting.compaction.recovering
    assert setting.commit(0).journal_from == 2


@pytest.mark.parametrize("size", [0, 1])
def test_what_a_run_has_left_is_to_be_folded_however_short_it_is(
    setting: Setting, size: int
) -> None:
    setting.compaction.resume(size)
    setting.commit(1_000)
    assert setting.compaction.recovering is bool(size)


@pytest.mark.parametrize("size", [0, 1])
def test_what_is_taken_from_another_run_is_to_be_folded_however_short_it_is(
    setting: Setting, size: int
) -> None:
    setting.compaction.adopted(size)
    setting.commit(1_000)
    assert setting.compaction.recovering is bool(size)


def test_a_journal_of_others_that_is_as_long_as_it_may_be_is_compacted_at_once(
    setting: Setting,
) -> None:
    setting.compaction.resume(600)
    setting.compaction.adopted(400)
    setting.commit(0)
    assert setting.compaction.recovering
