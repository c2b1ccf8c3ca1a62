"""Backups of the store, at an operator's request: one at a time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any, Final, Literal

from msgspec import Struct

from holdfast.net.log import RateLimitedLogger
from holdfast.sessions.stores.base import StoreError

_log: Final = RateLimitedLogger("holdfast.admin")


class BackupRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """The body of a request for a backup."""

    path: str
    """The file to make, on the gateway's machine: absolute."""


class BackupStatus(Struct):
    """The newest backup of this run."""

    state: Literal["none", "running", "done", "failed"] = "none"
    path: str = ""
    bytes: int = 0
    seconds: float = 0.0
    error: str = ""


class Backups:
    """Makes backups. `copy` writes the store to a file and returns its size. `spawn` runs that
    until the gateway has told its clients that it stops: it does not wait for a backup."""

    def __init__(
        self,
        copy: Callable[[Path], Awaitable[int]],
        spawn: Callable[[Coroutine[Any, Any, None]], None],
    ) -> None:
        self.status = BackupStatus()
        self._copy = copy
        self._spawn = spawn

    def begin(self, path: str) -> bool:
        """Begin one; false while one is running."""
        if self.status.state == "running":
            return False
        self.status = BackupStatus("running", path)
        self._spawn(self._run(self.status))
        return True

    async def _run(self, status: BackupStatus) -> None:
        began = time.monotonic()
        try:
            status.bytes = await self._copy(Path(status.path))
        except StoreError as error:
            self._failed(status, str(error))
        except asyncio.CancelledError:
            self._failed(status, f"{status.path}: the backup was given up: the gateway stops")
            raise
        except Exception:
            status.state, status.error = "failed", "internal error"
            raise
        else:
            status.seconds = round(time.monotonic() - began, 3)
            status.state = "done"
            _log.info("backup made", path=status.path, bytes=status.bytes, seconds=status.seconds)

    def _failed(self, status: BackupStatus, error: str) -> None:
        status.state, status.error = "failed", error
        _log.warning("backup failed", path=status.path, error=error)
