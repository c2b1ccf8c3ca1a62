"""Copies of a SQLite store: made while it is in use, checked, and put back.

A copy is made by SQLite's online backup: it has everything that was committed before its end. It
counts as unclean, so a gateway that begins with one gives its sessions new epochs: clients that
have seen more are told.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import quote

from holdfast.sessions.stores.base import (
    StoreBrokenError,
    StoreBusyError,
    StoreError,
    StoreVersionError,
)

PAGES: Final = 250
"""Copied in one step: 250 KiB of a new store. Commits come in between."""
_BUSY_SECONDS: Final = 0.2


def write_copy(db: sqlite3.Connection, path: Path, between: Callable[[], bool]) -> int:
    """Copy an open database to a new file. Returns its size in bytes.

    `between` is called after each step, and may change the database over `db`; false ends the
    copy. Raises `StoreError` for a file that exists or cannot be written.
    """

    def go_on(status: int, remaining: int, total: int) -> None:
        if not between():
            raise StoreError(f"{path}: the backup was given up, because the store closes")

    with _new_file(path) as part, closing(sqlite3.connect(part)) as copy:
        db.backup(copy, pages=PAGES, progress=go_on)
        copy.execute("PRAGMA journal_mode = DELETE")  # one file, without others beside it
    return path.stat().st_size


def sessions_in(path: Path, application: int, schema: int) -> int:
    """Check a copy. Returns the number of its sessions. Raises `StoreError` if it is no good one
    of a schema up to `schema`."""
    if not path.is_file():
        raise StoreError(f"{path}: expected a backup, found no file")
    try:
        uri = f"file:{quote(str(path.resolve()))}?mode=ro&immutable=1"
        with closing(sqlite3.connect(uri, uri=True)) as db:
            found = db.execute("PRAGMA application_id").fetchone()[0]
            version = db.execute("PRAGMA user_version").fetchone()[0]
            fault = db.execute("PRAGMA quick_check(1)").fetchone()[0]
            if found != application:
                raise StoreBrokenError(f"{path}: a database, but not one of Holdfast")
            if version > schema:
                raise StoreVersionError(
                    f"{path}: written by a newer Holdfast (schema {version}; this one reads up to"
                    f" {schema})"
                )
            if fault != "ok":
                raise StoreBrokenError(f"{path}: damaged: {fault}")
            return int(db.execute("SELECT count(*) FROM session").fetchone()[0])
    except sqlite3.Error as error:
        raise StoreBrokenError(f"{path}: {error}") from error


def put_back(copy: Path, store: Path) -> Path | None:
    """Let a copy take the place of a store that no gateway uses.

    Returns the file to which the store before was moved, if there was one. Raises `StoreError`.
    """
    kept = None
    if store.exists():
        _close_for_good(store)
        stamp = time.strftime("%Y%m%d-%H%M%S")
        kept = store.with_name(f"{store.name}.before-{stamp}")
        if kept.exists():
            raise StoreError(f"{kept}: expected no such file")
        store.rename(kept)
    try:
        with _new_file(store) as part:
            shutil.copyfile(copy, part)
    except StoreError:
        if kept is not None:
            kept.rename(store)
        raise
    return kept


def _close_for_good(store: Path) -> None:
    """Let a store be one file. Raises `StoreBusyError` while a gateway uses it."""
    try:
        with closing(sqlite3.connect(store, timeout=_BUSY_SECONDS, isolation_level=None)) as db:
            db.execute("PRAGMA locking_mode = EXCLUSIVE")
            db.execute("BEGIN EXCLUSIVE")
            db.execute("COMMIT")
            db.execute("PRAGMA journal_mode = DELETE")
    except sqlite3.Error as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY:
            raise StoreBusyError(f"{store}: a gateway uses it; stop it first") from error
        # What cannot be read any more is moved as it is, with what is beside it.
        for end in ("-wal", "-shm"):
            beside = store.with_name(store.name + end)
            if beside.exists():
                beside.rename(beside.with_name(f"{beside.name}.{time.time_ns()}"))


@contextmanager
def _new_file(path: Path) -> Iterator[Path]:
    """Write a file that is there whole or not at all, for this user only."""
    if path.exists():
        raise StoreError(f"{path}: expected a new file, found one that exists")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        number, name = tempfile.mkstemp(prefix=f"{path.name}.", dir=path.parent)
        part = Path(name)
        try:
            yield part
            os.fsync(number)
            os.link(part, path)  # unlike a renaming, it replaces nothing
        finally:
            os.close(number)
            part.unlink()
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except (OSError, sqlite3.Error) as error:
        raise StoreError(f"{path}: the copy cannot be written: {error}") from error
