"""The signs of life of a gateway whose store other gateways may use, too."""

from __future__ import annotations

from typing import Final

from holdfast.core.limits import StoreLimits
from holdfast.net.log import RateLimitedLogger
from holdfast.net.runtime.timed_event import TimedEvent
from holdfast.sessions.stores.base import Store, StoreError, StoreFencedError

_log: Final = RateLimitedLogger("holdfast.store")


class Membership:
    """Says that this run is alive, until it is cancelled or another one has taken its sessions."""

    def __init__(self, store: Store, limits: StoreLimits) -> None:
        self._store = store
        self._limits = limits
        self._fenced: StoreFencedError | None = None
        self._wake = TimedEvent()

    def fenced(self, error: StoreFencedError) -> None:
        """The store has refused a commit, because another run has the sessions."""
        self._fenced = error
        self._wake.set()

    async def run(self) -> None:
        """Raises `StoreFencedError` once another run has taken the sessions of this one."""
        while self._fenced is None:
            if not await self._wake.within(self._limits.beat_seconds_max):
                await self._beat()
        raise self._fenced

    async def _beat(self) -> None:
        try:
            await self._store.beat()
        except StoreFencedError as error:
            self._fenced = error
        except StoreError as error:
            _log.warning("no sign of life to the store", error=str(error))
