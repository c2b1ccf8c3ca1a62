"""One gateway among several on one store: signs of life, and the sessions of the others."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from holdfast.backends.link.server import LinkServer
from holdfast.backends.registry import Backends
from holdfast.core.clock import Clock
from holdfast.core.errors import Reason
from holdfast.core.histogram import Histogram
from holdfast.gateway.context import Context
from holdfast.gateway.moving_away import MovingAway
from holdfast.link.messages import NodeAddress
from holdfast.net.log import RateLimitedLogger, log_failure
from holdfast.sessions.fetching import Fetched, Fetching
from holdfast.sessions.giving import Giving
from holdfast.sessions.membership import Membership
from holdfast.sessions.offering import Offering
from holdfast.sessions.population import app_of
from holdfast.sessions.records import Head, Stored
from holdfast.sessions.stores.base import Neighbours, OtherRun, Store, StoreError, StoreFencedError

_log: Final = RateLimitedLogger("holdfast.cluster")


_LOOKS: Final = 4
"""For each sign of life of the others: what a look finds late, their clients wait for."""


class ClusterStatus(NamedTuple):
    """How a gateway stands with the others on its store."""

    nodes: int
    """How many gateways live, this one included."""
    sign_age_seconds: float
    """Since its newest sign of life that the store has answered."""
    fenced: int
    """How many other gateways it has fenced."""
    fetched: Mapping[Fetched, int]
    """What became of the sessions that clients wanted from other gateways."""
    adoption_seconds: Histogram
    """From when it was seen that a gateway has ended until its sessions can be resumed here."""


ALONE: Final = ClusterStatus(1, 0.0, 0, {}, Histogram())
"""Of a gateway that has its store alone."""


class Cluster:
    """What a gateway does for and with the others on its store, whose `neighbours` they are."""

    def __init__(
        self,
        store: Store,
        neighbours: Neighbours,
        context: Context,
        backends: Backends,
        applications: LinkServer,
        node: str,
        monotonic: Clock,
    ) -> None:
        limits, manager, journal = context.limits.store, context.manager, context.journal
        self.membership = Membership(store, limits, context.runtime.coalescer.release, monotonic)
        self.runs: Sequence[OtherRun] = ()
        """The other gateways that live, as of the last look."""
        self._fenced = 0
        self._adoption_seconds = Histogram()
        self._monotonic = monotonic
        self._own: Sequence[NodeAddress] = ()
        self._untold: dict[str, list[str]] = {}
        """By application: sessions of other gateways, of which its backend is still to be told."""
        self._link = ""
        self._stays = True
        """Whether this gateway is not about to stop."""
        self._announced: tuple[list[str], bool] | None = None
        self._node = node
        self._applications = applications
        self._neighbours = neighbours
        self._look_seconds = limits.beat_seconds_max / _LOOKS
        self._manager = manager
        self._backends = backends
        self._clock = clock = context.wall
        journal.on_fenced = self.membership.fenced
        self._giving = Giving(
            neighbours,
            limits,
            manager,
            journal,
            lambda session: backends.named(app_of(session)).moves,
            clock,
        )
        self.fetching = Fetching(
            neighbours,
            limits,
            manager.loader,
            lambda sid: manager.find(sid) is not None,
            self._giving.leaves,
            lambda head: backends.named(head.app),
            clock,
            self._moved_in,
            lambda row: row.app not in self._away.unserved,
        )
        self._giving.on_strange = self.fetching.expect

        offering = Offering(neighbours, limits, self._giving, context.runtime.loop.time)
        self._away = MovingAway(offering, manager, backends, context.limits, lambda: self.runs)

    def status(self) -> ClusterStatus:
        """How it stands with the other gateways now."""
        return ClusterStatus(
            len(self.runs) + 1,
            self.membership.sign_age(),
            self._fenced,
            self.fetching.counts,
            self._adoption_seconds,
        )

    async def announce(self, link: str) -> None:
        """Let applications that are linked elsewhere find this gateway at `link`, and let others
        offer it sessions."""
        self._applications.run = self._neighbours.run
        self._own = [NodeAddress(self._node, link)] if link else []
        self._applications.announce(self._own)
        self._link, self._stays = link, True
        await self._announce()

    async def leave(self, aborted: asyncio.Event) -> None:
        """This gateway is about to stop: move its sessions to the others."""
        self._stays = False
        try:
            await self._announce()
        except StoreError as error:
            _log.warning("the other gateways are not told of the stop", error=str(error))
        await self._away.all(aborted)

    async def _announce(self) -> None:
        """Tell the others what this gateway has for sessions, if that is new."""
        standing = self._away.linked, self._stays
        if standing != self._announced:
            await self._neighbours.announce(self._link, standing[0], accepts=standing[1])
            self._announced = standing

    async def serve(self) -> None:
        """Take the sessions of gateways that end, and exchange sessions with those that live."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.fetching.run())
            tasks.create_task(self._giving.run())
            while True:
                await asyncio.sleep(self._look_seconds)
                try:
                    await self._tell_backends()
                    await self._look()
                except StoreFencedError as error:
                    self.membership.fenced(error)
                except StoreError as error:
                    _log.warning("the other gateways cannot be watched", error=str(error))

    async def _look(self) -> None:
        others = await self._neighbours.look()
        self._giving.others = others.alive
        self.runs = others.runs
        self._fenced += others.fenced
        seen = self._monotonic()
        named = [NodeAddress(run.node, run.link) for run in others.runs if run.link]
        self._applications.announce([*self._own, *named])
        for sid in await self._neighbours.ends():
            await self._end(sid)
        if not self._stays:
            return  # nothing comes here any more
        await self._announce()
        await self.fetching.accept()
        await self._away.look(self._look_seconds)
        if others.adoptable and self.membership.lasts():
            self.fetching.adopting = True
            try:
                stored = await self._neighbours.adopt()
                if stored is not None:
                    await self._adopt(stored)
                    self._adoption_seconds.observe(self._monotonic() - seen)
            finally:
                self.fetching.adopting = False

    async def _end(self, sid: str) -> None:
        """An operator at another gateway has ended a session."""
        session = self._manager.find(sid)
        if session is not None:  # otherwise it is just coming
            self._manager.end(session, Reason.KICKED)
            await self._neighbours.forget_end(sid)

    async def _adopt(self, stored: Stored) -> None:
        """Register the sessions of a gateway that has ended."""
        for ended in stored.ended:
            self._applications.inherited(ended)
        heads = list(stored.heads)
        backend_of, now = self._backends.named, self._clock()
        adopting = self._manager.loader.adopting(stored, lambda head: backend_of(head.app), now)
        for _ in adopting:
            await asyncio.sleep(0)
        self._manager.counts.adopted += len(heads)
        if heads:
            _log.warning("sessions of another gateway adopted", sessions=len(heads))
        self._note(heads)
        await self._tell_backends()

    async def _moved_in(self, heads: Sequence[Head]) -> None:
        self._manager.counts.moved_in += len(heads)
        self._note(heads)
        await self._tell_backends()

    def _note(self, heads: Sequence[Head]) -> None:
        """There are sessions of other gateways."""
        for head in heads:
            self._untold.setdefault(head.app, []).append(head.sid)

    async def _tell_backends(self) -> None:
        """Tell them of sessions of other gateways: later again, if the store does not answer."""
        untold, self._untold = self._untold, {}
        for app, sids in untold.items():
            try:
                await self._backends.named(app).moves.adopt(sids)
            except StoreError as error:
                _log.error("sessions not loaded", app=app, error=str(error))
                self._untold.setdefault(app, []).extend(sids)
            except Exception as error:  # one backend is one failure domain
                log_failure(_log, "a backend failed", error, app=app)
