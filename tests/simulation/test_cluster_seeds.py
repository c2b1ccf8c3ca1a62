"""Random runs of several gateways that have found defects, which stay mended.

Each is named by the promise that it broke. What happens in a run depends on the rules of
`test_cluster` and their weights: where these change, it is another run.
"""

from __future__ import annotations

import pytest

from holdfast.sessions.states import Durability
from tests.simulation.clients.counting import CountingClient
from tests.simulation.clients.lines import LineClient
from tests.simulation.clients.plain import PlainClient
from tests.simulation.cluster.world import ClusterSetup
from tests.simulation.test_cluster import EVERYTHING, MOVES, run

FROZEN = {**EVERYTHING, "freeze_application": 1, "wake_applications": 2, "stall_commit": 1}
FAST = ClusterSetup(Durability.FAST)
PEOPLE = ClusterSetup(Durability.DURABLE, clients=(LineClient, PlainClient, CountingClient))
TWO = ClusterSetup(Durability.DURABLE, instances=2)
THREE = ClusterSetup(Durability.DURABLE, gateways=3)
THREE_TWO = ClusterSetup(Durability.DURABLE, gateways=3, instances=2)
FAST_THREE_TWO = ClusterSetup(Durability.FAST, gateways=3, instances=2)

SEEDS = {
    "its client keeps a session that was offered elsewhere": [
        (FAST, FROZEN, 30101),
        (THREE, FROZEN, 30056),
        (FAST_THREE_TWO, FROZEN, 10002),
    ],
    "what another instance's session does not get is told": [
        (TWO, MOVES, 10000),
        (TWO, MOVES, 50004),
        (THREE_TWO, MOVES, 50006),
    ],
    "nothing is shown twice": [(THREE_TWO, MOVES, 20032)],
    "a gateway ends that is fenced while it stops": [(PEOPLE, FROZEN, 30036)],
}


@pytest.mark.parametrize(
    ("setup", "weights", "seed"),
    [
        pytest.param(*each, id=f"{promise}: {each[2]}")
        for promise, runs in SEEDS.items()
        for each in runs
    ],
)
def test_a_defect_stays_mended(setup: ClusterSetup, weights: dict[str, int], seed: int) -> None:
    run(seed, setup, weights)
