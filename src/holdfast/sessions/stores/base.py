"""What a store must do, and how it fails."""

from __future__ import annotations

from typing import Protocol

from holdfast.core.errors import HoldfastError
from holdfast.sessions.records import Batch, Stored


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
    """Keeps sessions. Every method is one transaction; none is called while another runs.

    What cannot be read of one session keeps no other from being taken up: `open`
    tells it apart (`Stored.set_aside`), and a commit that sets it aside keeps it
    where `open` does not look.
    """

    async def open(self) -> Stored:
        """Open the store, creating or migrating it, and read all of it.

        From here to `close` it counts as unclean. Raises `StoreError`.
        """

    async def commit(self, batch: Batch) -> int:
        """Make all of `batch` durable, or none of it. Raises `StoreError`.

        Returns by how many bytes the journal has grown.
        """

    async def check(self) -> None:
        """Whether what is committed now would be found again. Raises `StoreError` if not."""

    async def close(self, *, clean: bool) -> None:
        """Close it. `clean` says that everything was committed before."""
