"""What may happen to several gateways and their database, as Hypothesis' rules."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import strategies as st
from hypothesis.stateful import invariant, rule

from tests.simulation.cluster.world import ClusterWorld
from tests.simulation.machine import Resume, indexes

lives = st.sampled_from([0.5, 2.0, 7.0])


class Cluster(Resume):
    """As with one gateway; and each is one of several."""

    make: Callable[[], ClusterWorld]
    world: ClusterWorld

    @rule(client=indexes, node=indexes)
    def come_back(self, client: int, node: int) -> None:
        self.world.come_back(self.world.client(client), node)

    @rule(client=indexes, node=indexes, forget=st.booleans())
    def go_elsewhere(self, client: int, node: int, forget: bool) -> None:
        one = self.world.client(client)
        if forget:
            one.doze()
        else:
            one.hang_up()
        self.world.come_back(one, node)
        self.world.live(1.0)

    @rule(seconds=lives)
    def live(self, seconds: float) -> None:
        self.world.live(seconds)

    @rule(index=indexes)
    def finish_commit(self, index: int) -> None:
        self.world.finish_commit(index)

    @rule(node=indexes, stored=st.booleans())
    def kill_gateway(self, node: int, stored: bool) -> None:
        self.world.kill_gateway(node, stored=stored)

    @rule(node=indexes)
    def start_gateway(self, node: int) -> None:
        self.world.start_gateway(node)

    @rule(node=indexes)
    def stop_gateway(self, node: int) -> None:
        self.world.stop_gateway(node)

    @rule(node=indexes)
    def freeze_gateway(self, node: int) -> None:
        self.world.freeze_gateway(node)

    @rule(node=indexes)
    def suspend_gateway(self, node: int) -> None:
        self.world.suspend_gateway(node)

    @rule()
    def wake_gateways(self) -> None:
        self.world.wake_gateways()

    @rule(index=indexes)
    def stall_commit(self, index: int) -> None:
        self.world.stall_commit(index)

    @rule(index=indexes)
    def lose_answer(self, index: int) -> None:
        self.world.lose_answer(index)

    @rule(node=indexes)
    def break_store(self, node: int) -> None:
        self.world.break_store(node)

    @rule(node=indexes, to_store=st.booleans())
    def cut_store(self, node: int, to_store: bool) -> None:
        self.world.cut_store(node, to_store=to_store)

    @rule()
    def crash_store(self) -> None:
        self.world.crash_store()

    @rule(node=indexes)
    def hold_store(self, node: int) -> None:
        self.world.hold_store(node)

    @rule(node=indexes, count=st.integers(1, 8))
    def let_through(self, node: int, count: int) -> None:
        self.world.let_through(node, count)

    @rule(node=indexes, clients=st.booleans(), to_node=st.booleans())
    def cut_way(self, node: int, clients: bool, to_node: bool) -> None:
        self.world.cut_way(node, clients=clients, to_node=to_node)

    @rule()
    def heal(self) -> None:
        self.world.heal()

    @invariant()
    def one_owner_writes(self) -> None:
        assert not self.world.owners.overlaps, self.world.owners.overlaps
