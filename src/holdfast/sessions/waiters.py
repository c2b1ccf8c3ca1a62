"""Who waits for a commit. Hot path."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

from holdfast.core.errors import HoldfastError
from holdfast.net.log import RateLimitedLogger, log_failure

_log: Final = RateLimitedLogger("holdfast.store")

_TOLD_MAX: Final = 50
"""Of those who wait for a commit, told in one pass of the loop: a client that resumes goes on."""


class StoreUnavailableError(HoldfastError):
    """The store cannot be written to now, so nothing new can be promised."""

    retryable = True


Settled = Callable[[StoreUnavailableError | None], None]
"""Is called when changes are durable, or with why they are not."""


class Waiters:
    """Those who wait for the next commit, and those who are still to be told of an earlier one.

    Who was told of a commit often comes again at once. So the next one waits a moment for as many
    as waited at the end of the one before, told or not: one commit for all costs less than two
    that take turns. `hurry` is called when there is nothing more to wait for.
    """

    __slots__ = ("_expected", "_gather_seconds_max", "_hurry", "_timer", "_untold", "_waiting")

    def __init__(self, hurry: Callable[[], None], gather_seconds_max: float) -> None:
        self._hurry = hurry
        self._gather_seconds_max = gather_seconds_max
        self._expected = 0
        """How many the next commit waits for."""
        self._timer: asyncio.TimerHandle | None = None
        self._waiting: list[Settled] = []
        self._untold: list[tuple[Settled, StoreUnavailableError | None]] = []
        """Who is still to be told that a commit has ended."""

    def __len__(self) -> int:
        """How many wait for the next commit."""
        return len(self._waiting)

    def add(self, call: Settled) -> None:
        """Call `call` at the end of the next commit."""
        self._waiting.append(call)

    def gather(self) -> None:
        """A commit is waited for, and could begin: let it begin now, or soon."""
        if len(self._waiting) >= self._expected:
            self._hurry()
        elif self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(self._gather_seconds_max, self._hurry)

    def ended(self, told: int, *, urgent: bool) -> None:
        """A commit has ended for which `told` have waited; `urgent` if the next is waited for."""
        self._expected = told + len(self._waiting)
        if urgent:
            self.gather()

    def take(self) -> list[Settled]:
        """The next commit begins: return who waits for it."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        waiting, self._waiting = self._waiting, []
        return waiting

    def put_back(self, waiting: Sequence[Settled]) -> None:
        """They wait for the next commit, too, before the others."""
        self._waiting[:0] = waiting

    def tell(self, waiting: list[Settled], error: StoreUnavailableError | None) -> None:
        """Tell who waited for a commit; very many in several passes of the loop, in order."""
        if len(waiting) <= _TOLD_MAX and not self._untold:
            for call in waiting:
                _settle(call, error)
            return
        first = not self._untold
        self._untold += [(call, error) for call in waiting]
        if first:
            self._tell_some()

    def _tell_some(self) -> None:
        told, self._untold = self._untold[:_TOLD_MAX], self._untold[_TOLD_MAX:]
        for call, error in told:
            _settle(call, error)
        if self._untold:
            asyncio.get_running_loop().call_soon(self._tell_some)


def _settle(call: Settled, error: StoreUnavailableError | None) -> None:
    try:
        call(error)
    except Exception as failure:  # who waits is one failure domain
        log_failure(_log, "a step after a commit failed", failure)
