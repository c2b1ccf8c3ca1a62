"""What a store must do, and how it fails."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from holdfast.core.errors import HoldfastError
from holdfast.sessions.records import Batch, Found, Recovered, Stored


class StoreError(HoldfastError):
    """The store cannot do what is asked. Names the store and the reason."""


class StoreBusyError(StoreError):
    """Another process holds the store."""

    retryable = True


class StoreFullError(StoreError):
    """There is no room."""

    retryable = True


class StoreReadOnlyError(StoreError):
    """The store may be read only."""


class StoreBrokenError(StoreError):
    """The store's content cannot be read."""


class StoreMissingError(StoreError):
    """The store was moved, deleted or replaced while it was in use."""

    retryable = True


class StoreVersionError(StoreError):
    """The store was written by a newer version of this program."""


class Store(Protocol):
    """Keeps sessions. Every method is one transaction; calls that overlap run in their order.

    A session has one owner, a run of a gateway: `claim` and `take` make this run
    the owner of a session that has none. Where there is one node, it owns all.

    What cannot be read of one session keeps no other from being taken up: it is
    told apart (`set_aside`), and a commit that sets it aside keeps it where
    nothing but an operator looks.
    """

    async def open(self) -> Stored:
        """Open the store, creating or migrating it, and read what finds its sessions.

        From here to `close` it counts as unclean. Raises `StoreError`.
        """

    async def commit(self, batch: Batch) -> int:
        """Make all of `batch` durable, or none of it. Raises `StoreError`.

        Returns by how many bytes the journal has grown. A batch whose number is stored
        already was committed before, and that remained unknown: nothing is done then.
        """

    async def claim(self, sids: Sequence[str]) -> list[str]:
        """Become the owner of sessions without one. Returns those that are this run's now."""

    async def find(self, sids: Sequence[str]) -> Found:
        """Read sessions, whoever owns them. Raises `StoreError`."""

    async def take(self, sids: Sequence[str]) -> Found:
        """Claim sessions, and read those that are this run's. Raises `StoreError`."""

    async def move(self, sids: Sequence[str], node: str) -> list[str]:
        """Give sessions to another node. Returns those that are its own now."""

    async def beat(self) -> bool:
        """Say that this run is alive. False once another has fenced it."""

    async def recover(self, count: int) -> Recovered:
        """Fold the journal of the run before into snapshots, for up to `count` sessions.

        To be called until none is left: with the last one, that journal is dropped.
        Raises `StoreError`.
        """

    async def check(self) -> None:
        """Whether what is committed now would be found again. Raises `StoreError` if not."""

    async def close(self, *, clean: bool) -> None:
        """Close it. `clean` says that everything was committed before."""
