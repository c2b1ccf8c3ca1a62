"""Loads the sessions of the store: an index of them at the start, each session on demand.

A session is loaded when its client comes, when its application links, or when
somebody else needs what is in it. To end it, or to list it, it need not be loaded.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from heapq import merge
from operator import attrgetter
from sys import intern
from typing import Final, Protocol

import msgspec

from holdfast.core.limits import SessionLimits
from holdfast.net.addresses import network_of
from holdfast.net.log import RateLimitedLogger
from holdfast.sessions.dormant import DETACHED, DormantSession, DormantSessions
from holdfast.sessions.eras import KEY, Eras, read_eras
from holdfast.sessions.journal import Journal, has_promised
from holdfast.sessions.records import Found, Head, SetAside, Stored, StoredSession, head_of
from holdfast.sessions.session import Session, SessionBackend, SessionOwner
from holdfast.sessions.states import SessionInput, SessionState
from holdfast.sessions.stores.base import Store
from holdfast.sessions.stores.reading import set_aside

_log: Final = RateLimitedLogger("holdfast.sessions")
_DETACHED: Final = {name for name, state in DETACHED.items() if name == state.value}
"""The states that are stored of sessions whose clients were away."""
_RESTORED_MAX: Final = 1_000
"""Sessions that are registered in one go."""
_SORTED_MAX: Final = 5_000
"""Sessions that are sorted in one go: what is sorted is merged as it is registered."""
_LOADED_FIRST_MAX: Final = 20
"""Sessions that are loaded in one go at first, when many come: nobody of them waits for more."""
_LOADED_MAX: Final = 100
"""Sessions that are loaded in one go: twice as many as before, up to this, while more wait."""


_AGE: Final = attrgetter("detached", "sid")
"""The order in which sessions were detached."""


def _dormant(
    head: Head, state: SessionState, backend: SessionBackend, detached: float
) -> DormantSession:
    lasting = head.kept or backend.keeps(known=head.known)
    return DormantSession(
        head.sid,
        head.app,
        backend,
        state,
        head.user,
        head.address,
        head.protocol,
        detached,
        lasting,
        head.code,
        head.code_before,
        head.instance,
        head.known,
        intern(network_of(head.address)),
    )


class Registry(Protocol):
    """The registry of all sessions of the node, loaded or not."""

    def found(self, dormant: DormantSession) -> None:
        """The store has a session."""

    def loaded(self, dormant: DormantSession, session: Session) -> None:
        """`session` is loaded and replaces `dormant`."""

    def forget(self, dormant: DormantSession) -> None:
        """`dormant` cannot be loaded and is set aside."""

    def unresumable(self, sid: str) -> None:
        """The store has a session that cannot be resumed."""

    def has_set_aside(self, kept: SetAside) -> None:
        """A part of the store cannot be read."""


class Loader:
    """Loads sessions of `store`; without one, there is nothing to load."""

    def __init__(
        self, registry: Registry, owner: SessionOwner, journal: Journal, limits: SessionLimits
    ) -> None:
        self.dormant = DormantSessions()
        self.eras = Eras()
        self.store: Store | None = None
        self._registry = registry
        self._owner = owner
        self._journal = journal
        self._limits = limits
        self._loading = asyncio.Lock()
        self._wanted: deque[str] = deque()
        """Sessions that somebody waits for, in order. Some are loaded by now."""
        self._part = _LOADED_FIRST_MAX
        """How many are loaded next in one go."""

    def restoring(
        self, stored: Stored, backend_of: Callable[[Head], SessionBackend], now: float
    ) -> Iterator[None]:
        """Register the sessions of the store, in parts of some milliseconds.

        `stored.heads` is empty afterwards.
        """
        self._journal.resume(stored.number, stored.journal_bytes)
        self._begin_era(stored, now)
        return self._registering(stored, backend_of, now)

    def adopting(
        self, stored: Stored, backend_of: Callable[[Head], SessionBackend], now: float
    ) -> Iterator[None]:
        """As `restoring`, for sessions of runs that have ended while this one serves."""
        self._journal.compaction.adopted(stored.journal_bytes)
        # Also after an orderly stop: that run may have had sessions of another one, not loaded.
        self._next_era(stored, now, promised=stored.clean or has_promised(stored.settings))
        return self._registering(stored, backend_of, now)

    def arrived(
        self, found: Found, backend_of: Callable[[Head], SessionBackend], now: float
    ) -> None:
        """Register and load sessions that another node has given to this one."""
        for kept in found.sessions:
            kept.row.era = self.eras.now  # their logs are complete
            head = head_of(kept.row)
            state = DETACHED[head.state]
            if state is not SessionState.CLOSED and self.dormant.get(head.sid) is None:
                session = _dormant(head, state, backend_of(head), head.detached or now)
                self.dormant.add(session)
                self._registry.found(session)
        self._take_up([], found, now)

    def _registering(
        self, stored: Stored, backend_of: Callable[[Head], SessionBackend], now: float
    ) -> Iterator[None]:
        for unreadable in stored.set_aside:
            self._set_aside(unreadable)
        heads, stored.heads = stored.heads, []
        part: list[DormantSession] = []
        parts = [part]
        while heads:
            head = heads.pop()
            state = DETACHED[head.state]
            if state is SessionState.CLOSED:
                self._registry.unresumable(head.sid)
                continue
            detached = head.detached
            if head.state not in _DETACHED:
                detached = self._stopped(head, now)
            part.append(_dormant(head, state, backend_of(head), detached))
            if not len(part) % _RESTORED_MAX:
                yield
            if len(part) == _SORTED_MAX:
                part.sort(key=_AGE)
                part = []
                parts.append(part)
                yield
        part.sort(key=_AGE)
        for number, session in enumerate(merge(*parts, key=_AGE), 1):
            self.dormant.add(session)
            self._registry.found(session)
            if not number % _RESTORED_MAX:
                yield
        yield

    async def load(self, sids: Iterable[str], now: float) -> None:
        """Load those of these sessions that are dormant. Raises `StoreError`.

        A session that cannot be loaded is set aside, and no longer found. What many want at the
        same time is read together: all clients of a gateway that has died come at once.
        """
        wanted = [sid for sid in sids if sid in self.dormant]
        self._wanted.extend(wanted)
        for sid in wanted:
            if sid in self.dormant:
                async with self._loading:
                    if sid in self.dormant:
                        await self._load_with_others(sid, now)

    async def _load_with_others(self, sid: str, now: float) -> None:
        """Load a session, and with it some of those that are waited for."""
        assert self.store is not None, "what is dormant is in a store"
        asked = {sid: None}
        while self._wanted and len(asked) < self._part:
            other = self._wanted.popleft()
            if other in self.dormant:
                asked[other] = None
        self._part = min(2 * self._part, _LOADED_MAX) if self._wanted else _LOADED_FIRST_MAX
        self._take_up(list(asked), await self.store.take(list(asked)), now)

    async def load_all(self, backend: SessionBackend, now: float) -> None:
        """Load all sessions of one backend. Raises `StoreError`."""
        await self.load([session.sid for session in self.dormant.of(backend)], now)

    @property
    def shared(self) -> bool:
        """Whether other nodes use the store, too."""
        return self.store is not None and self.store.neighbours is not None

    async def find(self, sids: Sequence[str]) -> dict[str, StoredSession]:
        """Read these sessions from the store without loading them. Raises `StoreError`."""
        found = await self.store.find(sids) if self.store is not None and sids else Found()
        return {session.row.sid: session for session in found.sessions}

    def _stopped(self, head: Head, now: float) -> float:
        """When the run ended in which the client of a session was attached."""
        if self.shared:
            return now  # eras are counted for all nodes: this one may have ended much later
        stopped = self.eras.stopped(head.era)
        return now if stopped is None else stopped

    def _begin_era(self, stored: Stored, now: float) -> None:
        promised = self._journal.promised(stored.settings)
        self.eras = read_eras(stored.settings)
        if not stored.clean:
            self._next_era(stored, now, promised=promised)

    def _next_era(self, stored: Stored, now: float, *, promised: bool) -> None:
        """Begin an era that no session of the store has: several nodes count them."""
        newest = max((head.era for head in stored.heads), default=0)
        known = max(newest, read_eras(stored.settings).now)
        self.eras = self.eras.beyond(known, now).after_unclean_stop(now, promised=promised)
        self._journal.keep(KEY, msgspec.msgpack.encode(self.eras))

    def _take_up(self, asked: Sequence[str], found: Found, now: float) -> None:
        """Load what was read. Meanwhile, a session may have been loaded, or have ended."""
        for unreadable in found.set_aside:
            self._give_up(unreadable)
        for kept in found.sessions:
            dormant = self.dormant.get(kept.row.sid)
            if dormant is None:
                continue
            try:
                session = self._restore(kept, dormant, now)
            except Exception as error:
                # One session is one failure domain: the others are loaded.
                self._give_up(set_aside(kept, f"it cannot be loaded: {error!r}"))
                continue
            self.dormant.pop(session.sid)
            self._registry.loaded(dormant, session)
        for sid in asked:
            if sid in self.dormant:
                self.lost(SetAside(sid, "the store does not have it any more", b""))

    def _restore(self, kept: StoredSession, dormant: DormantSession, now: float) -> Session:
        session = Session(kept.row, dormant.backend, self._limits, self._owner)
        session.generation = kept.generation
        session.restore(kept.records, self.eras)
        if not session.state.detached:
            session.row.detached = dormant.detached
            session.apply(SessionInput.DROPPED)
        session.out.trim_older(now - self._limits.window_age_seconds_max)
        if session.persistent and self._journal.degraded:
            session.set_degraded(degraded=True)
        return session

    def lost(self, kept: SetAside) -> None:
        """Forget a session that the store has set aside, because it cannot be read."""
        self._registry.has_set_aside(kept)
        dormant = self.dormant.pop(kept.sid)
        if dormant is not None:
            self._registry.forget(dormant)

    def _give_up(self, kept: SetAside) -> None:
        self.lost(kept)
        self._journal.set_aside(kept)

    def _set_aside(self, kept: SetAside) -> None:
        """Set aside what cannot be read at the start, when no session is registered for it."""
        self._registry.has_set_aside(kept)
        self._journal.set_aside(kept)
