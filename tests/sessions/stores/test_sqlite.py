"""How the SQLite store fails: by its path, its reason, and without losing what it had."""

from __future__ import annotations

import ctypes
import os
import sqlite3
import stat
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from itertools import count
from pathlib import Path

import msgspec
import pytest
import structlog
from tests.written import written_bytes

from holdfast.core.ids import new_sid, pack_sid
from holdfast.core.items import Text
from holdfast.core.limits import StoreLimits
from holdfast.sessions.outbox import OutputEntry
from holdfast.sessions.records import Batch, Record, Row
from holdfast.sessions.stores.base import (
    StoreBrokenError,
    StoreBusyError,
    StoreError,
    StoreFullError,
    StoreMissingError,
    StoreReadOnlyError,
    StoreVersionError,
)
from holdfast.sessions.stores.private import make_private
from holdfast.sessions.stores.sqlite import (
    _MIGRATIONS,
    APPLICATION_ID,
    SCHEMA_VERSION,
    SQLiteFile,
)

LIMITS = StoreLimits(busy_seconds_max=0.05)


def row(sid: str, data: bytes = b"") -> Row:
    return Row(sid=sid, epoch="e", durability="fast", created=0.0, data=data)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "sessions.db"


@contextmanager
def other_program(path: Path) -> Iterator[sqlite3.Connection]:
    """The file, as another program has it open."""
    with closing(sqlite3.connect(path)) as connection, connection:
        yield connection


def opened(path: Path) -> SQLiteFile:
    file = SQLiteFile(path, LIMITS)
    file.open()
    return file


def sids(path: Path) -> list[str]:
    file = SQLiteFile(path, LIMITS)
    found = [head.sid for head in file.open().heads]
    file.close(clean=True)
    return found


def test_nobody_else_may_read_it(path: Path) -> None:
    opened(path).close(clean=True)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("mode", [0o644, 0o664, 0o666, 0o604, 0o640])
def test_an_existing_file_is_closed_to_others(path: Path, mode: int) -> None:
    opened(path).close(clean=True)
    beside = path.with_name(f"{path.name}-wal")
    beside.touch()
    path.chmod(mode)
    beside.chmod(mode)
    with structlog.testing.capture_logs() as logs:
        opened(path).close(clean=True)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert not beside.exists() or stat.S_IMODE(beside.stat().st_mode) == 0o600
    assert [log["mode"] for log in logs if log["path"] == str(path)] == [f"{mode:04o}"]


@pytest.mark.skipif(os.getuid() != 0, reason="only root can take another user's place")
def test_a_file_that_cannot_be_closed_to_others_is_refused() -> None:
    """As where it is another user's, whose group we are in."""
    faults: list[tuple[int | None, str]] = []

    def open_it() -> None:
        try:
            make_private(file)
        except OSError as error:
            faults.append((error.errno, str(error)))

    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(1) as thread:
        file = Path(folder, "sessions.db")
        file.touch()
        file.chmod(0o666)
        file.parent.chmod(0o777)
        thread.submit(as_user, 65534, open_it).result()
    (fault,) = faults
    assert fault == (
        None,
        "others may read it (mode 0666), and this user may not change that:"
        " Operation not permitted",
    )


def as_user(uid: int, do: Callable[[], None]) -> None:
    """Run `do` in this thread with another user's rights to files."""
    libc = ctypes.CDLL(None, use_errno=True)
    before = libc.setfsuid(uid)
    try:
        do()
    finally:
        libc.setfsuid(before)


