"""The compaction of the store's journal.

When the journal has grown, its part up to the current end is dropped. Each session with records
in that part gets a snapshot, a few in each of the following commits; after the last snapshot,
the part is dropped, a slice with each commit. So the work is spread, and no commit is much
slower than another. The store itself folds the journal of the previous run (`Store.recover`),
because most of those sessions are not loaded.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from operator import attrgetter
from typing import Final

from holdfast.core.limits import StoreLimits
from holdfast.sessions.cuts import Cuts
from holdfast.sessions.durable_state import DurableState
from holdfast.sessions.records import Batch
from holdfast.sessions.sharing import Sharing, size_of_record

_SNAPSHOT_BYTES: Final = 256
"""What a snapshot counts for beside its logs: to make and to store an empty one takes time, too."""
_SORTED_MAX: Final = 10_000
"""Sessions that are put in order at once: 3 ms."""


class Compaction:
    """The content of the journal, and the remaining work of its compaction."""

    __slots__ = (
        "_boundary",
        "_contributed",
        "_cuts",
        "_dropping",
        "_journaled",
        "_leaving",
        "_limits",
        "_next",
        "_size",
        "_todo",
        "_unrecovered",
    )

    def __init__(self, limits: StoreLimits) -> None:
        self._limits = limits
        self._journaled: dict[DurableState, None] = {}
        """Sessions with news in the journal from `_boundary` on."""
        self._todo: dict[DurableState, None] = {}
        """Sessions that need a snapshot before the journal up to `_boundary` can go."""
        self._next: list[DurableState] = []
        """Some of them by their ids, the last one first: so the snapshots of one commit are
        neighbours in the store, which writes few pages for them."""
        self._leaving: list[DurableState] = []
        """Sessions that another run gets: their snapshots are next."""
        self._contributed: list[DurableState] = []
        """Those whose snapshots are in the commit in flight."""
        self._boundary = 0
        self._cuts = Cuts(limits.dropped_bytes_max)
        """Where the journal from `_boundary` on can be cut into slices."""
        self._dropping: list[int] = []
        """Where the part before `_boundary` is cut, the last one first."""
        self._size = 0
        """Bytes of the journal from `_boundary` on."""
        self._unrecovered = False
        """Whether a part of it is of the run before."""

    def resume(self, size: int) -> None:
        """The run before has left `size` bytes of journal."""
        self._size = size
        self._unrecovered = size > 0

    @property
    def recovering(self) -> bool:
        """Whether the store has to fold the journal of the previous run before this part can be
        dropped."""
        return self._unrecovered and self._boundary > 0

    def recovered(self) -> None:
        """There is nothing left of the run before."""
        self._unrecovered = False

    def adopted(self, size: int) -> None:
        """Another run has left `size` bytes of journal, too."""
        self._size += size
        self._unrecovered = self._unrecovered or size > 0

    def leave(self, session: DurableState) -> None:
        """The next commit that is not refused has a snapshot of `session`, whatever is in the
        journal."""
        self._leaving.append(session)

    def journaled(self, session: DurableState) -> None:
        """The journal has news of `session`."""
        self._journaled[session] = None

    def extended(self, sessions: Iterable[DurableState]) -> None:
        """The journal has an extension of `sessions`."""
        self._journaled.update(
            dict.fromkeys([session for session in sessions if session.persistent])
        )

    def forget(self, session: DurableState) -> None:
        """`session` is closed: its records need no snapshot."""
        self._journaled.pop(session, None)
        self._todo.pop(session, None)

    def contribute(self, batch: Batch) -> list[DurableState]:
        """Add some snapshots to a batch, and after the last the order to drop the compacted
        part.

        Returns the sessions of the snapshots. Called after the batch has its records.
        """
        self._contributed = leaving = self._leaving
        self._leaving = []
        done: list[DurableState] = []
        if not self._boundary and not leaving:
            return done
        sharing = Sharing()
        for session in leaving:
            if session.persistent:  # not closed since
                _add_snapshot(batch, session, sharing)
        size = 0
        while (
            self._boundary and self._todo and size + sharing.size < self._limits.snapshot_bytes_max
        ):
            session = self._take()
            done.append(session)
            size += _SNAPSHOT_BYTES + _add_snapshot(batch, session, sharing)
        batch.snapshots_shared = sharing.entries
        if self._boundary and not self._todo and not self._unrecovered:
            batch.journal_from = self._dropping[-1]
        return done

    def _take(self) -> DurableState:
        """The next session that needs a snapshot."""
        while True:
            if not self._next:
                some = islice(self._todo, _SORTED_MAX)
                self._next = sorted(some, key=attrgetter("sid"), reverse=True)
            session = self._next.pop()
            if session in self._todo:  # not closed since
                del self._todo[session]
                return session

    def committed(self, batch: Batch, size: int) -> None:
        """The batch is durable; it added `size` bytes to the journal."""
        self._contributed = []
        self._size += size
        self._cuts.add(batch.number, size)
        if batch.journal_from:
            self._dropping.pop()
            if not self._dropping:
                self._boundary = 0
                self._next = []  # only closed ones are left
        if not self._boundary and self._size >= self._limits.journal_bytes_max:
            self._boundary = batch.number + 1
            self._dropping = self._cuts.take()
            self._todo, self._journaled = self._journaled, {}
            self._size = 0

    def failed(self, snapshotted: Iterable[DurableState]) -> None:
        """The batch was refused: these snapshots are still to be made."""
        self._leaving = self._contributed + self._leaving
        self._contributed = []
        for session in snapshotted:
            if session.persistent:
                self._todo[session] = None


def _add_snapshot(batch: Batch, session: DurableState, sharing: Sharing) -> int:
    """Add a session's snapshot to a batch. Returns its size."""
    snapshot = session.snapshot()
    snapshot.outs = sharing.share(snapshot.outs)
    batch.snapshots.append((session.sid, snapshot))
    return size_of_record(snapshot)
