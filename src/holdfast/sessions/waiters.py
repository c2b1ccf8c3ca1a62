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
    """Those who wait for the next commit, and those who are still to be told of an earlier one."""

    __slots__ = ("_untold", "_waiting")

    def __init__(self) -> None:
        self._waiting: list[Settled] = []
        self._untold: list[tuple[Settled, StoreUnavailableError | None]] = []
        """Who is still to be told that a commit has ended."""

    def __len__(self) -> int:
        """How many wait for the next commit."""
        return len(self._waiting)

    def add(self, call: Settled) -> None:
        """Call `call` at the end of the next commit."""
        self._waiting.append(call)

    def take(self) -> list[Settled]:
        """The next commit begins: return who waits for it."""
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