def test_its_folder_is_made(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "er" / "sessions.db"
    opened(path).close(clean=True)
    assert path.exists()


def test_a_second_gateway_is_refused_while_the_first_runs(path: Path) -> None:
    first = opened(path)
    with pytest.raises(StoreBusyError, match=r"sessions\.db: another process holds it"):
        opened(path)
    first.commit(Batch(1, rows=[row("s1")]))
    first.close(clean=True)
    assert sids(path) == ["s1"]


def test_a_file_that_is_no_database_is_left_as_it_is(path: Path) -> None:
    path.write_bytes(b"my shopping list, which is long enough to be looked at" * 50)
    with pytest.raises(StoreBrokenError, match=r"sessions\.db: not a database"):
        opened(path)
    assert path.read_bytes().startswith(b"my shopping list")


def test_somebody_else_s_database_is_left_as_it_is(path: Path) -> None:
    with other_program(path) as other:
        other.execute("CREATE TABLE recipes (name TEXT)")
    with pytest.raises(StoreBrokenError, match="a database, but not one of Holdfast"):
        opened(path)
    with other_program(path) as other:
        assert other.execute("SELECT count(*) FROM recipes").fetchone() == (0,)


def test_a_newer_schema_is_refused_with_both_versions(path: Path) -> None:
    opened(path).close(clean=True)
    with other_program(path) as other:
        other.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    words = rf"schema {SCHEMA_VERSION + 1}; this one reads up to {SCHEMA_VERSION}"
    with pytest.raises(StoreVersionError, match=words):
        opened(path)


def test_a_new_file_says_what_it_is(path: Path) -> None:
    opened(path).close(clean=True)
    with other_program(path) as other:
        assert other.execute("PRAGMA application_id").fetchone() == (APPLICATION_ID,)
        assert other.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)


def test_damage_is_found_at_the_start(path: Path) -> None:
    file = opened(path)
    file.commit(Batch(1, rows=[row(f"s{number}", bytes(2000)) for number in range(200)]))
    file.close(clean=False)
    content = bytearray(path.read_bytes())
    content[8192:40960] = os.urandom(40960 - 8192)
    path.write_bytes(content)
    with pytest.raises(StoreBrokenError, match=r"sessions\.db: damaged"):
        opened(path)


def test_a_row_that_cannot_be_read_is_kept_apart(path: Path) -> None:
    file = opened(path)
    file.commit(Batch(1, rows=[row("s1"), row("s2")]))
    file.close(clean=True)
    with other_program(path) as other:
        other.execute("UPDATE session SET body = x'c1' WHERE sid = 's1'")
        other.execute("INSERT INTO snapshot (sid, body) VALUES ('s3', x'90')")
    file = SQLiteFile(path, LIMITS)
    stored = file.open()
    assert [head.sid for head in stored.heads] == ["s2"]
    assert [kept.sid for kept in stored.set_aside] == ["s1", "s3"]
    file.commit(Batch(2, deleted=["s1", "s3"], set_aside=stored.set_aside))
    file.close(clean=True)
    with other_program(path) as other:
        rows = other.execute("SELECT sid, fault, body FROM set_aside ORDER BY sid").fetchall()
    assert [(sid, body) for sid, _, body in rows] == [("s1", b"\xc1"), ("s3", b"\x90")]
    assert "its row cannot be read" in rows[0][1]
    assert sids(path) == ["s2"]


def test_an_entry_of_the_journal_that_cannot_be_read_makes_the_stop_unclean(path: Path) -> None:
    file = opened(path)
    file.commit(Batch(1, rows=[row("s1")]))
    file.close(clean=True)
    with other_program(path) as other:
        other.execute("UPDATE journal SET body = x'c1'")
    file = SQLiteFile(path, LIMITS)
    stored = file.open()
    assert not stored.clean
    file.commit(Batch(2, set_aside=stored.set_aside))
    file.close(clean=True)
    file = SQLiteFile(path, LIMITS)
    stored = file.open()
    assert stored.clean
    assert not stored.set_aside
    file.close(clean=True)


def moved(path: Path) -> None:
    path.rename(path.with_name("elsewhere.db"))


def deleted(path: Path) -> None:
    path.unlink()


def replaced(path: Path) -> None:
    path.unlink()
    path.write_bytes(b"")


def without_its_journal(path: Path) -> None:
    path.with_name("sessions.db-wal").unlink()


@pytest.mark.parametrize("spoil", [moved, deleted, replaced, without_its_journal])
def test_a_file_that_a_restart_would_not_find_takes_nothing(
    path: Path, spoil: Callable[[Path], None]
) -> None:
    file = opened(path)
    file.commit(Batch(1, rows=[row("s1")]))
    file.check()
    spoil(path)
    for call in (file.check, lambda: file.commit(Batch(2, rows=[row("s2")]))):
        with pytest.raises(StoreMissingError, match=r"sessions\.db(-wal)?: the file is "):
            call()
    file.close(clean=False)


def test_a_file_that_comes_back_to_its_name_is_written_to_again(path: Path) -> None:
    file = opened(path)
    moved(path)
    with pytest.raises(StoreMissingError):
        file.check()
    path.with_name("elsewhere.db").rename(path)
    file.check()
    file.commit(Batch(1, rows=[row("s1")]))
    file.close(clean=True)
    assert sids(path) == ["s1"]


