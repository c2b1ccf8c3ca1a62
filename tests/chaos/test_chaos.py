"""The chaos run of `bench/chaos.py`, short: real processes, kill -9, real sockets and files."""

from __future__ import annotations

import pytest
from bench.chaos import Plan, broken, torment

PLANS = {
    "application": Plan("application", "fast", kills=6, clients=20, listeners=5),
    "gateway-durable": Plan("gateway", "durable", kills=6, clients=20, listeners=5),
    "gateway-fast": Plan("gateway", "fast", kills=6, clients=20, listeners=5),
}


@pytest.mark.parametrize("plan", PLANS.values(), ids=PLANS)
async def test_nothing_is_lost_and_nothing_done_twice(plan: Plan) -> None:
    row = await torment(plan)
    assert row["commands"] > plan.clients  # they did type
    assert row["ticks heard"] > 0
    assert broken(row) == [], row
    if plan.target == "application":
        assert row["notices a client"] <= plan.kills  # at most one for each time
