"""When a client is asked for a sign of life, and when it is given up."""

from __future__ import annotations

import pytest

from holdfast.gateway.conversation.liveness import Life, judge


@pytest.mark.parametrize(
    ("heard", "pinged", "now", "life"),
    [
        (100.0, 0.0, 100.0, Life.HEARD),
        (100.0, 0.0, 109.9, Life.HEARD),
        (100.0, 0.0, 110.0, Life.SILENT),
        (100.0, 110.0, 110.0, Life.ASKED),
        (100.0, 110.0, 119.9, Life.ASKED),
        (100.0, 110.0, 120.0, Life.DEAD),
        (110.0, 110.0, 110.5, Life.HEARD),
        (115.0, 110.0, 124.9, Life.HEARD),
        (115.0, 110.0, 125.0, Life.SILENT),
    ],
)
def test_both_sides_of_the_patience(heard: float, pinged: float, now: float, life: Life) -> None:
    assert judge(heard, pinged, now, 10.0) is life