def test_an_older_file_is_brought_to_the_newest_schema(path: Path) -> None:
    with other_program(path) as other:
        other.executescript(f"{_MIGRATIONS[0]}; PRAGMA application_id = {APPLICATION_ID};")
        other.execute("PRAGMA user_version = 1")
        body = msgspec.msgpack.encode(row("s1"))
        other.execute("INSERT INTO session VALUES ('s1', '', 'active', 0.0, ?)", (body,))
        record = Record(1, [OutputEntry(Text("x"), 1.0, "", 33)], [], 0, 0, 0, 1, 0, 0, 0)
        entry = msgspec.msgpack.encode([("s1", record)])
        other.execute("INSERT INTO journal VALUES (1, ?)", (entry,))
    file = SQLiteFile(path, LIMITS)
    assert [head.sid for head in file.open().heads] == ["s1"]
    assert [session.records for session in file.find(["s1"]).sessions] == [[record]]
    file.close(clean=True)
    with other_program(path) as other:
        assert other.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)


def test_a_folder_in_the_way_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=str(tmp_path)):
        opened(tmp_path)


def test_a_full_disk_refuses_the_whole_batch_and_loses_nothing_before_it(path: Path) -> None:
    file = opened(path)
    file.commit(Batch(1, rows=[row("s1")]))
    assert file._db is not None
    pages = file._db.execute("PRAGMA page_count").fetchone()[0]
    file._db.execute(f"PRAGMA max_page_count = {pages}")
    big = Batch(2, rows=[row("s2"), *(row(f"b{n}", bytes(3000)) for n in range(50))])
    with pytest.raises(StoreFullError, match=r"sessions\.db: the disk is full"):
        file.commit(big)
    file._db.execute("PRAGMA max_page_count = 100000")
    file.commit(Batch(2, rows=[row("s3")]))
    file.close(clean=False)
    assert sids(path) == ["s1", "s3"]


def test_a_file_that_turns_read_only_refuses_and_recovers(path: Path) -> None:
    file = opened(path)
    assert file._db is not None
    file._db.execute("PRAGMA query_only = ON")
    with pytest.raises(StoreReadOnlyError, match=r"sessions\.db: may not be written"):
        file.commit(Batch(1, rows=[row("s1")]))
    file._db.execute("PRAGMA query_only = OFF")
    file.commit(Batch(1, rows=[row("s1")]))
    file.close(clean=False)
    assert sids(path) == ["s1"]


def test_only_a_batch_that_asks_for_it_waits_for_the_disk(path: Path) -> None:
    file = opened(path)
    assert file._db is not None

    def synchronous() -> int:
        assert file._db is not None
        level: int = file._db.execute("PRAGMA synchronous").fetchone()[0]
        return level

    levels = []
    for number, sync in enumerate([False, True, True, False], 1):
        file.commit(Batch(number, sync=sync))
        levels.append(synchronous())
    assert levels == [1, 2, 2, 1]
    file.close(clean=True)


def test_the_file_survives_a_migration_from_nothing_twice(path: Path) -> None:
    for _ in range(2):
        opened(path).close(clean=True)
    assert sids(path) == []


def test_what_many_snapshots_hold_is_in_the_file_once(path: Path) -> None:
    file = opened(path)
    entry = OutputEntry(Text("y" * 100_000), 1.0, "", 100_032)
    snapshots = [(f"s{n}", Record(1, [0], [], 0, 0, 0, 1, 0, 0, 0)) for n in range(50)]
    rows = [row(sid) for sid, _ in snapshots]
    file.commit(Batch(1, rows=rows, snapshots=snapshots, snapshots_shared=[entry]))
    file.close(clean=True)
    assert path.stat().st_size < 300_000
    file = opened(path)
    assert len(file.find([sid for sid, _ in snapshots]).sessions) == 50
    file.commit(Batch(2, deleted=[sid for sid, _ in snapshots]))
    file.commit(Batch(3, journal_from=3))
    file.close(clean=True)
    with other_program(path) as other:
        assert other.execute("SELECT count(*) FROM common").fetchone() == (0,)


