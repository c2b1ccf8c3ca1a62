"""Files with messages of users: other users of the machine may not read them."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

from holdfast.net.loggers import LazyLogger

_log = LazyLogger("holdfast.store")

_PRIVATE: Final = 0o600
_OTHERS: Final = 0o077
_SQLITE_BESIDE: Final = ("-wal", "-shm", "-journal")


def make_private(path: Path) -> None:
    """Create a database's file for this user only, or remove the rights of others.

    Call it before the database is opened: closing its file would release SQLite's locks. Raises
    `OSError` if the file cannot be opened, or others keep their rights.
    """
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, _PRIVATE))
    for each in (path, *(path.with_name(path.name + end) for end in _SQLITE_BESIDE)):
        if each.exists():
            _tighten(each)


def _tighten(path: Path) -> None:
    mode = stat.S_IMODE(path.stat().st_mode)
    if not mode & _OTHERS:
        return
    try:
        path.chmod(mode & ~_OTHERS)
    except OSError as error:
        # Without a number: it must not pass for a file that cannot be written.
        raise OSError(
            f"others may read it (mode {mode:04o}), and this user may not change that:"
            f" {error.strerror}"
        ) from error
    _log.warning("session file was readable by others", path=str(path), mode=f"{mode:04o}")
