"""The signs of life of a gateway whose store other gateways may use, too.

Another gateway that sees no sign of life for the lease may take the sessions. So this one counts
its own time, from before its last sign that the store has answered: after most of the lease,
it sends nothing to anybody until the store has answered again. A process that was stopped and
wakes up finds out in this way, before it says anything.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

from holdfast.core.clock import Clock, monotonic
from holdfast.core.limits import StoreLimits
from holdfast.net.log import RateLimitedLogger
from holdfast.net.runtime.timed_event import TimedEvent
from holdfast.sessions.stores.base import Store, StoreError, StoreFencedError

_log: Final = RateLimitedLogger("holdfast.store")

_OWN_SHARE: Final = 0.8
"""Of the lease: the rest is for output that is on its way, and for clocks of unequal speed."""


class Membership:
    """Says that this run is alive, until it is cancelled or another one has taken its sessions.

    `on_lasting` is called when output may be sent again. `clock` must not stand still while the
    process does, as the cached time of an event loop.
    """

    def __init__(
        self,
        store: Store,
        limits: StoreLimits,
        on_lasting: Callable[[], None] = lambda: None,
        clock: Clock = monotonic,
    ) -> None:
        self._store = store
        self._limits = limits
        self._on_lasting = on_lasting
        self._clock = clock
        self._fenced: StoreFencedError | None = None
        self._wake = TimedEvent()
        self._deadline = -math.inf

    def lasts(self) -> bool:
        """Whether the sessions are still this run's for sure. Hot path: once for each tick."""
        return self._clock() < self._deadline

    def sign_age(self) -> float:
        """Seconds since the newest sign of life that the store has answered was sent."""
        return self._clock() - (self._deadline - _OWN_SHARE * self._limits.lease_seconds_max)

    def fenced(self, error: StoreFencedError) -> None:
        """The store has refused a commit, because another run has the sessions."""
        self._fenced = error
        self._deadline = -math.inf
        self._wake.set()

    async def begin(self) -> None:
        """The first sign of life, before anything is sent. Raises `StoreError`."""
        sent = self._clock()
        await self._store.beat()
        self._deadline = self._from(sent)

    async def run(self) -> None:
        """Raises `StoreFencedError` once another run has taken the sessions of this one."""
        while self._fenced is None:
            if not await self._wake.within(self._limits.beat_seconds_max):
                await self._beat()
        raise self._fenced

    async def _beat(self) -> None:
        sent = self._clock()
        try:
            await self._store.beat()
        except StoreFencedError as error:
            self.fenced(error)
        except StoreError as error:
            _log.warning("no sign of life to the store", error=str(error))
        else:
            self._go_on(sent)

    def _go_on(self, sent: float) -> None:
        held = not self.lasts()
        self._deadline = self._from(sent)
        if held:
            _log.warning("output was held: the store did not answer in time")
        self._on_lasting()

    def _from(self, sent: float) -> float:
        return sent + _OWN_SHARE * self._limits.lease_seconds_max
