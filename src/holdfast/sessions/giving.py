"""Gives sessions to the other nodes of a store, whose clients have come there.

The session is taken out of this node first: its client is disconnected, whoever changes it has
been told, and nothing changes it any more. Then its snapshot is committed, and one transaction
makes it the other node's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, Protocol

from holdfast.core.clock import Clock
from holdfast.core.errors import Reason
from holdfast.core.limits import StoreLimits
from holdfast.net.log import RateLimitedLogger, log_failure
from holdfast.sessions.journal import Journal
from holdfast.sessions.life import Life
from holdfast.sessions.manager import SessionManager
from holdfast.sessions.population import Member
from holdfast.sessions.session import Session
from holdfast.sessions.states import SessionInput
from holdfast.sessions.stores.base import Neighbours, StoreError
from holdfast.sessions.waiters import StoreUnavailableError

_log: Final = RateLimitedLogger("holdfast.sessions")


class Moving(Protocol):
    """A backend, as far as its sessions move."""

    @property
    def stays(self) -> bool:
        """Whether no session moves."""

    def may_move(self, session: Session) -> bool:
        """Whether another node may have the session now."""

    async def prepare(self, sessions: Sequence[Session]) -> None:
        """Other nodes get these sessions: whoever changes them is told, and is done with that."""

    def moved(self, session: Session) -> None:
        """Another node has the session from now on: it is not changed here any more."""

    async def adopt(self, sids: Sequence[str]) -> None:
        """These sessions have come from other nodes. Raises `StoreError`."""


class Giving:
    """Gives sessions away, while `run` runs."""

    def __init__(
        self,
        neighbours: Neighbours,
        limits: StoreLimits,
        manager: SessionManager,
        journal: Journal,
        backend_of: Callable[[Member], Moving],
        clock: Clock,
    ) -> None:
        self.others = 0
        """How many other nodes there are; without one, nobody asks."""
        self.offered: dict[str, Reason] = {}
        """Sessions that others were offered, with what their clients are told when they go."""
        self.moving = 0
        """How many are just being given: they are not found here, and not yet the other node's."""
        self.on_strange: Callable[[Iterable[str]], None] = lambda sids: None
        """Called with sessions of this run that others want, and that are not known here: they may
        have come when nobody wanted them any more."""
        self._leaving: set[str] = set()
        """Sessions that are on their way: no part of this node, and still its own in the store."""
        self._neighbours = neighbours
        self._limits = limits
        self._manager = manager
        self._journal = journal
        self._backend_of = backend_of
        self._clock = clock

    async def run(self) -> None:
        """Give what others ask for, until cancelled."""
        given = 0
        while True:
            if not given:  # else there are more, perhaps
                await asyncio.sleep(self._limits.move_seconds_max)
            given = 0
            if not self.others:
                continue
            try:
                given = await self._look()
            except StoreError as error:
                _log.warning("no session given to other nodes", error=str(error))
            except Exception as error:  # the next look may be at others
                log_failure(_log, "a look for sessions that others want failed", error)

    async def _look(self) -> int:
        asked = await self._neighbours.asked(self._limits.moved_sessions_max)
        return sum([await self.give(wanted, run) for run, wanted in asked.items()])

    async def give(self, wanted: Mapping[str, int], run: int) -> int:
        """Give those of these sessions to another run that can move now. Returns how many were.

        `wanted`: as `Neighbours.asked` returns them. Raises `StoreError`.
        """
        manager = self._manager
        await manager.loader.load(wanted, self._clock())
        self.on_strange(sid for sid in wanted if not (manager.find(sid) or self.leaves(sid)))
        sessions = [manager.sessions[sid] for sid in wanted if sid in manager.sessions]
        kept = [
            one.sid for one in sessions if not self.can_leave(one) or self._is_late(one, wanted)
        ]
        if kept:
            await self._neighbours.refuse(kept)
        able = [one for one in sessions if self._may_move(one) and not self._is_late(one, wanted)]
        for backend, share in self._by_backend(able).items():
            await backend.prepare(share)
        going = [one for one in able if self._is_here(one) and not self._is_late(one, wanted)]
        self.moving = len(going)
        try:
            given = await self._give(going, run) if going else 0
        finally:
            self.moving = 0
        left = [session for session in able if manager.sessions.get(session.sid) is session]
        for backend, share in self._by_backend(left).items():
            await backend.adopt([session.sid for session in share])
        return given

    def can_leave(self, session: Member) -> bool:
        """Whether another node may have the session, now or when nothing of it is under way."""
        if isinstance(session, Session):
            if not (session.persistent and session.resumable):
                return False
            if not (session.state.detached or session.allows(SessionInput.RESUMED)):
                return False
        return not self._backend_of(session).stays

    def _may_move(self, session: Session) -> bool:
        return self.can_leave(session) and self._backend_of(session).may_move(session)

    def _is_here(self, session: Session) -> bool:
        """Whether it can still be given: it may have ended or changed meanwhile."""
        return self._manager.sessions.get(session.sid) is session and self._may_move(session)

    def _is_late(self, session: Session, wanted: Mapping[str, int]) -> bool:
        """Whether the other node wants the session for a reason that is past. Its client would
        lose the connection that it has.

        The client may have come here since the other node has looked it up: that client, or its
        node, may have gone. Without a client, a node wants what it was offered: if this one has
        not offered the session, a node that had it before has, and its client has come here since.
        """
        looked_up, now = wanted[session.sid], session.row.gen
        return looked_up < now if looked_up else now > 0 and session.sid not in self.offered

    def _by_backend(self, sessions: Iterable[Session]) -> dict[Moving, list[Session]]:
        shares: dict[Moving, list[Session]] = {}
        for session in sessions:
            shares.setdefault(self._backend_of(session), []).append(session)
        return shares

    def leaves(self, sid: str) -> bool:
        """Whether a session is being given away just now."""
        return sid in self._leaving

    async def _give(self, sessions: Sequence[Session], run: int) -> int:
        sids = {session.sid for session in sessions}
        self._leaving |= sids
        try:
            return await self._give_away(sessions, run)
        finally:
            self._leaving -= sids

    async def _give_away(self, sessions: Sequence[Session], run: int) -> int:
        compaction = self._journal.compaction
        for session in sessions:
            reason = self.offered.pop(session.sid, Reason.SUPERSEDED)
            self._manager.let_go(session, reason)
            self._backend_of(session).moved(session)
            compaction.leave(session)
            session.mark_row_dirty()
        try:
            await self._journal.settled()
        except StoreUnavailableError:
            self._take_back(sessions)
            return 0
        for session in sessions:
            compaction.forget(session)
            session.persistent = False  # what is not in that snapshot would be lost
        given: set[str] = set()
        try:  # while it is not known, they are nobody's
            given.update(await self._neighbours.give([session.sid for session in sessions], run))
        except StoreError as error:
            _log.warning("no session given to another node", error=str(error))
        gone = [session for session in sessions if session.sid in given]
        self._manager.counts.moved_out += len(gone)
        for session in gone:
            self._manager.life.tell(Life.MOVED, session, to_node=run)
            session.free()
        self._take_back([session for session in sessions if session.sid not in given])
        return len(gone)

    def _take_back(self, sessions: Sequence[Session]) -> None:
        for session in sessions:
            self._manager.take_back(session)
            self._journal.compaction.journaled(session)
            session.stored_again()
