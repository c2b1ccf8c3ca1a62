"""Which logs may have lost a tail: the unclean stops of a store's gateways, counted.

An unclean stop ends an *era*. Each session's row has the era in which its logs were last used.
Those of an older era may lack output that the gateway had sent and not yet stored when it
stopped. So the decision is the same in whichever later run the session is loaded, and an unused
session costs nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from holdfast.net.log import RateLimitedLogger

_log: Final = RateLimitedLogger("holdfast.sessions")

KEY: Final = "eras"
"""The store's key for them."""
_BEGUN_MAX: Final = 1_000
"""Eras of which the beginning is remembered."""


class Eras(Struct, frozen=True, array_like=True):
    """The eras of one store. All times are the gateway's (`SteadyClock`)."""

    now: int = 0
    """The present one: how many unclean stops there were."""
    broken: int = 0
    """The newest one whose predecessor ended in a run that did not wait for its store."""
    begun: tuple[float, ...] = ()
    """When the newest ones began; the last one is the present one."""

    def after_unclean_stop(self, now: float, *, promised: bool) -> Eras:
        """The eras of a run that begins after an unclean stop.

        `promised` says whether the run before kept back what had to be durable.
        """
        era = self.now + 1
        begun = (*self.begun, now)[-_BEGUN_MAX:]
        return replace(self, now=era, broken=self.broken if promised else era, begun=begun)

    def beyond(self, era: int, now: float) -> Eras:
        """These eras, or as many more as another gateway of the store has counted already.

        When those began is not known here: `now`.
        """
        if era <= self.now:
            return self
        begun = (*self.begun, *(now,) * (era - self.now))[-_BEGUN_MAX:]
        return replace(self, now=era, begun=begun)

    def stopped(self, era: int) -> float | None:
        """When the run that came after `era` began: nobody was attached from then on.

        `None` for the present era, and for a store that does not know.
        """
        if era >= self.now or not self.begun:
            return None
        return self.begun[max(0, era - self.now + len(self.begun))]


def read_eras(settings: Mapping[str, bytes]) -> Eras:
    """The eras in a store's settings."""
    kept = settings.get(KEY)
    if kept is not None:
        try:
            return msgspec.msgpack.decode(kept, type=Eras)
        except (msgspec.MsgspecError, TypeError) as error:
            _log.error("unreadable eras of the store", fault=str(error))
    return Eras()
