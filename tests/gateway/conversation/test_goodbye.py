"""The pause that clients are told when they have to leave."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.gateway.clients import v1
from tests.gateway.running import WS, configured, serving

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


def test_an_operator_may_spread_the_returns_otherwise() -> None:
    limits = DrainLimits(retry_seconds_max=2.0, returns_per_second_max=4_000.0)
    assert advised_pause(limits, 4_000, 1.0) == pytest.approx(3.0)
    assert advised_pause(limits, 4_000, 1.0, per_second=40.0) == pytest.approx(102.0)


async def test_a_stop_tells_its_clients_to_come_back_at_the_rate_that_it_is_given(
    tmp_path: Path,
) -> None:
    config = configured(tmp_path, [WS], backend="echo")
    async with serving(config) as gateway, v1(gateway) as client:
        await client.expect("welcome")
        gateway.stop(returns_per_second=1e-3)
        await client.closed()
        (bye,) = [message for message in client.got if message["t"] == "bye"]
        assert bye["retry_ms"] >= 500_000
