from __future__ import annotations

import time

import pytest

from holdfast.core import clock


def test_the_monotonic_clock_never_goes_back() -> None:
    readings = [clock.monotonic() for _ in range(100)]
    assert readings == sorted(readings)


def test_the_wall_clock_counts_from_the_epoch_of_unix() -> None:
    before = time.time_ns() / 1e9
    assert before - 1 < clock.wall() < time.time_ns() / 1e9 + 1


class Clocks:
    """A wall clock and a monotonic one, set by hand, and what is made of them."""

    def __init__(self, wall: float = 1_000_000.0) -> None:
        self.wall = wall
        self.elapsed = 50.0
        self.steady = clock.SteadyClock(lambda: self.wall, lambda: self.elapsed)

    def pass_by(self, seconds: float) -> None:
        self.wall += seconds
        self.elapsed += seconds


@pytest.mark.parametrize("step", [7_200.0, -3_600.0])
def test_a_wall_clock_that_is_set_moves_nothing(step: float) -> None:
    clocks = Clocks()
    clocks.pass_by(10.0)
    clocks.wall += step
    clocks.pass_by(5.0)
    assert clocks.steady() == 1_000_015.0
    assert clocks.steady.behind == step


def test_the_time_of_a_stopped_process_does_not_pass() -> None:
    clocks = Clocks()
    clocks.wall += 30.0  # the monotonic clock leaves it out
    assert clocks.steady() == 1_000_000.0


# the run before: behind its wall clock, the newest time known → this run's time, at 1,000,000
RESUMED = {
    "new": (0.0, 0.0, 1_000_000.0),
    "an-hour-later": (0.0, 996_400.0, 1_000_000.0),
    "the-clock-was-set-forward-then": (7_200.0, 990_000.0, 992_800.0),
    "the-clock-was-set-back-then": (-3_600.0, 1_003_000.0, 1_003_600.0),
    "the-clock-was-set-back-meanwhile": (0.0, 1_500_000.0, 1_500_000.0),
}


@pytest.mark.parametrize(("behind", "newest", "expected"), RESUMED.values(), ids=RESUMED)
def test_the_time_of_the_run_before_goes_on(behind: float, newest: float, expected: float) -> None:
    clocks = Clocks()
    clocks.steady.resume(behind, newest)
    assert clocks.steady() == expected
    assert clocks.steady.behind == 1_000_000.0 - expected
