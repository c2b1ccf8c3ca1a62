"""The pause that clients are told when they have to leave."""

from __future__ import annotations

import pytest

from holdfast.core.limits import DrainLimits
from holdfast.gateway.conversation.goodbye import advised_pause


@pytest.mark.parametrize(
    ("leaving", "first", "last"),
    [(0, 0.1, 2.0), (100, 0.1 + 0.025, 2.0 + 0.05), (20_000, 0.1 + 5.0, 2.0 + 10.0)],
)
def test_the_pause_grows_with_the_number_of_clients_that_leave_together(
    leaving: int, first: float, last: float
) -> None:
    limits = DrainLimits(retry_seconds_max=2.0, returns_per_second_max=2_000.0)
    assert advised_pause(limits, leaving, 0.0) == pytest.approx(first)
    assert advised_pause(limits, leaving, 1.0) == pytest.approx(last)
