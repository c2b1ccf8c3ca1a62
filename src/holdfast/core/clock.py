"""The clocks. The cores read none of them: they are given `now` as an argument."""

from __future__ import annotations

import time
from collections.abc import Callable

Clock = Callable[[], float]
"""Seconds as a float. `monotonic` for waits and rates, a `SteadyClock` for what outlives the
process."""

monotonic: Clock = time.monotonic
wall: Clock = time.time


class SteadyClock:
    """Wall clock time that is never set: it was read once, and goes on by the time that passes.

    `elapsed` is a clock that only goes forward; time that it leaves out (while the
    process was stopped) does not pass here either. So nothing expires, and nothing
    stays, because somebody has set the wall clock.
    """

    __slots__ = ("_elapsed", "_origin", "_wall")

    def __init__(self, wall: Clock, elapsed: Clock) -> None:
        self._wall = wall
        self._elapsed = elapsed
        self._origin = wall() - elapsed()

    def __call__(self) -> float:
        return self._origin + self._elapsed()

    @property
    def behind(self) -> float:
        """By how much the wall clock is ahead of this one; what to add for people to read."""
        return self._wall() - self()

    def resume(self, behind: float, newest: float) -> None:
        """Go on with the time of the run before, which was `behind` the wall clock.

        It goes on at `newest`, the latest time known of that run, if the wall clock
        was set back meanwhile: nobody knows then how much time has passed.
        """
        self._origin += max(self.behind - behind, newest - self())
