"""The two clocks. The cores read neither: they are given `now` as an argument."""

from __future__ import annotations

import time
from collections.abc import Callable

Clock = Callable[[], float]
"""Seconds as a float. `monotonic` for waits and rates, `wall` for what outlives the process."""

monotonic: Clock = time.monotonic
wall: Clock = time.time
