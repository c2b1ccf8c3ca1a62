"""Taking up what the store has: at the start what finds the sessions, and each of them on demand.

A session is loaded when its client comes, when its application links, or when
somebody else needs what is in it. To end it, or to list it, it need not be loaded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final, Protocol

import msgspec

from holdfast.core.limits import SessionLimits
from holdfast.net.addresses import network_of
from holdfast.net.log import RateLimitedLogger
from holdfast.sessions.dormant import DETACHED, DormantSession, DormantSessions
from holdfast.sessions.eras import KEY, Eras, read_eras
from holdfast.sessions.journal import Journal
from holdfast.sessions.records import Found, Head, SetAside, Stored, StoredSession
from holdfast.sessions.session import Session, SessionBackend, SessionOwner
from holdfast.sessions.states import SessionInput, SessionState
from holdfast.sessions.stores.base import Store
from holdfast.sessions.stores.reading import set_aside

_log: Final = RateLimitedLogger("holdfast.sessions")
_DETACHED: Final = {name for name, state in DETACHED.items() if name == state.value}
"""The states that are stored of sessions whose clients were away."""
_RESTORED_MAX: Final = 1_000
"""Sessions that are taken up in one go."""
_LOADED_MAX: Final = 100
"""Sessions that are loaded in one go."""


class Registry(Protocol):
    """Who keeps all sessions of the node, loaded or not."""

    def found(self, dormant: DormantSession, network: str) -> None:
        """The store has a session, of a client in `network`."""

    def loaded(self, dormant: DormantSession, session: Session) -> None:
        """It is there, in the place of what stood for it."""

    def forget(self, dormant: DormantSession) -> None:
        """It cannot be loaded, and is set aside."""

    def unresumable(self, sid: str) -> None:
        """The store has a session that nobody can come back to."""

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

    def restoring(
        self, stored: Stored, backend_of: Callable[[Head], SessionBackend], now: float
    ) -> Iterator[None]:
        """Take up what the store has, in parts of some milliseconds. It gives its heads away."""
        self._journal.resume(stored.number, stored.journal_bytes)
        self._begin_era(stored, now)
        for unreadable in stored.set_aside:
            self._set_aside(unreadable)
        heads, stored.heads = stored.heads, []
        waiting: list[DormantSession] = []
        while heads:
            head = heads.pop()
            state = DETACHED[head.state]
            if state is SessionState.CLOSED:
                self._registry.unresumable(head.sid)
                continue
            detached = head.detached
            if head.state not in _DETACHED:
                stopped = self.eras.stopped(head.era)
                detached = now if stopped is None else stopped
            waiting.append(DormantSession(head, backend_of(head), detached))
            if not len(waiting) % _RESTORED_MAX:
                yield
        waiting.sort(key=lambda session: (session.detached, session.sid))
        for number, session in enumerate(waiting, 1):
            self.dormant.add(session)
            self._registry.found(session, network_of(session.address))
            if not number % _RESTORED_MAX:
                yield

    async def load(self, sids: Iterable[str], now: float) -> None:
        """Load those of these sessions that are not. Raises `StoreError`.

        What cannot be loaded is set aside, and is not there any more.
        """
        wanted = [sid for sid in sids if self.dormant.get(sid) is not None]
        for start in range(0, len(wanted), _LOADED_MAX):
            assert self.store is not None, "what is dormant is in a store"
            asked = wanted[start : start + _LOADED_MAX]
            self._take_up(asked, await self.store.take(asked), now)

    async def load_all(self, backend: SessionBackend, now: float) -> None:
        """Load all sessions of one backend. Raises `StoreError`."""
        await self.load([session.sid for session in self.dormant.of(backend)], now)

    async def find(self, sids: Sequence[str]) -> dict[str, StoredSession]:
        """What the store has of these sessions, which stay as they are. Raises `StoreError`."""
        found = await self.store.find(sids) if self.store is not None and sids else Found()
        return {session.row.sid: session for session in found.sessions}

    def _begin_era(self, stored: Stored, now: float) -> None:
        promised = self._journal.promised(stored.settings)
        self.eras = read_eras(stored.settings)
        if not stored.clean:
            self.eras = self.eras.after_unclean_stop(now, promised=promised)
            self._journal.keep(KEY, msgspec.msgpack.encode(self.eras))

    def _take_up(self, asked: Sequence[str], found: Found, now: float) -> None:
        """The store has been read. Meanwhile, a session may have been loaded, or have ended."""
        for unreadable in found.set_aside:
            self._give_up(unreadable)
        for kept in found.sessions:
            dormant = self.dormant.get(kept.row.sid)
            if dormant is None:
                continue
            try:
                session = self._restore(kept, dormant, now)
            except Exception as error:
                # Whatever is wrong with one session, the others are taken up.
                self._give_up(set_aside(kept, f"it cannot be taken up: {error!r}"))
                continue
            self.dormant.pop(session.sid)
            self._registry.loaded(dormant, session)
        for sid in asked:
            if sid in self.dormant:
                self.lost(SetAside(sid, "the store does not have it any more", b""))

    def _restore(self, kept: StoredSession, dormant: DormantSession, now: float) -> Session:
        session = Session(kept.row, dormant.backend, self._limits, self._owner)
        session.restore(kept.records, self.eras)
        if not session.state.detached:
            session.row.detached = dormant.detached
            session.apply(SessionInput.DROPPED)
        session.out.trim_older(now - self._limits.window_age_seconds_max)
        if session.persistent and self._journal.adrift:
            session.set_adrift(adrift=True)
        return session

    def lost(self, kept: SetAside) -> None:
        """The store has set aside what it cannot read."""
        self._registry.has_set_aside(kept)
        dormant = self.dormant.pop(kept.sid)
        if dormant is not None:
            self._registry.forget(dormant)

    def _give_up(self, kept: SetAside) -> None:
        self.lost(kept)
        self._journal.set_aside(kept)

    def _set_aside(self, kept: SetAside) -> None:
        """At the start: nothing stands for it yet."""
        self._registry.has_set_aside(kept)
        self._journal.set_aside(kept)
