"""The commits that a crash of the server would lose, kept to be sent again.

A commit of sessions that need not survive a loss of power does not wait for the server's disk
(`synchronous_commit = off`), so that a server that crashes and restarts may have lost the newest
ones. The gateway is still there, with all that it has sent: after each new connection, what is
missing is sent again, in order, before anything new.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any, Final

from holdfast.net.loggers import LazyLogger
from holdfast.sessions.stores.postgres.batches import weight_of

_log = LazyLogger("holdfast.store")

_BYTES_MAX: Final = 32 * 1024 * 1024
"""Of the commits that are kept. Older ones are on the disk for sure, or it is far too slow."""


class Unflushed:
    """The newest commits, with the values of their calls."""

    def __init__(self) -> None:
        self.newest = 0
        """The number of the newest commit."""
        self._kept: deque[tuple[int, Sequence[Any]]] = deque()
        self._size = 0
        self._mark: tuple[int, int] | None = None
        """A commit, and a position in the server's log behind it."""

    def __len__(self) -> int:
        return len(self._kept)

    def add(self, number: int, values: Sequence[Any], *, flushed: bool) -> None:
        """A commit was answered. `flushed`: it is on the disk, and all before it. Hot path."""
        self.newest = number
        if flushed:
            self._kept.clear()
            self._size, self._mark = 0, None
            return
        self._kept.append((number, values))
        self._size += weight_of(values)
        while self._size > _BYTES_MAX:
            self._drop()

    def look(self, answered: int, written: int, flushed: int) -> None:
        """After commit `answered`, the server had written its log up to `written`, and has it up
        to `flushed` on its disk."""
        if self._mark is not None and flushed >= self._mark[1]:
            while self._kept and self._kept[0][0] <= self._mark[0]:
                self._drop()
            self._mark = None
        if self._mark is None and self._kept:
            self._mark = answered, written

    def missing(self, found: int) -> list[Sequence[Any]] | None:
        """The commits that a server does not have whose newest is `found`, in order.

        `None` if some of them are not kept any more: they were on its disk, and it was replaced by
        a standby or a backup that does not have them.
        """
        missing = [values for number, values in self._kept if number > found]
        if self.newest - found > len(missing):
            return None
        if missing:
            _log.warning("the database has lost commits, which are sent again", count=len(missing))
        return missing

    def _drop(self) -> None:
        _, values = self._kept.popleft()
        self._size -= weight_of(values)
