"""The gateway's time, from one run to the next.

Sessions get the time from a `SteadyClock`. Its difference to the wall clock is stored,
so that the next run does not mistake a change of the wall clock for time that has passed.
"""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import Struct

from holdfast.core.clock import SteadyClock
from holdfast.net.loggers import LazyLogger
from holdfast.sessions.journal import Journal
from holdfast.sessions.records import Stored

_log = LazyLogger("holdfast.gateway")

KEY: Final = "clock"
"""Under which name the store keeps it."""
_SET_SECONDS_MIN: Final = 1.0
"""A smaller difference is the clocks' own drift."""


class _Kept(Struct, array_like=True):
    behind: float
    at: float
    """When it was kept, in the gateway's time."""


class Timekeeper:
    """Keeps in the store how the gateway's time stands to the wall clock."""

    def __init__(self, clock: SteadyClock, journal: Journal) -> None:
        self._clock = clock
        self._journal = journal
        self._behind = 0.0

    def resume(self, stored: Stored) -> None:
        """Go on with the time of the run before."""
        kept = _read(stored.settings.get(KEY))
        self._behind = kept.behind
        self._clock.resume(kept.behind, max(kept.at, stored.newest))
        self.look()

    def look(self) -> None:
        """Keep the difference if the wall clock was set."""
        behind = self._clock.behind
        if abs(behind - self._behind) >= _SET_SECONDS_MIN:
            _log.info("wall clock was set", seconds=round(behind - self._behind, 1))
            self.keep()

    def keep(self) -> None:
        """Keep what the next run must know."""
        kept = _Kept(self._clock.behind, self._clock())
        self._behind = kept.behind
        self._journal.keep(KEY, msgspec.msgpack.encode(kept))


def _read(kept: bytes | None) -> _Kept:
    if kept is not None:
        try:
            return msgspec.msgpack.decode(kept, type=_Kept)
        except (msgspec.MsgspecError, TypeError) as error:
            _log.error("unreadable time of the previous run", fault=str(error))
    return _Kept(0.0, 0.0)
