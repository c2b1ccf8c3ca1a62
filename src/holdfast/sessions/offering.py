"""Offers sessions to other nodes, when this one stops or cannot serve them.

Who is offered a session asks for it (`sessions.fetching`), and then it is given as any other that
is asked for (`sessions.giving`). A session that is under way stays until it can move.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from holdfast.core.clock import Clock
from holdfast.core.errors import Reason
from holdfast.core.limits import StoreLimits
from holdfast.sessions.giving import Giving
from holdfast.sessions.population import Member, app_of
from holdfast.sessions.stores.base import Neighbours, OtherRun


class Offering:
    """Offers sessions, each again when nobody has taken it. `now` is the loop's time."""

    def __init__(
        self, neighbours: Neighbours, limits: StoreLimits, giving: Giving, now: Clock
    ) -> None:
        self._neighbours = neighbours
        self._limits = limits
        self._giving = giving
        self._now = now
        self._offered: dict[str, float] = {}
        """When each was offered."""
        self._turn = 0
        """So that the next session goes to the next node."""

    async def offer(
        self, sessions: Iterable[Member], count: int, runs: Sequence[OtherRun], reason: Reason
    ) -> int:
        """Offer up to `count` of these sessions to runs that can serve them.

        Clients that are connected are told `reason` when they move. Returns how many of the
        sessions are not given yet, and can be at some time. Raises `StoreError`.
        """
        able = [one for one in sessions if self._giving.can_leave(one)]
        self._forget_others(able)
        late = self._now() - self._limits.claim_seconds_max
        due = [one for one in able if self._offered.get(one.sid, late) <= late]
        due.sort(key=_waits_since)
        shares: dict[int, list[str]] = defaultdict(list)
        for one in due[:count]:
            to = self._next(_takers(app_of(one), runs))
            if to is not None:
                shares[to.number].append(one.sid)
        for run, sids in shares.items():
            self._giving.offered.update(dict.fromkeys(sids, reason))
            self._offered.update(dict.fromkeys(sids, self._now()))
            await self._neighbours.offer(sids, run)
        return len(able) + self._giving.moving

    def _forget_others(self, able: Sequence[Member]) -> None:
        here = {one.sid for one in able}
        for sid in self._offered.keys() - here:
            del self._offered[sid]
            self._giving.offered.pop(sid, None)

    def _next(self, runs: Sequence[OtherRun]) -> OtherRun | None:
        self._turn += 1
        return runs[self._turn % len(runs)] if runs else None


def _takers(app: str, runs: Sequence[OtherRun]) -> Sequence[OtherRun]:
    """The runs that take sessions of this application: those to which it is linked, or all if it
    is linked nowhere."""
    able = [run for run in runs if run.accepts]
    return [run for run in able if app in run.apps] or able


def _waits_since(session: Member) -> float:
    """0 while its client is here: those that have to come back go first."""
    return session.detached
