"""Moves sessions to other nodes that this one cannot serve: when it stops, or without their
application."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from holdfast.backends.registry import Backends
from holdfast.core.errors import Reason
from holdfast.core.limits import Limits
from holdfast.net.log import RateLimitedLogger
from holdfast.net.runtime.loop import done_within
from holdfast.sessions.manager import SessionManager
from holdfast.sessions.offering import Offering
from holdfast.sessions.population import Member, app_of
from holdfast.sessions.stores.base import OtherRun, StoreError

_log: Final = RateLimitedLogger("holdfast.cluster")

_STEP_SECONDS: Final = 0.1
"""Between two offers, while the gateway stops."""


class MovingAway:
    """Offers sessions to the runs that `others` returns."""

    def __init__(
        self,
        offering: Offering,
        manager: SessionManager,
        backends: Backends,
        limits: Limits,
        others: Callable[[], Sequence[OtherRun]],
    ) -> None:
        self._offering = offering
        self._manager = manager
        self._backends = backends
        self._limits = limits
        self._others = others
        self._unlinked: dict[str, float] = {}
        """Applications that are linked to other nodes and not to this one, with since when."""
        self.unserved: frozenset[str] = frozenset()
        """Those of them whose sessions go there."""

    @property
    def linked(self) -> list[str]:
        """The applications that are linked here and serve sessions."""
        return sorted(one.name for one in self._backends.all if one.moves.served)

    async def all(self, aborted: asyncio.Event) -> None:
        """Move everything that can move, until `aborted`, or until the time for that is over."""
        now, limits = asyncio.get_running_loop().time, self._limits.drain
        deadline, left = now() + limits.moves_seconds_max, 0
        while now() < deadline and any(run.accepts for run in self._others()):
            left = await self._offer(self._manager.all(), _STEP_SECONDS, Reason.SHUTDOWN)
            if not left or await done_within(aborted.wait(), _STEP_SECONDS):
                break
        if left:
            _log.warning("sessions have not moved, which others take after the stop", count=left)

    async def look(self, seconds: float) -> None:
        """Move sessions whose application is linked to other nodes, and not to this one.

        To be called every so many seconds.
        """
        now = asyncio.get_running_loop().time()
        elsewhere = {app for run in self._others() if run.accepts for app in run.apps}
        without = {one.name for one in self._backends.all if one.moves.served is False}
        self._unlinked = {app: self._unlinked.get(app, now) for app in without & elsewhere}
        late = now - self._limits.store.unlinked_seconds_max
        due = frozenset(app for app, since in self._unlinked.items() if since <= late)
        if due - self.unserved:
            apps = ", ".join(sorted(due))
            _log.warning("applications are linked to other nodes only: sessions move", apps=apps)
        self.unserved = due
        if due:
            theirs = [one for one in self._manager.all() if app_of(one) in due]
            await self._offer(theirs, seconds, Reason.ELSEWHERE)

    async def _offer(self, sessions: Iterable[Member], seconds: float, reason: Reason) -> int:
        """Offer as many as may go in so many seconds."""
        count = max(1, round(self._limits.drain.moves_per_second_max * seconds))
        try:
            return await self._offering.offer(sessions, count, self._others(), reason)
        except StoreError as error:
            _log.warning("no session offered to other nodes", error=str(error))
            return 1
