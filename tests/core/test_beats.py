"""Heartbeats of many connections, spread over time."""

from __future__ import annotations

import pytest

from holdfast.core.beats import first_beat


@pytest.mark.parametrize(("entropy", "seconds"), [(0.0, 3.0), (0.5, 16.5), (1.0, 30.0)])
def test_the_first_beat_comes_after_a_part_of_the_time_between_two(
    entropy: float, seconds: float
) -> None:
    assert first_beat(30.0, entropy) == pytest.approx(seconds)
