"""Copies of a store that is in use, and of one that is not."""

from __future__ import annotations

import asyncio
import sqlite3
import stat
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from holdfast.core.limits import StoreLimits
from holdfast.sessions.records import Batch, Row
from holdfast.sessions.stores import backup as backup_module
from holdfast.sessions.stores import sqlite as sqlite_module
from holdfast.sessions.stores.backup import put_back, sessions_in, write_copy
from holdfast.sessions.stores.base import (
    StoreBrokenError,
    StoreBusyError,
    StoreError,
    StoreVersionError,
)
from holdfast.sessions.stores.memory import MemoryStore
from holdfast.sessions.stores.sqlite import APPLICATION_ID, SCHEMA_VERSION, SQLiteStore

LIMITS = StoreLimits(busy_seconds_max=0.05)


def row(sid: str) -> Row:
    return Row(sid=sid, epoch="e", durability="fast", created=0.0, data=b"x" * 8_000)


async def commit(store: SQLiteStore, number: int, *sids: str) -> None:
    await store.commit(Batch(number=number, rows=[row(sid) for sid in sids]))


def count(path: Path) -> int:
    return sessions_in(path, APPLICATION_ID, SCHEMA_VERSION)


class Held:
    """Backups that begin when the test says so."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._begun = threading.Event()
        self.go_on = threading.Event()
        monkeypatch.setattr(backup_module, "PAGES", 1)
        monkeypatch.setattr(sqlite_module, "write_copy", self._write_copy)

    async def begun(self) -> None:
        assert await asyncio.to_thread(self._begun.wait, 60)

    def _write_copy(self, db: sqlite3.Connection, path: Path, between: Callable[[], bool]) -> int:
        self._begun.set()
        assert self.go_on.wait(60)
        return write_copy(db, path, between)


async def test_commits_go_on_during_a_backup_and_are_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held, copy = Held(monkeypatch), tmp_path / "copy.db"
    store = SQLiteStore(tmp_path / "sessions.db", LIMITS)
    await store.open()
    await commit(store, 1, *(f"s{number}" for number in range(50)))
    async with asyncio.TaskGroup() as tasks:
        copying = tasks.create_task(store.backup(copy))
        await held.begun()
        committing = [tasks.create_task(commit(store, n, f"t{n}")) for n in range(2, 7)]
        await asyncio.sleep(0)  # they wait for the thread
        held.go_on.set()
        for one in committing:
            await one
        size = await copying
    await store.close(clean=True)
    assert count(copy) == 55
    assert copy.stat().st_size == size
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    assert names(tmp_path) == ["copy.db", "sessions.db"]
    again = SQLiteStore(copy, LIMITS)
    stored = await again.open()
    assert not stored.clean, "its clients may have seen more"
    assert {head.sid for head in stored.heads} >= {"s0", "t6"}
    await again.close(clean=True)


async def test_a_store_that_closes_gives_its_backup_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = Held(monkeypatch)
    store = SQLiteStore(tmp_path / "sessions.db", LIMITS)
    await store.open()
    await commit(store, 1, *(f"s{number}" for number in range(50)))
    async with asyncio.TaskGroup() as tasks:
        copying = tasks.create_task(fails(store, tmp_path / "copy.db"))
        await held.begun()
        tasks.create_task(store.close(clean=True))
        await asyncio.sleep(0)
        held.go_on.set()
    assert "given up" in copying.result()
    assert names(tmp_path) == ["sessions.db"]
    assert count(tmp_path / "sessions.db") == 50


async def fails(store: SQLiteStore, path: Path) -> str:
    """What is said of a backup that fails."""
    with pytest.raises(StoreError) as error:
        await store.backup(path)
    return str(error.value)


def names(folder: Path) -> list[str]:
    return sorted(one.name for one in folder.iterdir())


async def test_a_file_that_exists_is_not_replaced(tmp_path: Path) -> None:
    store = SQLiteStore(tmp_path / "sessions.db", LIMITS)
    await store.open()
    (tmp_path / "copy.db").write_text("mine")
    for path in (tmp_path / "copy.db", tmp_path / "sessions.db"):
        with pytest.raises(StoreError, match="expected a new file, found one that exists"):
            await store.backup(path)
    with pytest.raises(StoreError, match="the copy cannot be written"):
        await store.backup(tmp_path / "copy.db" / "below")
    assert (tmp_path / "copy.db").read_text() == "mine"
    await store.close(clean=True)


async def test_memory_has_no_backup(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="nothing is stored"):
        await MemoryStore().backup(tmp_path / "copy.db")


async def copied(folder: Path, *sids: str) -> Path:
    """A copy of a store with these sessions."""
    store = SQLiteStore(folder / "sessions.db", LIMITS)
    await store.open()
    await commit(store, 1, *sids)
    await store.backup(folder / "copy.db")
    await store.close(clean=True)
    return folder / "copy.db"


async def test_a_copy_takes_the_place_of_a_store_which_is_kept(tmp_path: Path) -> None:
    copy = await copied(tmp_path, "old")
    store = SQLiteStore(tmp_path / "sessions.db", LIMITS)
    await store.open()
    await commit(store, 2, "new")
    with pytest.raises(StoreBusyError, match="a gateway uses it"):
        put_back(copy, tmp_path / "sessions.db")
    await store.close(clean=True)
    kept = put_back(copy, tmp_path / "sessions.db")
    assert kept is not None
    assert kept.name.startswith("sessions.db.before-")
    assert (count(tmp_path / "sessions.db"), count(kept)) == (1, 2)
    assert put_back(copy, tmp_path / "another" / "sessions.db") is None


async def test_what_is_no_good_copy_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="found no file"):
        count(tmp_path / "nowhere.db")
    (tmp_path / "text.db").write_text("nothing but text\n" * 100)
    with pytest.raises(StoreBrokenError, match="not a database"):
        count(tmp_path / "text.db")
    with closing(sqlite3.connect(tmp_path / "other.db")) as db:
        db.execute("CREATE TABLE session (sid)")
    with pytest.raises(StoreBrokenError, match="not one of Holdfast"):
        count(tmp_path / "other.db")
    copy = await copied(tmp_path, *(f"s{number}" for number in range(50)))
    with closing(sqlite3.connect(copy)) as db:
        db.execute("PRAGMA user_version = 99")
    with pytest.raises(StoreVersionError, match="schema 99"):
        count(copy)
