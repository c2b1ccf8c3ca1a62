"""What may happen to one client, one gateway and one application, as Hypothesis' rules."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from holdfast.sessions.states import Durability
from tests.simulation.world import World

counts = st.one_of(st.none(), st.integers(1, 60))
indexes = st.integers(0, 5)


class Resume(RuleBasedStateMachine):
    """One client types, one application answers, everything breaks."""

    make: Callable[[], World]

    def __init__(self) -> None:
        super().__init__()
        self.world = type(self).make()
        self.said = 0
        self.typed = 0
        self.world.settle()

    @rule()
    def type(self) -> None:
        self.typed += 1
        self.world.clients[0].type(f"c{self.typed}")
        self.world.loop.spin()

    @rule()
    def say(self) -> None:
        """The application speaks unasked."""
        node = self.world.application
        if node is not None and node.app.sessions:
            self.said += 1
            session = next(iter(node.app.sessions.values()))
            if not node.app.outgoing.full:
                self.world.loop.create_task(node.say(session, f"o{self.said}"))
                self.world.loop.spin()

    @rule(index=indexes, count=counts, to_far=st.booleans())
    def deliver(self, index: int, count: int | None, to_far: bool) -> None:
        self.world.deliver(index, count, to_far=to_far)

    @rule(times=st.integers(1, 8))
    def deliver_all(self, times: int) -> None:
        for _ in range(times):
            self.world._move_everything()

    @rule()
    def begin_commit(self) -> None:
        if self.world.gateway is not None:
            self.world.gateway.begin_commit()

    @rule()
    def finish_commit(self) -> None:
        if self.world.gateway is not None:
            self.world.gateway.finish_commit()
            self.world.loop.spin()

    @rule(seconds=st.sampled_from([0.2, 1.1, 6.0]))
    def pass_time(self, seconds: float) -> None:
        self.world.loop.advance(seconds)

    @rule()
    def hang_up(self) -> None:
        self.world.clients[0].hang_up()

    @rule()
    def doze(self) -> None:
        self.world.clients[0].doze()

    @rule()
    def come_back(self) -> None:
        self.world.clients[0].connect()
        self.world.loop.spin()

    @rule()
    def notice(self) -> None:
        self.world.notice()

    @rule(stored=st.booleans())
    def kill_gateway(self, stored: bool) -> None:
        self.world.kill_gateway(stored=stored)

    @rule()
    def start_gateway(self) -> None:
        self.world.start_gateway()

    @rule()
    def kill_application(self) -> None:
        self.world.kill_application()

    @rule()
    def start_application(self) -> None:
        self.world.start_application()

    @invariant()
    def rules_hold(self) -> None:
        self.world.check()

    def teardown(self) -> None:
        try:
            self.finish()
        finally:
            self.world.close()

    def finish(self) -> None:
        """Once the network holds, everything typed is applied and nothing is missing."""
        world = self.world
        world.settle()
        world.check()
        client = world.clients[0]
        assert world.database.effects.get(client.core.state.sid, []) == client.typed
        # A window that was full for too long is told; beyond that only `fast` may lose a tail.
        allowed = {"trimmed"} if world.durability is Durability.DURABLE else {"trimmed", "epoch"}
        assert set(client.resets) <= allowed
        assert world.gateway is not None
        (session,) = world.gateway.manager.sessions.values()
        assert client.core.state.last == session.out.top
        if not client.resets:
            # What a living application said is shown, whoever else died meanwhile.
            assert world.application is not None
            assert set(world.application.said) <= set(client.shown)
