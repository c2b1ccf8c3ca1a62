"""The group commit: changes of many sessions become durable in one transaction.

Sessions report that they changed; a commit collects the changes of all of them. One commit is
in flight at a time. An urgent change (a durable session, an attach that must be durable before
its answer) starts the next commit as soon as the previous one is done; others wait a few
milliseconds to be grouped.

`collect`, `committed` and `failed` contain the logic and never wait; `run` drives them with a
store.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Final

import msgspec
from msgspec import Struct

from holdfast.core.clock import monotonic
from holdfast.core.histogram import Histogram
from holdfast.core.limits import StoreLimits
from holdfast.net.log import RateLimitedLogger, log_failure
from holdfast.net.runtime.timed_event import TimedEvent
from holdfast.sessions.compaction import Compaction
from holdfast.sessions.durable_state import DurableState
from holdfast.sessions.extensions import Extended, gather
from holdfast.sessions.records import Batch, Extension, JournalKey, Record, Row, SetAside
from holdfast.sessions.sharing import Sharing
from holdfast.sessions.stores.base import (
    Store,
    StoreError,
    StoreFencedError,
    StoreTruncatedError,
)
from holdfast.sessions.waiters import Settled, StoreUnavailableError, Waiters

_log: Final = RateLimitedLogger("holdfast.store")


_PROMISES: Final = "promises"
_RECOVERED_MAX: Final = 100
"""Sessions of the previous run whose journal is folded after one commit."""


class Commit(Struct):
    """A batch in flight to the store, and its waiters."""

    batch: Batch
    work: list[tuple[DurableState, Row | None, Record]]
    extended: list[Extended]
    waiting: list[Settled]
    snapshotted: list[DurableState]
    closed: list[Callable[[], None]]
    """To be called once the ends of sessions are durable."""


class Journal:
    """Collects changes and commits them.

    After each commit, `on_accepted` gets the newest durable output of each application
    instance. With `promises` false, nothing waits for a store that is not writable: outputs
    count as accepted, and commands as kept, when they are in memory.
    """

    def __init__(
        self,
        limits: StoreLimits,
        on_accepted: Callable[[dict[str, int]], None],
        *,
        promises: bool = True,
    ) -> None:
        self.broken: StoreError | None = None
        self.on_turned: Callable[[], None] = lambda: None
        """Called when `broken` has become an error, or `None` again."""
        self.on_fenced: Callable[[StoreFencedError], None] = lambda error: None
        """Called when another run has taken the sessions: nothing can be stored any more."""
        self.on_truncated: Callable[[], None] = lambda: None
        """Called when the store has lost commits: every session is to be added with all it has
        (`add_all`)."""
        self.on_set_aside: Callable[[SetAside], None] = lambda kept: None
        """Called with the parts that the store has set aside by itself."""
        self.commits = 0
        self.failures = 0
        self.written_bytes = 0
        self.commit_seconds = Histogram()
        """How long the store took for each commit."""
        self._limits = limits
        self._on_accepted = on_accepted
        self._promises = promises
        self._changed: list[DurableState] = []
        self._extended: list[DurableState] = []
        """Sessions that have got outputs which others have got, too; some are in `_changed`."""
        self._batch = Batch()
        self._closed: list[Callable[[], None]] = []
        self._wake = TimedEvent()
        self._hurry = TimedEvent()
        self._waiters = Waiters(self._hurry.set, limits.gather_seconds_max)
        self._stopping = False
        self._urgent = False
        """Whether the next commit is waited for."""
        self._in_flight = False
        """Whether a commit is with the store."""
        self._whole = False
        """Whether the next commit has all of every session, because earlier ones are lost."""
        self._number = 0
        self.compaction = Compaction(limits)
        """Of the journal, which the commits of sessions that leave have snapshots of, too."""

    # --- what belongs into the next commit

    def add(self, session: DurableState) -> None:
        """`session` has news. Called once until they are collected. Hot path."""
        changed = self._changed
        if not changed:
            self._wake.set()
        changed.append(session)
        if session.durable:
            self._urge()
        elif len(changed) == self._limits.commit_sessions_max:
            self._hurry.set()

    def extend(self, session: DurableState) -> None:
        """`session` has got an output that others have got, too. Called once until it is
        collected. Hot path."""
        extended = self._extended
        if not extended:
            self._wake.set()
        extended.append(session)
        if session.durable:
            self._urge()
        elif len(extended) == self._limits.commit_sessions_max:
            self._hurry.set()

    def _urge(self) -> None:
        """Somebody waits for the next commit. Hot path."""
        if not self._urgent:
            self._urgent = True
            if not self._in_flight:
                self._waiters.gather()

    @property
    def degraded(self) -> bool:
        """Whether the gateway continues without durability while the store is not writable."""
        return self.broken is not None and not self._promises

    def delete(self, session: DurableState, closed: Callable[[], None]) -> None:
        """Forget a closed session. `closed` is called when that is as durable as promised.

        That is at once, except for a durable session; and at once if the store is not writable.
        """
        waits = session.durable and session.persistent and self.broken is None
        if session.persistent:
            session.persistent = False
            self.compaction.forget(session)
            self._batch.deleted.append(session.sid)
            self._wake.set()
            self._hurry.set()
        if waits:
            self._closed.append(closed)
        else:
            closed()

    def delete_stored(self, sid: str) -> None:
        """Forget a session that is not loaded."""
        self._batch.deleted.append(sid)
        self._wake.set()
        self._hurry.set()

    def set_aside(self, kept: SetAside) -> None:
        """Keep an unreadable part for operators, where the next run does not find it."""
        self._batch.set_aside.append(kept)
        if kept.sid:
            self._batch.deleted.append(kept.sid)
        self._wake.set()

    def accept(self, instance: str, bseq: int) -> None:
        """Outputs of an application instance up to `bseq` have been taken in."""
        self._batch.accepted[instance] = bseq
        self._wake.set()
        if self.degraded:
            self._on_accepted({instance: bseq})

    def forget(self, instance: str) -> None:
        """An application instance will not return."""
        self._batch.forgotten.append(instance)
        self._wake.set()

    def keep(self, key: str, value: bytes) -> None:
        """Keep a setting of the gateway's own; an empty value forgets it."""
        self._batch.settings[key] = value
        self._wake.set()

    async def settled(self) -> None:
        """Wait until all changes so far are durable.

        Raises `StoreUnavailableError` if the store refuses them.
        """
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def settled(error: StoreUnavailableError | None) -> None:
            if future.done():
                pass  # who waited was cancelled
            elif error is None:
                future.set_result(None)
            else:
                future.set_exception(error)

        self.when_settled(settled)
        await future

    def when_settled(self, call: Settled, *, sync: bool = False) -> None:
        """Have `call` called once, when all changes so far are durable or the store refuses them.

        Raises `StoreUnavailableError` if it does already. With `sync`, they survive a loss of
        power, and not only the death of the process.
        """
        if self.broken is not None:
            raise StoreUnavailableError(str(self.broken))
        self._waiters.add(call)
        self._batch.sync = self._batch.sync or sync
        self._wake.set()
        self._urgent = True
        if not self._in_flight:
            self._waiters.gather()

    # --- one commit

    def promised(self, settings: dict[str, bytes]) -> bool:
        """Whether the previous run waited for its store, by the store's settings.

        The mode of this run is stored for the next one.
        """
        before = has_promised(settings)
        if before != self._promises:
            self.keep(_PROMISES, b"1" if self._promises else b"0")
        return before

    def resume(self, number: int, size: int) -> None:
        """Continue after commit `number` of the previous run, whose journal has `size` bytes."""
        self._number = number
        self.compaction.resume(size)

    def collect(self) -> Commit:
        """Return all changes so far as one commit. Only after the previous one has ended."""
        batch, self._batch = self._batch, Batch()
        changed, self._changed = self._changed, []
        extended, self._extended = gather(self._extended), []
        waiting = self._waiters.take()
        self._wake.clear()
        self._hurry.clear()
        self._urgent = False
        self._number += 1
        batch.number = self._number
        closed, self._closed = self._closed, []
        self._in_flight = True
        work: list[tuple[DurableState, Row | None, Record]] = []
        records: list[tuple[JournalKey, Record]] = []
        extensions: list[tuple[list[JournalKey], Extension]] = []
        sharing, sync = Sharing(), batch.sync
        for session in changed:
            if not session.persistent:  # closed since
                continue
            row, record = session.record()
            work.append((session, row, record))
            if row is not None:
                batch.rows.append(row)
            outs = record.outs
            if outs and session.out.shared > record.top - len(outs):
                record.outs = sharing.share(outs)
            records.append((session.journal_key, record))
            sync = sync or session.durable
        for group in extended:
            extensions += group.pairs(sharing)
            sync = sync or group.durable
        batch.records, batch.extensions, batch.shared = records, extensions, sharing.entries
        batch.sync = sync or bool(closed) or self._whole
        batch.whole = self._whole
        snapshotted = self.compaction.contribute(batch)
        return Commit(batch, work, extended, waiting, snapshotted, closed)

    def committed(self, commit: Commit, size: int) -> None:
        """`commit` is durable; it added `size` bytes to the journal."""
        self._in_flight = False
        self._whole = self._whole and not commit.batch.whole
        self._waiters.ended(len(commit.waiting), urgent=self._urgent)
        self._turn(None)
        self.commits += 1
        self.written_bytes += size
        for session, _, record in commit.work:
            try:
                session.committed(record)
            except Exception as error:  # one session is one failure domain
                log_failure(_log, "a session failed", error, session=session.sid)
            if session.persistent:
                self.compaction.journaled(session)
        for group in commit.extended:
            group.committed()
            self.compaction.extended(group.sessions)
        self.compaction.committed(commit.batch, size)
        if commit.batch.accepted:
            self._on_accepted(commit.batch.accepted)
        for closed in commit.closed:
            closed()
        self._waiters.tell(commit.waiting, None)

    def failed(self, commit: Commit, error: StoreError) -> None:
        """`commit` was refused: its changes go into the next one, and its waiters get the error."""
        self.failures += 1
        waiting, commit.waiting = commit.waiting, []
        closed, commit.closed = commit.closed + self._closed, []
        self._closed = []
        self._put_back(commit)
        self._turn(error)
        if self.degraded and self._batch.accepted:
            self._on_accepted(dict(self._batch.accepted))
        for call in closed:  # nobody is to wait for a store that refuses
            call()
        self._waiters.tell(waiting, StoreUnavailableError(str(error)))

    def _put_back(self, commit: Commit) -> None:
        """All of a commit is still to be stored."""
        self._in_flight = False
        for session, row, _ in commit.work:
            session.failed(row)
        for group in commit.extended:
            for member in group.sessions:
                member.failed(None)
        self.compaction.failed(commit.snapshotted)
        earlier, later = commit.batch, self._batch
        self._batch = Batch(
            deleted=earlier.deleted + later.deleted,
            accepted={**earlier.accepted, **later.accepted},
            forgotten=earlier.forgotten + later.forgotten,
            settings={**earlier.settings, **later.settings},
            set_aside=earlier.set_aside + later.set_aside,
        )
        self._waiters.put_back(commit.waiting)
        self._waiters.ended(0, urgent=self._urgent)
        self._closed = commit.closed + self._closed
        self._wake.set()

    def _truncated(self, error: StoreTruncatedError) -> None:
        """Earlier commits are lost: the next one has everything."""
        _log.error("every session is stored again", why=str(error))
        self._whole = True
        self.on_truncated()

    def add_all(self, session: DurableState) -> None:
        """The next commit has all of `session`, whatever was stored of it before."""
        if session.persistent:
            session.mark_row_dirty()
            self.compaction.leave(session)

    def _turn(self, error: StoreError | None) -> None:
        """The store refuses, or can be written to."""
        before, self.broken = self.broken, error
        if (before is None) is (error is None):
            return
        if error is not None:
            _log.error("store not writable", error=str(error))
        else:
            _log.warning("store writable again")
        self.on_turned()

    # --- the loop

    async def run(self, store: Store) -> None:
        """Commit to `store` until `stop`, and then once more.

        Only the end of the process may cancel it: the outcome of a commit in flight would be
        unknown. It ends by itself after `on_fenced`. Then nothing more is stored: whoever waits
        for that, or would, gets `StoreUnavailableError`.
        """
        try:
            while await self._due(store):
                commit = self.collect()
                began = monotonic()  # a loop tells the time in milliseconds
                try:
                    size = await store.commit(commit.batch)
                except StoreFencedError as error:
                    self.on_fenced(error)
                    return
                except StoreTruncatedError as error:
                    self._put_back(commit)
                    self._truncated(error)
                    continue
                except StoreError as error:
                    self.failed(commit, error)
                except Exception as error:
                    log_failure(_log, "a commit failed", error)
                    if _give_up_unwritable(commit):
                        self._put_back(commit)  # the rest can be written, and is at once
                        continue
                    self.failed(commit, StoreError(f"a commit failed: {error}"))
                else:
                    self.commit_seconds.observe(monotonic() - began)
                    self.committed(commit, size)
                    if self.compaction.recovering:
                        await self._recover(store)
                    continue
                if self._stopping:
                    return
                await asyncio.sleep(self._limits.retry_seconds_max)
        finally:
            self.broken = self.broken or StoreError("the gateway has stopped")
            self._waiters.tell(self._waiters.take(), StoreUnavailableError(str(self.broken)))

    async def _recover(self, store: Store) -> None:
        """Let the store fold a part of the previous run's journal."""
        try:
            recovered = await store.recover(_RECOVERED_MAX)
        except StoreError as error:  # it is tried again after the next commit
            _log.warning("journal recovery failed", error=str(error))
            return
        for kept in recovered.set_aside:
            self.on_set_aside(kept)
        if not recovered.left:
            self.compaction.recovered()

    def stop(self) -> None:
        """Let `run` end once all changes so far are durable."""
        self._stopping = True
        self._wake.set()
        self._hurry.set()

    @property
    def stored(self) -> bool:
        """Whether all changes so far survive the death of the process. Hot path."""
        return not self._in_flight and not self._changed and self.idle

    @property
    def idle(self) -> bool:
        """Whether nothing waits for a commit."""
        batch = self._batch
        return not (
            self._changed
            or self._extended
            or self._waiters
            or batch.deleted
            or batch.accepted
            or batch.forgotten
            or batch.settings
            or batch.set_aside
        )

    async def _due(self, store: Store) -> bool:
        """Wait until a commit is due; false when there will be no more."""
        if self._stopping:
            return not self.idle
        while not await self._wake.within(self._limits.check_seconds_max):
            try:  # nothing is to be written: it is looked at whether it could be
                await store.check()
            except StoreError as error:
                self._turn(error)
            else:
                self._turn(None)
        await self._hurry.within(self._limits.commit_seconds_max)
        return not (self._stopping and self.idle)


def has_promised(settings: Mapping[str, bytes]) -> bool:
    """Whether a run with these settings waited for its store."""
    return settings.get(_PROMISES, b"1") == b"1"


def _give_up_unwritable(commit: Commit) -> bool:
    """Close the sessions whose changes cannot be written. Return whether there are any."""
    found = False
    for session, row, record in commit.work:
        try:
            msgspec.msgpack.encode((row, record))
        except Exception as error:
            _log.error("session not stored", sid=session.sid, error=str(error))
            session.fail()
            found = True
    return found
