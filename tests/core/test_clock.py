from __future__ import annotations

import time

from holdfast.core import clock


def test_the_monotonic_clock_never_goes_back() -> None:
    readings = [clock.monotonic() for _ in range(100)]
    assert readings == sorted(readings)


def test_the_wall_clock_counts_from_the_epoch_of_unix() -> None:
    before = time.time_ns() / 1e9
    assert before - 1 < clock.wall() < time.time_ns() / 1e9 + 1
