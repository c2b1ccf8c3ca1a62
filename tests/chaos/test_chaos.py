"""The chaos run of `bench/chaos`, short: real processes, signals, real sockets and files."""

from __future__ import annotations

import pytest
from bench.chaos import Plan, broken, torment

PLANS = {
    "application": Plan("application", "fast", kills=3, clients=10, listeners=5),
    "gateway-durable": Plan("gateway", "durable", kills=2, clients=10, listeners=5),
    "gateway-fast": Plan("gateway", "fast", kills=2, clients=10, listeners=5),
    "gateway-memory": Plan("gateway", "memory", kills=1, clients=10, listeners=5),
    "deploy": Plan("deploy", "fast", kills=2, clients=10, listeners=5),
    "freeze": Plan("freeze", "fast", kills=1, clients=10, listeners=5, frozen_seconds=1.0),
    "replay": Plan("replay", "durable", kills=4, clients=5, listeners=9),
    "poison": Plan("poison", "fast", kills=1, clients=10, listeners=2),
    "node": Plan("node", "durable", kills=2, clients=10, listeners=5, nodes=3),
    "rolling": Plan("rolling", "fast", kills=1, clients=10, listeners=5, nodes=3),
    "database": Plan(
        "database", "durable", kills=1, clients=10, listeners=5, nodes=2, away_seconds=5.0
    ),
}


@pytest.mark.timeout(400)  # programs that are started anew take their time on a busy machine
@pytest.mark.parametrize("plan", PLANS.values(), ids=PLANS)
async def test_nothing_is_lost_and_nothing_done_twice(
    plan: Plan, request: pytest.FixtureRequest
) -> None:
    cluster = request.getfixturevalue("postgresql") if plan.nodes > 1 else None
    row = await torment(plan, cluster)
    assert row["commands"] - row["lost and told"] > plan.clients  # before and after
    assert row["ticks heard"] > 0
    assert broken(row) == [], row
    if plan.target == "application":
        assert row["notices a client"] <= plan.kills  # at most one for each time
