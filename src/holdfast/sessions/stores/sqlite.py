"""Sessions in one SQLite file: survives SIGKILL, and the loss of power on request.

WAL mode, one connection, locked for this process; a `synchronous` commit only for batches that
must survive a loss of power. All of it runs in one thread of its own (`SQLiteStore`), because
SQLite waits for the disk (`SQLiteFile`).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

import msgspec

from holdfast.core.limits import StoreLimits
from holdfast.net.runtime.worker_thread import WorkerThread
from holdfast.sessions.outbox import OutputEntry
from holdfast.sessions.records import Batch, Found, Record, Recovered, SetAside, Stored
from holdfast.sessions.stores.backup import write_copy
from holdfast.sessions.stores.base import (
    StoreBrokenError,
    StoreBusyError,
    StoreError,
    StoreFullError,
    StoreMissingError,
    StoreReadOnlyError,
    StoreVersionError,
)
from holdfast.sessions.stores.commons import Commons
from holdfast.sessions.stores.one_node import OneNode
from holdfast.sessions.stores.open_files import OpenFiles
from holdfast.sessions.stores.private import make_private
from holdfast.sessions.stores.reading import Heads, Reader, Snapshot, snapshots_of
from holdfast.sessions.stores.tail import Excerpts, Tail

APPLICATION_ID: Final = 0x484F4C44  # "HOLD"
_PAGE_BYTES: Final = 1024
"""Of a new file. A commit writes whole pages: with SQLite's default of 4,096 bytes, the small
commits of a chat write two to three times as much. With 512, they would write a fifth less, but
to fold the journal of the run before would take half as long again."""
_CHECKPOINT_BYTES: Final = 1_000 * 1024
"""The commit with which the WAL reaches it also copies the WAL into the file, and waits for the
disk. The more, the longer: with 16 MB, some 150 ms."""
_WAL_BYTES_MAX: Final = 4 * 1024 * 1024
"""Of the WAL between two checkpoints; a large batch may make it grow for a while."""
_SIDS_MAX: Final = 500
"""In one query."""

_MIGRATIONS: Final = (
    # 1: the first schema.
    """
    CREATE TABLE session (
        sid TEXT NOT NULL PRIMARY KEY, user TEXT NOT NULL, state TEXT NOT NULL,
        detached REAL NOT NULL, body BLOB NOT NULL);
    CREATE TABLE snapshot (sid TEXT NOT NULL PRIMARY KEY, body BLOB NOT NULL);
    CREATE TABLE journal (number INTEGER PRIMARY KEY, body BLOB NOT NULL);
    CREATE TABLE instance (name TEXT PRIMARY KEY, accepted INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE setting (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
    """,
    # 2: what cannot be read is kept apart.
    """
    CREATE TABLE set_aside (
        number INTEGER PRIMARY KEY, sid TEXT NOT NULL, fault TEXT NOT NULL,
        found TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP, body BLOB NOT NULL);
    """,
    # 3: what several sessions hold is stored once; there was nothing of that kind before.
    """
    ALTER TABLE journal ADD COLUMN shared BLOB NOT NULL DEFAULT x'90';
    """,
    # 4: the same for snapshots. A number of 0 is of those that share nothing.
    """
    CREATE TABLE common (number INTEGER PRIMARY KEY, body BLOB NOT NULL);
    ALTER TABLE snapshot ADD COLUMN common INTEGER NOT NULL DEFAULT 0;
    CREATE INDEX snapshot_common ON snapshot (common) WHERE common > 0;
    """,
    # 5: the journal has ids of sessions as 16 bytes. Those of before are read as they are.
    "",
    # 6: the journal has extensions, which an earlier version does not find.
    "",
)
SCHEMA_VERSION: Final = len(_MIGRATIONS)
"""Kept in `user_version`. Migration k brings a file from version k - 1 to k."""

_ORPHANS: Final = """
    SELECT sid, body FROM snapshot
    WHERE sid NOT IN (SELECT sid FROM session) OR sid IN (SELECT value FROM json_each(?))
    ORDER BY rowid
"""
"""The snapshots whose row is not there or cannot be read."""

_PUT_SESSION: Final = """
    INSERT INTO session VALUES (?, ?, ?, ?, ?)
    ON CONFLICT (sid) DO UPDATE SET user = excluded.user, state = excluded.state,
        detached = excluded.detached, body = excluded.body
"""
"""`REPLACE` gives a row a new place, and so writes a page of the index and two of the table."""
_PUT_SNAPSHOT: Final = """
    INSERT INTO snapshot VALUES (?, ?, ?)
    ON CONFLICT (sid) DO UPDATE SET body = excluded.body, common = excluded.common
"""

_encode: Final = msgspec.msgpack.Encoder().encode


class SQLiteFile:
    """The file, from one thread. Raises `StoreError` from every method."""

    def __init__(self, path: Path, limits: StoreLimits) -> None:
        self.path = path
        self._limits = limits
        self._db: sqlite3.Connection | None = None
        self._sync = False
        self._tail = Tail()
        self._commons = Commons(self._read_common)
        self._files = OpenFiles()

    def open(self) -> Stored:
        try:
            stored = self._open()
        except sqlite3.Error as error:
            self._drop()
            raise _explain(self.path, error) from error
        except StoreError:
            self._drop()
            raise
        for path in (self.path, self.path.with_name(f"{self.path.name}-wal")):
            self._files.add(path)
        return stored

    def check(self) -> None:
        self._files.check()

    def commit(self, batch: Batch) -> int:
        db = self._opened
        self.check()
        try:
            if batch.sync is not self._sync:
                db.execute(f"PRAGMA synchronous = {'FULL' if batch.sync else 'NORMAL'}")
                self._sync = batch.sync
            if batch.brief:
                size = self._add_entry(db, batch)  # one statement is a transaction of its own
            else:
                with _transaction(db):
                    size = self._write(db, batch)
        except sqlite3.Error as error:
            raise _explain(self.path, error) from error
        self._tail.forget(batch.deleted)
        return size

    def find(self, sids: Sequence[str]) -> Found:
        try:
            return self._find(self._opened, sids)
        except sqlite3.Error as error:
            raise _explain(self.path, error) from error

    def claim(self, sids: Sequence[str]) -> list[str]:
        try:
            query = "SELECT count(*) FROM session WHERE sid = ?"
            db = self._opened
            return [sid for sid in sids if db.execute(query, (sid,)).fetchone()[0]]
        except sqlite3.Error as error:
            raise _explain(self.path, error) from error

    def recover(self, count: int) -> Recovered:
        db, sids = self._opened, self._tail.sids(count)
        self.check()
        try:
            with _transaction(db):
                found = self._recover(db, sids)
        except sqlite3.Error as error:
            raise _explain(self.path, error) from error
        self._tail.forget(sids)
        if not sids:
            self._tail.dropped()
        return Recovered(self._tail.left, found.set_aside)

    def backup(self, path: Path, between: Callable[[], bool]) -> int:
        """Copy the store to a new file; returns its bytes. `between` is called after each step."""
        try:
            return write_copy(self._opened, path, between)
        except sqlite3.Error as error:
            raise _explain(self.path, error) from error

    @property
    def _opened(self) -> sqlite3.Connection:
        assert self._db is not None, "the store is not open"
        return self._db

    def close(self, *, clean: bool) -> None:
        if self._db is None:
            return
        try:
            if clean:
                self._db.execute("REPLACE INTO setting VALUES ('clean', x'01')")
        except sqlite3.Error as error:
            raise _explain(self.path, error) from error
        finally:
            self._drop()

    def _open(self) -> Stored:
        db = self._connect()
        version = db.execute("PRAGMA user_version").fetchone()[0]
        application = db.execute("PRAGMA application_id").fetchone()[0]
        tables = db.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
        if tables and application != APPLICATION_ID:
            raise StoreBrokenError(f"{self.path}: a database, but not one of Holdfast")
        if version > SCHEMA_VERSION:
            raise StoreVersionError(
                f"{self.path}: written by a newer Holdfast (schema {version}; this one reads up"
                f" to {SCHEMA_VERSION})"
            )
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = NORMAL")
        page = db.execute("PRAGMA page_size").fetchone()[0]
        db.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_BYTES // page}")
        db.execute(f"PRAGMA journal_size_limit = {_WAL_BYTES_MAX}")
        self._migrate(db, version)
        return self._read(db)

    def _connect(self) -> sqlite3.Connection:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            make_private(self.path)
        except PermissionError as error:
            raise StoreReadOnlyError(f"{self.path}: may not be written: {error}") from error
        except OSError as error:
            raise StoreError(f"{self.path}: cannot be opened: {error}") from error
        self._db = db = sqlite3.connect(
            self.path,
            timeout=self._limits.busy_seconds_max,
            isolation_level=None,
            check_same_thread=False,
        )
        db.execute("PRAGMA locking_mode = EXCLUSIVE")
        db.execute(f"PRAGMA page_size = {_PAGE_BYTES}")
        # Some builds of SQLite write zeros to each page of the journal that is dropped, which is
        # half of all that is written. FAST does so only in pages that are written anyway.
        db.execute("PRAGMA secure_delete = FAST")
        return db

    def _migrate(self, db: sqlite3.Connection, version: int) -> None:
        for number, script in enumerate(_MIGRATIONS[version:], version + 1):
            db.executescript(
                f"BEGIN EXCLUSIVE; {script}; PRAGMA application_id = {APPLICATION_ID};"
                f" PRAGMA user_version = {number}; COMMIT;"
            )

    def _read(self, db: sqlite3.Connection) -> Stored:
        db.execute("BEGIN EXCLUSIVE")
        settings = dict(db.execute("SELECT key, value FROM setting"))
        # A new file has held nothing that could be lost.
        clean = settings.pop("clean", None) is not None or not settings
        settings.pop("opened", None)
        if not clean:
            fault = db.execute("PRAGMA quick_check(1)").fetchone()[0]
            if fault != "ok":
                raise StoreBrokenError(f"{self.path}: damaged: {fault}")
        heads, tail = Heads(), Tail(self._limits)
        for sid, body in db.execute("SELECT sid, body FROM session"):
            heads.row(sid, body)
        unreadable = msgspec.json.encode([aside.sid for aside in heads.set_aside]).decode()
        for sid, body in db.execute(_ORPHANS, (unreadable,)):
            heads.orphan(sid, body)
        journal = db.execute("SELECT number, body, shared FROM journal ORDER BY number")
        for number, body, shared in journal:
            tail.entry(number, body, shared, heads.heads)
        self._tail = tail
        accepted = dict(db.execute("SELECT name, accepted FROM instance"))
        # Only who can read all of it may change it.
        db.execute("DELETE FROM setting WHERE key = 'clean'")
        db.execute("REPLACE INTO setting VALUES ('opened', x'01')")
        db.execute("COMMIT")
        return Stored(
            clean=clean and tail.complete,
            number=tail.number,
            journal_bytes=tail.size,
            newest=heads.newest,
            heads=list(heads.heads.values()),
            accepted=accepted,
            settings=settings,
            set_aside=heads.set_aside + tail.set_aside,
        )

    def _write(self, db: sqlite3.Connection, batch: Batch) -> int:
        """Write `batch`; return the bytes of its journal entry.

        It uses few statements for any batch: for each one, the thread releases the interpreter
        lock and has to wait for it again.
        """
        size = self._add_entry(db, batch)
        if not size:
            return 0
        if batch.rows:
            db.executemany(
                _PUT_SESSION,
                [(r.sid, r.user, r.state, r.detached, _encode(r)) for r in batch.rows],
            )
        if batch.snapshots:
            self._write_snapshots(db, batch.snapshots, batch.snapshots_shared)
        if batch.journal_from:
            self._drop_journal(db, batch.journal_from)
        if batch.deleted:
            self._delete(db, batch.deleted)
        if batch.accepted:
            db.executemany("REPLACE INTO instance VALUES (?, ?)", batch.accepted.items())
        if batch.forgotten:
            db.executemany("DELETE FROM instance WHERE name = ?", [(n,) for n in batch.forgotten])
        if batch.settings:
            db.executemany("REPLACE INTO setting VALUES (?, ?)", batch.settings.items())
            gone = [(key,) for key, value in batch.settings.items() if not value]
            db.executemany("DELETE FROM setting WHERE key = ?", gone)
        if batch.set_aside:
            self._write_set_aside(db, batch.set_aside)
            entries = [(kept.entry,) for kept in batch.set_aside if kept.entry]
            db.executemany("DELETE FROM journal WHERE number = ?", entries)
        return size

    def _add_entry(self, db: sqlite3.Connection, batch: Batch) -> int:
        """Add the batch's entry to the journal; return its bytes. 0 if it is there already, and
        with it all of the batch."""
        entry, shared = _encode(batch.news), _encode(batch.shared)
        added = db.execute(
            "INSERT OR IGNORE INTO journal VALUES (?, ?, ?)", (batch.number, entry, shared)
        )
        return len(entry) + len(shared) if added.rowcount else 0

    def _write_snapshots(
        self,
        db: sqlite3.Connection,
        snapshots: Sequence[tuple[str, Record]],
        shared: Sequence[OutputEntry],
    ) -> None:
        number = 0
        if shared:
            added = db.execute("INSERT INTO common (body) VALUES (?)", (_encode(shared),))
            number = added.lastrowid or 0
        db.executemany(
            _PUT_SNAPSHOT,
            [(sid, _encode(record), number) for sid, record in snapshots],
        )

    def _drop_journal(self, db: sqlite3.Connection, before: int) -> None:
        """Drop the journal before this number, and what no snapshot shares any more."""
        db.execute("DELETE FROM journal WHERE number < ?", (before,))
        used = "SELECT common FROM snapshot WHERE common > 0"
        db.execute(f"DELETE FROM common WHERE number NOT IN ({used})")
        self._commons.forget()

    def _read_common(self, number: int) -> bytes:
        query = "SELECT body FROM common WHERE number = ?"
        found: tuple[bytes] = self._opened.execute(query, (number,)).fetchone() or (b"",)
        return found[0]

    def _delete(self, db: sqlite3.Connection, sids: Sequence[str]) -> None:
        gone = [(sid,) for sid in sids]
        db.executemany("DELETE FROM session WHERE sid = ?", gone)
        db.executemany("DELETE FROM snapshot WHERE sid = ?", gone)

    def _write_set_aside(self, db: sqlite3.Connection, set_aside: Sequence[SetAside]) -> None:
        db.executemany(
            "INSERT INTO set_aside (sid, fault, body) VALUES (?, ?, ?)",
            [(kept.sid, kept.fault, kept.body) for kept in set_aside],
        )

    def _find(self, db: sqlite3.Connection, sids: Sequence[str]) -> Found:
        reader, found = Reader(self._tail), Found()
        for start in range(0, len(sids), _SIDS_MAX):
            some = sids[start : start + _SIDS_MAX]
            places = ", ".join("?" * len(some))
            query = f"SELECT sid, body FROM session WHERE sid IN ({places})"
            rows = db.execute(query, some).fetchall()
            query = f"SELECT sid, body, common FROM snapshot WHERE sid IN ({places})"
            snapshots = {
                sid: Snapshot(body, self._commons.of(number))
                for sid, body, number in db.execute(query, some).fetchall()
            }
            part = reader.read(rows, snapshots, self._excerpts(db, some))
            found.sessions += part.sessions
            found.set_aside += part.set_aside
        return found

    def _excerpts(self, db: sqlite3.Connection, sids: Sequence[str]) -> Excerpts:
        """What the journal of the run before has of these sessions."""
        excerpts = Excerpts({}, {})
        query = "SELECT body, shared FROM journal WHERE number = ?"
        for number, pieces in self._tail.pieces(sids).items():
            excerpts.take(pieces, *(db.execute(query, (number,)).fetchone() or (b"", b"")))
        return excerpts

    def _recover(self, db: sqlite3.Connection, sids: Sequence[str]) -> Found:
        found = self._find(db, sids)
        self._write_snapshots(db, *snapshots_of(found))
        self._write_set_aside(db, found.set_aside)
        self._delete(db, [kept.sid for kept in found.set_aside])
        if not sids:
            self._drop_journal(db, self._tail.slice)
        return found

    def _drop(self) -> None:
        if self._db is not None:
            self._db.close()
            self._db = None


class SQLiteStore(OneNode):
    """A `Store` in one SQLite file, in a thread of its own."""

    def __init__(self, path: Path, limits: StoreLimits) -> None:
        self._file = SQLiteFile(path, limits)
        self._thread = WorkerThread("holdfast-store")

    async def open(self) -> Stored:
        return await self._thread.run(self._file.open)

    async def commit(self, batch: Batch) -> int:
        return await self._thread.run(self._file.commit, batch)

    async def check(self) -> None:
        await self._thread.run(self._file.check)

    async def claim(self, sids: Sequence[str]) -> list[str]:
        return await self._thread.run(self._file.claim, sids)

    async def find(self, sids: Sequence[str]) -> Found:
        return await self._thread.run(self._file.find, sids)

    async def take(self, sids: Sequence[str]) -> Found:
        return await self._thread.run(self._file.find, sids)

    async def recover(self, count: int) -> Recovered:
        return await self._thread.run(self._file.recover, count)

    async def backup(self, path: Path) -> int:
        return await self._thread.run(self._backup, path)

    async def close(self, *, clean: bool) -> None:
        try:
            await self._thread.run(self._close, clean)
        finally:
            self._thread.stop()

    def _backup(self, path: Path) -> int:
        """Copy the store. Other calls are run between two steps."""
        return self._file.backup(path, lambda: self._thread.run_waiting(self._close))

    def _close(self, clean: bool) -> None:
        self._file.close(clean=clean)


def read_version(path: Path) -> int:
    """The version of a file's schema, which is not changed. Raises `StoreError`."""
    if not path.is_file():
        raise StoreMissingError(f"{path}: expected a file with sessions, found none")
    try:
        with closing(sqlite3.connect(path.absolute().as_uri() + "?mode=ro", uri=True)) as db:
            found: int = db.execute("PRAGMA user_version").fetchone()[0]
            return found
    except sqlite3.Error as error:
        raise _explain(path, error) from error


@contextmanager
def _transaction(db: sqlite3.Connection) -> Iterator[None]:
    """All of the block is written, or nothing."""
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


def _explain(path: Path, error: sqlite3.Error) -> StoreError:
    # The extended codes have the primary one in their lowest byte.
    match getattr(error, "sqlite_errorcode", 0) & 0xFF:
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return StoreBusyError(f"{path}: another process holds it")
        case sqlite3.SQLITE_FULL:
            return StoreFullError(f"{path}: the disk is full")
        case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_PERM:
            return StoreReadOnlyError(f"{path}: may not be written")
        case sqlite3.SQLITE_NOTADB:
            return StoreBrokenError(f"{path}: not a database")
        case sqlite3.SQLITE_CORRUPT:
            return StoreBrokenError(f"{path}: damaged: {error}")
        case _:
            return StoreError(f"{path}: {error}")
