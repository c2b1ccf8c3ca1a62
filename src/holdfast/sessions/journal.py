"""The group commit: what changed in many sessions becomes durable in one transaction.

Sessions say that they changed; a commit collects the news of all of them at
once. One commit is under way at a time. What is urgent (a durable session, an
attach that must be durable before it is answered) starts the next one as soon
as the one before is done; the rest waits a few milliseconds for company.

`collect`, `committed` and `failed` are the whole of the logic and wait for
nothing; `run` drives them against a store.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable

import structlog
from msgspec import Struct

from holdfast.core.errors import HoldfastError
from holdfast.core.limits import StoreLimits
from holdfast.sessions.cleaning import Cleaning
from holdfast.sessions.records import Batch, Record, Row
from holdfast.sessions.session import Session
from holdfast.sessions.stores.base import Store, StoreError

_log = structlog.get_logger("holdfast.store")


class StoreUnavailableError(HoldfastError):
    """The store cannot be written to now, so nothing new can be promised."""

    retryable = True


class Commit(Struct):
    """A batch on its way to the store, and who is waiting for it."""

    batch: Batch
    work: list[tuple[Session, Row | None, Record]]
    waiting: list[asyncio.Future[None]]
    snapshotted: list[Session]


class Journal:
    """Collects what changed and commits it.

    `on_accepted` is told, after each commit, up to which output each
    application instance has been heard durably.
    """

    def __init__(self, limits: StoreLimits, on_accepted: Callable[[dict[str, int]], None]) -> None:
        self.broken: StoreError | None = None
        self.commits = 0
        self.failures = 0
        self.written_bytes = 0
        self._limits = limits
        self._on_accepted = on_accepted
        self._changed: list[Session] = []
        self._batch = Batch()
        self._waiting: list[asyncio.Future[None]] = []
        self._wake = asyncio.Event()
        self._hurry = asyncio.Event()
        self._stopping = False
        self._number = 0
        self._cleaning = Cleaning(limits)

    # --- what belongs into the next commit

    def add(self, session: Session) -> None:
        """`session` has news. Called once until they are collected. Hot path."""
        changed = self._changed
        if not changed:
            self._wake.set()
        changed.append(session)
        if session.durable or len(changed) == self._limits.commit_sessions_max:
            self._hurry.set()

    def delete(self, session: Session) -> None:
        """Forget a closed session."""
        if session.persistent:
            session.persistent = False
            self._batch.deleted.append(session.sid)
            self._wake.set()

    def accept(self, instance: str, bseq: int) -> None:
        """Outputs of an application instance up to `bseq` have been taken in."""
        self._batch.accepted[instance] = bseq
        self._wake.set()

    def forget(self, instance: str) -> None:
        """An application instance will not come back."""
        self._batch.forgotten.append(instance)
        self._wake.set()

    def keep(self, key: str, value: bytes) -> None:
        """Keep a setting of the gateway's own."""
        self._batch.settings[key] = value
        self._wake.set()

    async def settled(self) -> None:
        """Wait until everything said so far is durable.

        Raises `StoreUnavailableError` when the store refuses it.
        """
        if self.broken is not None:
            raise StoreUnavailableError(str(self.broken))
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        self._wake.set()
        self._hurry.set()
        await future

    # --- one commit

    def resume(self, number: int, journaled: Iterable[Session]) -> None:
        """Go on after commit `number` of the run before, whose journal holds news of these."""
        self._number = number
        for session in journaled:
            self._cleaning.journaled(session)

    def collect(self) -> Commit:
        """Everything said so far, as one commit. Only after the one before has ended."""
        batch, self._batch = self._batch, Batch()
        changed, self._changed = self._changed, []
        waiting, self._waiting = self._waiting, []
        self._wake.clear()
        self._hurry.clear()
        self._number += 1
        batch.number = self._number
        work = []
        for session in changed:
            if not session.persistent:  # closed since
                continue
            row, record = session.record()
            work.append((session, row, record))
            if row is not None:
                batch.rows.append(row)
            batch.records.append((session.sid, record))
            batch.sync = batch.sync or session.durable
        snapshotted = self._cleaning.contribute(batch)
        return Commit(batch, work, waiting, snapshotted)

    def committed(self, commit: Commit, size: int) -> None:
        """`commit` is durable; it added `size` bytes to the journal."""
        self.broken = None
        self.commits += 1
        self.written_bytes += size
        for session, _, record in commit.work:
            session.committed(record)
            self._cleaning.journaled(session)
        self._cleaning.committed(commit.batch, size)
        if commit.batch.accepted:
            self._on_accepted(commit.batch.accepted)
        for future in commit.waiting:
            if not future.done():
                future.set_result(None)

    def failed(self, commit: Commit, error: StoreError) -> None:
        """`commit` was refused: its news belong into the next one, and its waiters are told."""
        self.broken = error
        self.failures += 1
        for session, row, _ in commit.work:
            session.failed(row)
        self._cleaning.failed(commit.snapshotted)
        later = self._batch
        self._batch = Batch(
            deleted=commit.batch.deleted + later.deleted,
            accepted={**commit.batch.accepted, **later.accepted},
            forgotten=commit.batch.forgotten + later.forgotten,
            settings={**commit.batch.settings, **later.settings},
        )
        self._wake.set()
        for future in commit.waiting:
            if not future.done():
                future.set_exception(StoreUnavailableError(str(error)))

    # --- the loop

    async def run(self, store: Store) -> None:
        """Commit to `store` until `stop`, and then once more what is left.

        It must not be cancelled but by the end of the process: a commit that
        is under way would end unknown.
        """
        while await self._due():
            commit = self.collect()
            try:
                size = await store.commit(commit.batch)
            except StoreError as error:
                if self.broken is None:
                    _log.error("the store refuses to be written to", error=str(error))
                self.failed(commit, error)
                if self._stopping:
                    return
                await asyncio.sleep(self._limits.retry_seconds_max)
            else:
                if self.broken is not None:
                    _log.warning("the store can be written to again")
                self.committed(commit, size)

    def stop(self) -> None:
        """Let `run` end once everything said so far is durable."""
        self._stopping = True
        self._wake.set()
        self._hurry.set()

    @property
    def idle(self) -> bool:
        """Whether nothing waits for a commit."""
        batch = self._batch
        return not (
            self._changed
            or self._waiting
            or batch.deleted
            or batch.accepted
            or batch.forgotten
            or batch.settings
        )

    async def _due(self) -> bool:
        """Wait until a commit is due; false when there will be no more."""
        if self._stopping:
            return not self.idle
        await self._wake.wait()
        if not self._hurry.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._limits.commit_seconds_max):
                    await self._hurry.wait()
        return not (self._stopping and self.idle)