def test_what_snapshots_share_and_cannot_be_read_costs_only_them(path: Path) -> None:
    file = opened(path)
    entry = OutputEntry(Text("y"), 1.0, "", 33)
    shares = Record(1, [0], [], 0, 0, 0, 1, 0, 0, 0)
    batch = Batch(1, rows=[row("s1"), row("s2")], snapshots=[("s1", shares)])
    batch.snapshots_shared = [entry]
    file.commit(batch)
    file.close(clean=True)
    with other_program(path) as other:
        other.execute("UPDATE common SET body = x'c1'")
    file = opened(path)
    found = file.find(["s1", "s2"])
    file.close(clean=True)
    assert [session.row.sid for session in found.sessions] == ["s2"]
    assert {kept.sid for kept in found.set_aside} == {"s1"}
    assert "its snapshot cannot be read" in found.set_aside[0].fault


def test_no_commit_has_much_of_the_wal_to_copy(path: Path) -> None:
    file, numbers = opened(path), count(1)
    wal = path.with_name(f"{path.name}-wal")
    rows = [row(f"s{number}", b"x" * 8_000) for number in range(1_000)]

    def sizes(commits: int) -> list[int]:
        found = []
        for number in range(commits):
            file.commit(Batch(next(numbers), rows=rows[number % 100 :: 100]))
            found.append(wal.stat().st_size)
        return found

    assert 0 < max(sizes(100)) < 2_000_000
    changed = [row(f"s{number}", b"y" * 8_000) for number in range(1_000)]
    file.commit(Batch(next(numbers), rows=changed))
    assert wal.stat().st_size > 6_000_000
    assert min(sizes(100)) < 5_000_000  # what was needed once is given back
    file.close(clean=True)


def test_the_journal_of_an_earlier_version_is_read(path: Path) -> None:
    sid = new_sid()
    file = opened(path)
    outs = [OutputEntry(Text("kept"), 1.0, "", 40)]
    record = Record(1, outs, [], 0, 0, 0, 1, 0, 0, 0)
    file.commit(Batch(1, rows=[row(sid)], records=[(sid, record)]))  # the id as text
    file.commit(Batch(2, records=[(pack_sid(sid), Record(2, outs, [], 0, 0, 0, 2, 0, 0, 0))]))
    file.close(clean=True)
    file = opened(path)
    (found,) = file.find([sid]).sessions
    assert [kept.n for kept in found.records] == [1, 2]
    file.close(clean=True)


def test_small_commits_write_little_more_than_their_journal(path: Path) -> None:
    sids = [pack_sid(new_sid()) for _ in range(16)]
    outs = [OutputEntry(Text("a line of a chat".ljust(80)), 1.0, "", 120)]
    file = opened(path)
    before, journal = written_bytes(), 0
    for number in range(1, 1001):
        record = Record(number, outs, [], 0, 0, 0, number, 0, 0, 0)
        journal += file.commit(Batch(number, records=[(sid, record) for sid in sids]))
    written = written_bytes() - before
    file.close(clean=True)
    assert journal > 1_000_000
    # Once to the WAL and once to the file is 2.
    assert written < 4 * journal


def test_the_pages_of_a_journal_that_is_dropped_are_not_written(path: Path) -> None:
    outs = [OutputEntry(Text("x" * 10_000), 1.0, "", 10_000)]
    record = Record(1, outs, [], 0, 0, 0, 1, 0, 0, 0)
    file, sid = opened(path), pack_sid(new_sid())
    for number in range(1, 51):
        file.commit(Batch(number, records=[(sid, record)]))
    before = written_bytes()
    file.commit(Batch(51, journal_from=51))
    written = written_bytes() - before
    file.close(clean=True)
    assert written < 100_000  # of 500,000 bytes


def test_a_row_and_a_snapshot_that_change_are_written_where_they_are(path: Path) -> None:
    numbers = [new_sid() for _ in range(500)]
    record = Record(1, [], [], 0, 0, 0, 1, 0, 0, 0)
    file, written = opened(path), []
    for number in range(1, 4):
        before = written_bytes()
        rows, snapshots = [row(sid) for sid in numbers], [(sid, record) for sid in numbers]
        file.commit(Batch(number, rows=rows, snapshots=snapshots))
        written.append(written_bytes() - before)
    file.close(clean=True)
    # The indexes, a quarter of it, have them already.
    assert max(written[1:]) < 0.9 * written[0]
