"""Sessions in one SQLite file: survives kill -9, and the loss of power where asked to.

WAL mode, one connection, locked for this process alone; a `synchronous` commit
only for batches that must survive a loss of power. All of it runs in one thread
of its own (`SQLiteStore`), as SQLite waits for the disk (`SQLiteFile`).
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from holdfast.core.limits import StoreLimits
from holdfast.sessions.records import Batch, Record, Row, Stored
from holdfast.sessions.stores.base import (
    StoreBrokenError,
    StoreBusyError,
    StoreError,
    StoreFullError,
    StoreReadOnlyError,
    StoreVersionError,
)

T = TypeVar("T")

APPLICATION_ID: Final = 0x484F4C44  # "HOLD"
_CHECKPOINT_PAGES: Final = 4_000

_MIGRATIONS: Final = (
    # 1: the first schema.
    """
    CREATE TABLE session (
        id INTEGER PRIMARY KEY, sid TEXT NOT NULL UNIQUE,
        user TEXT NOT NULL, state TEXT NOT NULL, detached REAL NOT NULL, body BLOB NOT NULL);
    CREATE TABLE record (
        session INTEGER NOT NULL REFERENCES session (id), n INTEGER NOT NULL, body BLOB NOT NULL,
        PRIMARY KEY (session, n)) WITHOUT ROWID;
    CREATE TABLE instance (name TEXT PRIMARY KEY, accepted INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE setting (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
    """,
)
SCHEMA_VERSION: Final = len(_MIGRATIONS)
"""Kept in `user_version`. Migration k brings a file from version k - 1 to k."""

_encode: Final = msgspec.msgpack.Encoder().encode
_decode_row: Final = msgspec.msgpack.Decoder(Row).decode
_decode_record: Final = msgspec.msgpack.Decoder(Record).decode


class SQLiteFile:
    """The file, from one thread. Raises `StoreError` from every method."""

    def __init__(self, path: Path, limits: StoreLimits) -> None:
        self.path = path
        self._limits = limits
        self._db: sqlite3.Connection | None = None
        self._ids: dict[str, int] = {}
        self._sync = False

    def open(self) -> Stored:
        try:
            return self._open()
        except sqlite3.Error as error:
            self._drop()
            raise _explain(self.path, error) from error
        except (StoreError, msgspec.MsgspecError) as error:
            self._drop()
            if isinstance(error, StoreError):
                raise
            raise StoreBrokenError(f"{self.path}: a session cannot be read: {error}") from error

    def commit(self, batch: Batch) -> None:
        db = self._db
        assert db is not None, "the store is not open"
        try:
            if batch.sync is not self._sync:
                db.execute(f"PRAGMA synchronous = {'FULL' if batch.sync else 'NORMAL'}")
                self._sync = batch.sync
            db.execute("BEGIN IMMEDIATE")
            try:
                ids = self._write(db, batch)
                db.execute("COMMIT")
                self._ids = ids
            except BaseException:
                if db.in_transaction:
                    db.execute("ROLLBACK")
                raise
        except sqlite3.Error as error:
            raise _explain(self.path, error) from error

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
        db.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES}")
        self._migrate(db, version)
        return self._read(db)

    def _connect(self) -> sqlite3.Connection:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            # Nobody else may read what people typed.
            os.close(os.open(self.path, os.O_CREAT | os.O_RDWR, 0o600))
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
        return db

    def _migrate(self, db: sqlite3.Connection, version: int) -> None:
        for number, script in enumerate(_MIGRATIONS[version:], version + 1):
            db.executescript(
                f"BEGIN EXCLUSIVE; {script}; PRAGMA application_id = {APPLICATION_ID};"
                f" PRAGMA user_version = {number}; COMMIT;"
            )

    def _read(self, db: sqlite3.Connection) -> Stored:
        settings = dict(db.execute("SELECT key, value FROM setting"))
        # A new file has held nothing that could be lost.
        clean = settings.pop("clean", None) is not None or not settings
        db.execute("BEGIN EXCLUSIVE")
        db.execute("DELETE FROM setting WHERE key = 'clean'")
        db.execute("REPLACE INTO setting VALUES ('opened', x'01')")
        db.execute("COMMIT")
        settings.pop("opened", None)
        if not clean:
            fault = db.execute("PRAGMA quick_check(1)").fetchone()[0]
            if fault != "ok":
                raise StoreBrokenError(f"{self.path}: damaged: {fault}")
        records: dict[int, list[Record]] = {}
        for session, body in db.execute("SELECT session, body FROM record ORDER BY session, n"):
            records.setdefault(session, []).append(_decode_record(body))
        sessions = []
        for number, sid, body in db.execute("SELECT id, sid, body FROM session"):
            self._ids[sid] = number
            sessions.append((_decode_row(body), records.get(number, [])))
        return Stored(
            clean=clean,
            sessions=sessions,
            accepted=dict(db.execute("SELECT name, accepted FROM instance")),
            settings=settings,
        )

    def _write(self, db: sqlite3.Connection, batch: Batch) -> dict[str, int]:
        """Write `batch`; returns the sessions' numbers as they are when it is committed."""
        ids = self._ids
        if batch.rows or batch.deleted:
            ids = dict(ids)
            self._write_rows(db, batch.rows, ids)
        db.executemany(
            "INSERT INTO record VALUES (?, ?, ?)",
            [(ids[sid], record.n, _encode(record)) for sid, record in batch.records],
        )
        db.executemany(
            "DELETE FROM record WHERE session = ? AND n <= ?",
            [(ids[trim.sid], trim.n) for trim in batch.trims],
        )
        gone = [(ids.pop(sid),) for sid in batch.deleted if sid in ids]
        db.executemany("DELETE FROM record WHERE session = ?", gone)
        db.executemany("DELETE FROM session WHERE id = ?", gone)
        db.executemany("REPLACE INTO instance VALUES (?, ?)", batch.accepted.items())
        db.executemany("DELETE FROM instance WHERE name = ?", [(n,) for n in batch.forgotten])
        db.executemany("REPLACE INTO setting VALUES (?, ?)", batch.settings.items())
        return ids

    def _write_rows(self, db: sqlite3.Connection, rows: list[Row], ids: dict[str, int]) -> None:
        for row in rows:
            cursor = db.execute(
                "INSERT INTO session (sid, user, state, detached, body) VALUES (?1, ?2, ?3, ?4, ?5)"
                " ON CONFLICT (sid) DO UPDATE SET user = ?2, state = ?3, detached = ?4, body = ?5"
                " RETURNING id",
                (row.sid, row.user, row.state, row.detached, _encode(row)),
            )
            ids[row.sid] = cursor.fetchone()[0]

    def _drop(self) -> None:
        if self._db is not None:
            self._db.close()
            self._db = None
        self._ids.clear()


class SQLiteStore:
    """A `Store` in one SQLite file, in a thread of its own."""

    def __init__(self, path: Path, limits: StoreLimits) -> None:
        self._file = SQLiteFile(path, limits)
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="holdfast-store")

    async def open(self) -> Stored:
        return await self._run(self._file.open)

    async def commit(self, batch: Batch) -> None:
        await self._run(lambda: self._file.commit(batch))

    async def close(self, *, clean: bool) -> None:
        try:
            await self._run(lambda: self._file.close(clean=clean))
        finally:
            self._thread.shutdown(wait=False)

    async def _run(self, call: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, call)


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
