"""The interface of a store, and its errors."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from holdfast.core.errors import HoldfastError
from holdfast.sessions.records import Batch, Found, Recovered, Stored


class StoreError(HoldfastError):
    """The store cannot execute a request. The message names the store and the reason."""


class StoreBusyError(StoreError):
    """Another process holds the store."""

    retryable = True


class StoreFullError(StoreError):
    """There is no space."""

    retryable = True


class StoreReadOnlyError(StoreError):
    """The store is read-only."""


class StoreAccessError(StoreError):
    """The store does not accept this program: its login, its rights or a certificate."""


class StoreFencedError(StoreError):
    """Another run has taken the sessions of this one. It must end: nothing can be stored."""


class StoreBrokenError(StoreError):
    """The store's content cannot be read."""


class StoreMissingError(StoreError):
    """The store was moved, deleted or replaced while it was in use."""

    retryable = True


class StoreVersionError(StoreError):
    """The store was written by a newer version of this program."""


class Store(Protocol):
    """Keeps sessions. Every method is one transaction; overlapping calls run in order.

    A session has one owner, a run of a gateway: `claim` and `take` make this run the owner of a
    session without one. On a single node, it owns all.

    An unreadable session does not affect others: it is reported separately (`set_aside`), and a
    commit that sets it aside keeps it for operators only.
    """

    @property
    def beats(self) -> bool:
        """Whether other runs watch this one, so that it has to `beat`."""

    async def open(self) -> Stored:
        """Open the store, creating or migrating it, and read what finds its sessions.

        From here to `close` it counts as unclean. Raises `StoreError`.
        """

    async def commit(self, batch: Batch) -> int:
        """Make all of `batch` durable, or none of it. Raises `StoreError`.

        `StoreFencedError`: nothing can be stored any more, and this run must end.

        Returns the growth of the journal in bytes. A batch whose number is stored was committed
        before, with an unknown outcome: nothing is done then.
        """

    async def claim(self, sids: Sequence[str]) -> list[str]:
        """Become the owner of sessions without one. Returns those that are this run's now."""

    async def find(self, sids: Sequence[str]) -> Found:
        """Read sessions, whatever their owner. Raises `StoreError`."""

    async def take(self, sids: Sequence[str]) -> Found:
        """Claim sessions, and read those that are this run's. Raises `StoreError`."""

    async def move(self, sids: Sequence[str], node: str) -> list[str]:
        """Give sessions to another node. Returns those that are its own now.

        Their snapshots are committed before, and nothing of them after that.
        """

    async def beat(self) -> None:
        """Say that this run is alive. Raises `StoreFencedError` once another has fenced it."""

    async def recover(self, count: int) -> Recovered:
        """Fold the journal of the run before into snapshots, for up to `count` sessions.

        To be called until none is left: with the last one, that journal is dropped.
        Raises `StoreError`.
        """

    async def backup(self, path: Path) -> int:
        """Copy everything that is committed to a new file, while the store is in use.

        Commits go on meanwhile. Returns the size of the file in bytes. Raises `StoreError`.
        """

    async def check(self) -> None:
        """Check that a commit would be found again. Raises `StoreError` if not."""

    async def close(self, *, clean: bool) -> None:
        """Close it. `clean` means that everything was committed before."""
