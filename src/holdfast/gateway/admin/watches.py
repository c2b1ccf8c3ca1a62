"""Operators who watch sessions, where the configuration allows it: read-only viewers.

An operator's viewer is one by an invitation, as any other, so the session's client is told of
it. What the session puts out is kept for the operator's next request, within limits; without
requests for a while, the watch ends.
"""

from __future__ import annotations

import asyncio
from collections import deque
from itertools import count
from typing import Any, Final, NamedTuple

from msgspec import Struct

from holdfast.core.errors import LimitExceededError, Reason
from holdfast.core.items import Binary, Output, size_of
from holdfast.core.limits import AdminLimits
from holdfast.gateway.view import GatewayView
from holdfast.net.log import RateLimitedLogger, log_failure
from holdfast.net.runtime.timers import UNSCHEDULED
from holdfast.protocols.json_items import write_output
from holdfast.sessions.invitations import Invited
from holdfast.sessions.session import Session
from holdfast.sessions.terminal import TerminalSession

_log: Final = RateLimitedLogger("holdfast.admin")

_OPERATOR: Final = "an operator"
"""What the session's client is told in place of an address."""
_COLUMNS: Final = 80
_ROWS: Final = 24


class Kept(NamedTuple):
    """An output that waits for the operator's next request."""

    n: int
    """The number up to which the operator has everything with it."""
    item: Output
    size: int


class WatchedOutput(Struct, frozen=True):
    """What a session has put out since a number."""

    items: list[dict[str, Any]]
    """Outputs as JSON objects."""
    n: int
    """The number to ask after next."""
    lost: int
    """How many outputs (of a terminal: bytes) were lost to this operator so far."""
    terminal: bool
    """Whether the outputs are those of a terminal, of so many columns and rows."""
    columns: int
    rows: int
    ended: str
    """Why the watch has ended; empty while it goes on."""


class Watch:
    """One operator who watches one session: its `Viewer`.

    `limit` is how much is kept between two requests, in bytes.
    """

    def __init__(self, number: int, invited: Invited, limit: int) -> None:
        self.number = number
        self.invited = invited
        self.ended = ""
        self.timer_slot = UNSCHEDULED
        self._terminal = isinstance(invited.session, TerminalSession)
        self._limit = limit
        self._kept: deque[Kept] = deque()
        self._size = 0
        self._lost = 0
        self._n = 0
        """Up to here, everything was kept or lost."""
        self._news = asyncio.Event()
        self._begin()

    @property
    def address(self) -> str:
        return _OPERATOR

    def deliver(self) -> None:
        session, terminal = self.invited.session, self._terminal
        out, upto = session.out, session.deliverable()
        if self._n < out.base:
            before = self._n
            self._begin()
            self._lost += self._n - before
        n = self._n
        for item in out.view(n, upto):
            n += len(item.data) if terminal and isinstance(item, Binary) else 1
            if item is not None:
                self._keep(Kept(n, item, size_of(item)))
        self._n = max(self._n, upto)
        self._news.set()

    def resize(self) -> None:
        self._news.set()

    def close(self, reason: Reason, text: str = "") -> None:
        """End it. Nothing happens the second time."""
        if not self.ended:
            self.ended = text or reason.value
            self._news.set()
            self.invited.viewers.remove(self.invited.invitation, self)
            self.invited.viewers.revoke(self.invited.invitation.id)

    def fail(self, error: Exception) -> None:
        log_failure(_log, "an operator's watch failed", error)
        self.close(Reason.INTERNAL_ERROR)

    def expire(self, now: float) -> None:
        """Nobody has asked for a while."""
        self.close(Reason.TIMEOUT, "nobody has asked for its output for a while")

    async def read(self, after: int, seconds: float) -> WatchedOutput:
        """The outputs after a number; waits so long for any. Those before it are let go."""
        while self._kept and self._kept[0].n <= after:
            self._size -= self._kept.popleft().size
        self._news.clear()
        if not self._kept and not self.ended:
            try:
                async with asyncio.timeout(seconds):
                    await self._news.wait()
            except TimeoutError:
                pass
        known = self.invited.session.row.capabilities
        return WatchedOutput(
            items=[write_output(kept.item) for kept in self._kept],
            n=self._kept[-1].n if self._kept else max(after, self._n),
            lost=self._lost,
            terminal=self._terminal,
            columns=known.width or _COLUMNS,
            rows=known.height or _ROWS,
            ended=self.ended,
        )

    def _begin(self) -> None:
        """Go to where the output that the session keeps begins."""
        session = self.invited.session
        self._n, prologue = session.out.beginning()
        if prologue:
            self._keep(Kept(self._n, Binary(prologue), len(prologue)))

    def _keep(self, kept: Kept) -> None:
        self._kept.append(kept)
        self._size += kept.size
        while self._size > self._limit and len(self._kept) > 1:
            oldest = self._kept.popleft()
            self._size -= oldest.size
            self._lost += oldest.size if self._terminal else 1


class Watches:
    """The operators who watch sessions of one gateway."""

    def __init__(self, view: GatewayView, limits: AdminLimits) -> None:
        self._view = view
        self._limits = limits
        self._numbers = count(1)
        self._watches: dict[int, Watch] = {}

    def begin(self, session: Session) -> Watch:
        """Watch a session from here on. Raises `LimitExceededError`."""
        manager, now = self._view.manager, self._view.clock()
        self._forget_ended()
        if len(self._watches) >= self._limits.watches_max:
            raise LimitExceededError(f"{len(self._watches)} sessions are watched already")
        seconds = manager.limits.invitation_seconds_max
        _, token = manager.invitations.invite(session, seconds, now)
        invited = manager.invitations.find(token, now)
        assert invited is not None, "an invitation that was issued just now is good"
        kept_max = manager.limits.viewer_unacknowledged_max
        watch = Watch(next(self._numbers), invited, kept_max)
        try:
            invited.viewers.add(invited.invitation, watch)
        except LimitExceededError:
            invited.viewers.revoke(invited.invitation.id)
            raise
        watch.deliver()
        self._watches[watch.number] = watch
        self._wait_for_request(watch)
        return watch

    async def read(self, number: int, after: int) -> WatchedOutput | None:
        """What the watch of this number has after a number of output; `None` without a watch."""
        watch = self._watches.get(number)
        if watch is None:
            return None
        if self._view.clock() >= watch.invited.invitation.expires:
            watch.close(Reason.REFUSED, "the time of the invitation is over")
        self._wait_for_request(watch)
        limits = self._limits
        patience = min(limits.request_seconds_max, limits.watch_silent_seconds_max) / 2
        found = await watch.read(after, patience)
        if watch.ended:
            self._watches.pop(number, None)
        else:
            self._wait_for_request(watch)
        return found

    def end(self, number: int) -> bool:
        """End a watch. False if there is none of this number."""
        watch = self._watches.pop(number, None)
        if watch is not None:
            self._view.server.runtime.timers.cancel(watch)
            watch.close(Reason.CLIENT_LEFT)
        return watch is not None

    def close(self) -> None:
        """End all: the gateway ends."""
        for number in list(self._watches):
            self.end(number)

    def _wait_for_request(self, watch: Watch) -> None:
        timers = self._view.server.runtime.timers
        timers.schedule(watch, timers.time() + self._limits.watch_silent_seconds_max)

    def _forget_ended(self) -> None:
        self._watches = {n: one for n, one in self._watches.items() if not one.ended}
