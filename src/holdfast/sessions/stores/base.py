"""The interface of a store, and its errors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum, auto
from pathlib import Path
from typing import NamedTuple, Protocol

from holdfast.core.errors import HoldfastError
from holdfast.sessions.records import Batch, Found, Recovered, Row, Stored


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


class StoreTruncatedError(StoreError):
    """The store has lost commits that it had answered, as a standby that takes over may have. The
    next one must have all of every session (`Batch.whole`)."""


class StoreBrokenError(StoreError):
    """The store's content cannot be read."""


class StoreMissingError(StoreError):
    """The store was moved, deleted or replaced while it was in use."""

    retryable = True


class StoreVersionError(StoreError):
    """The store was written by a newer version of this program."""


class OtherRun(NamedTuple):
    """Another run of a gateway that lives, as it was just now."""

    number: int
    node: str
    link: str
    """Where applications link to it; empty if nowhere."""
    silent_seconds: float
    """Since its newest sign of life was seen."""
    apps: Sequence[str] = ()
    """The applications that are linked to it, and serve sessions there."""
    accepts: bool = False
    """Whether it takes sessions that are offered to it."""


class Others(NamedTuple):
    """The other runs on a store, as they were just now."""

    alive: int
    """How many there are."""
    adoptable: bool
    """Whether there are sessions of a run that has ended, for `Neighbours.adopt`."""
    runs: Sequence[OtherRun] = ()
    """Those that live."""
    fenced: int = 0
    """How many this look has fenced."""


class Node(NamedTuple):
    """A gateway on a store, as operators see it."""

    name: str
    host: str
    """The name of the machine that it runs on."""
    since: float
    """When this run of it began, by the store's clock: wall clock, in seconds."""
    here: bool
    """Whether it is the one that was asked."""
    link: str = ""
    """Where applications link to it; empty if nowhere."""
    sessions: int = 0
    silent_seconds: float = 0.0
    """Since the one that was asked has seen its newest sign of life."""


class Owner(NamedTuple):
    """The run that has a session."""

    node: str
    """Empty while the session has no owner."""
    silent_seconds: float
    """Since its newest sign of life was seen."""
    here: bool


class OwnedRow(NamedTuple):
    """A session of another run, as it is stored."""

    node: str
    row: Row


class Whereabouts(Enum):
    """Where a session is that this run has asked for."""

    HERE = auto()
    """It is this run's now: `Neighbours.arrived` reads it."""
    ASKED = auto()
    """Its owner is asked for it, or it has none that lives."""
    REFUSED = auto()
    """Its owner keeps it."""


