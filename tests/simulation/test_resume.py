"""The rules of `sessions` (S1 … S6, and liveness) over the real code, whatever happens.

They are those of the exhaustive models: crashes of the gateway before, in and
after a commit; crashes of the application between an effect and its report;
connections that break at any byte; a client back before its old connection is
missed.
"""

from __future__ import annotations

from unittest import TestCase

import pytest
from hypothesis import HealthCheck, settings

from holdfast.sessions.states import Durability
from tests.simulation import rules
from tests.simulation.clients.counting import CountingClient
from tests.simulation.clients.lines import LineClient
from tests.simulation.clients.plain import PlainClient
from tests.simulation.machine import Resume
from tests.simulation.world import Setup, World


def machine(name: str, setup: Setup, examples: int) -> type[TestCase]:
    made = type(name, (Resume,), {"make": staticmethod(lambda: World(setup))})
    test: type[TestCase] = made.TestCase  # type: ignore[attr-defined]
    test.settings = settings(  # type: ignore[attr-defined]
        max_examples=examples,
        stateful_step_count=60,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    test.__name__ = test.__qualname__ = name
    return test


PEOPLE = (LineClient, PlainClient)

TestFast = machine("TestFast", Setup(Durability.FAST), 80)
TestDurable = machine("TestDurable", Setup(Durability.DURABLE), 80)
TestDurableOnDisk = machine("TestDurableOnDisk", Setup(Durability.DURABLE, on_disk=True), 20)
TestTwoInstances = machine("TestTwoInstances", Setup(Durability.FAST, instances=2), 40)
TestNoStore = machine(
    "TestNoStore", Setup(Durability.MEMORY, clients=(CountingClient, LineClient)), 30
)
TestPeopleFast = machine("TestPeopleFast", Setup(Durability.FAST, clients=PEOPLE), 40)
TestPeopleDurable = machine("TestPeopleDurable", Setup(Durability.DURABLE, clients=PEOPLE), 40)


@pytest.mark.parametrize("durability", [Durability.FAST, Durability.DURABLE])
def test_a_client_whose_store_went_back_is_told_and_goes_on(durability: Durability) -> None:
    world = World(Setup(durability, goes_back=True))
    try:
        world.settle()
        world.kill_gateway(stored=True)
        world.copy_store()
        world.settle()
        client = world.client(0)
        for _ in range(3):
            client.type()
        world.settle()
        world.kill_gateway(stored=True)
        world.go_back()
        world.settle()
        assert isinstance(client, CountingClient)
        assert client.told_upto == 3  # these are perhaps lost
        rules.check_end(world)  # a later one is done
    finally:
        world.close()
