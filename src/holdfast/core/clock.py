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
    """A wall clock that cannot be set: it is read once and then advances with the elapsed time.

    `elapsed` is a monotonic clock. Time that it leaves out (while the process was stopped) does
    not pass here either. So setting the wall clock neither expires nor extends anything.
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
        """The seconds by which the wall clock is ahead of this one. Add them to show a time to
        users."""
        return self._wall() - self()

    def resume(self, behind: float, newest: float) -> None:
        """Continue the time of the previous run, which was `behind` the wall clock.

        Time continues at `newest`, the latest known time of that run, if the wall clock was set
        back in between: the elapsed time is unknown then.
        """
        self._origin += max(self.behind - behind, newest - self())