class Neighbours(Protocol):
    """The other runs of gateways on one store. Every method raises `StoreError`.

    Who is asked for a session gives it away by `give`, in one step that no death of either run
    can interrupt: it is one run's, or the other's.
    """

    @property
    def run(self) -> int:
        """The number of this run; 0 before the store is open."""

    async def announce(self, link: str, apps: Sequence[str], *, accepts: bool) -> None:
        """Tell the other runs where applications link to this one, which ones are linked, and
        whether it takes sessions that are offered."""

    async def look(self) -> Others:
        """Watch the other runs. One that has ended or was silent for the lease is fenced."""

    async def nodes(self, count: int) -> list[Node]:
        """Up to `count` runs that are not fenced, this one among them: the oldest first."""

    async def adopt(self) -> Stored | None:
        """Take over the sessions of all runs that are fenced; `None` if there is none.

        `Stored.ended` has what those runs have heard. Their journals are for `Store.recover`.

        If the connection breaks during the commit, it waits until the outcome is known. After a
        `StoreError`, nothing was taken over.
        """

    async def rows(self, sids: Sequence[str]) -> list[Row]:
        """The rows of sessions of any run, as they are stored. Those that cannot be read are
        missing."""

    async def of_code(self, code: bytes) -> str | None:
        """The session with this hash of a resume code."""

    async def ask(self, wanted: Mapping[str, int]) -> dict[str, Whereabouts]:
        """Ask the owners of sessions to give them to this run. Those that do not exist are
        missing. To be called until they are here.

        Each has the `Row.gen` with which its client was looked up; 0: it is not asked for a
        client.
        """

    async def arrived(self, sids: Sequence[str]) -> Found:
        """Read those of these sessions that are this run's."""

    async def withdraw(self, sids: Sequence[str]) -> list[str]:
        """Do not want sessions any more. Returns those that are this run's nevertheless."""

    async def asked(self, count: int) -> dict[int, dict[str, int]]:
        """Up to `count` sessions of this run that others want, by the number of the run. Each has
        the number that it was asked for with (`ask`)."""

    async def refuse(self, sids: Sequence[str]) -> None:
        """These sessions stay here."""

    async def offer(self, sids: Sequence[str], run: int) -> None:
        """Offer sessions of this run to another one, which asks for them once it has seen that.

        Those that another run has asked for are not offered.
        """

    async def accept(self, count: int) -> list[str]:
        """Ask for up to `count` sessions that are offered to this run. Returns them."""

    async def owner(self, sid: str) -> Owner | None:
        """The run that has a session; `None`: there is no such session."""

    async def request_end(self, sid: str) -> Owner | None:
        """Ask whoever owns a session to end it. Returns who that is; `None`: there is no such
        session. To be called until it is ended."""

    async def forget_end(self, sid: str) -> None:
        """The session need not be ended any more."""

    async def ends(self) -> list[str]:
        """The sessions of this run that others want to be ended."""

    async def of_others(self, after: str, count: int) -> list[OwnedRow]:
        """Up to `count` sessions of other runs behind the id `after`, ordered by id, as they are
        stored. Those that cannot be read are missing."""

    async def give(self, sids: Sequence[str], run: int) -> list[str]:
        """Give sessions to another run that has asked for them. Returns those that are its own now.

        The snapshots of those that are loaded are committed before, and nothing of them after
        that. If the connection breaks during the commit, it waits until the outcome is known. After
        a `StoreError`, none was given.
        """


class Store(Protocol):
    """Keeps sessions. Every method is one transaction; overlapping calls run in order.

    A session has one owner, a run of a gateway: `claim` and `take` make this run the owner of a
    session without one. On a single node, it owns all; otherwise `neighbours` moves them.

    An unreadable session does not affect others: it is reported separately (`set_aside`), and a
    commit that sets it aside keeps it for operators only.
    """

    @property
    def neighbours(self) -> Neighbours | None:
        """The other runs on this store, which watch this one, so that it has to `beat`; `None` on
        a single node."""

    async def open(self) -> Stored:
        """Open the store, creating or migrating it, and read what finds its sessions.

        From here to `close` it counts as unclean. Raises `StoreError`.
        """

    async def commit(self, batch: Batch) -> int:
        """Make all of `batch` durable, or none of it. Raises `StoreError`.

        `StoreFencedError`: nothing can be stored any more, and this run must end.
        `StoreTruncatedError`: nothing was stored, and the next batch must be `whole`.

        Returns the growth of the journal in bytes. A batch whose number is stored was committed
        before, with an unknown outcome: nothing is done then.
        """

    async def claim(self, sids: Sequence[str]) -> list[str]:
        """Become the owner of sessions without one. Returns those that are this run's now."""

    async def find(self, sids: Sequence[str]) -> Found:
        """Read sessions, whatever their owner. Raises `StoreError`."""

    async def take(self, sids: Sequence[str]) -> Found:
        """Claim sessions, and read those that are this run's. Raises `StoreError`."""

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
        """Check that a commit would be found again. Raises `StoreError` if not, and
        `StoreTruncatedError` as `commit` does."""

    async def close(self, *, clean: bool) -> None:
        """Close it. `clean` means that everything was committed before."""
