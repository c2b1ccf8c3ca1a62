"""What may happen in the world, as Hypothesis' rules."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from tests.simulation import rules
from tests.simulation.world import World

counts = st.one_of(st.none(), st.integers(1, 60))
indexes = st.integers(0, 5)
pauses = st.sampled_from([0.01, 0.3, 1.1, 6.0])


class Resume(RuleBasedStateMachine):
    """Clients type, an application answers, everything breaks."""

    make: Callable[[], World]

    def __init__(self) -> None:
        super().__init__()
        self.world = type(self).make()
        self.world.settle()

    @rule(client=indexes)
    def type(self, client: int) -> None:
        self.world.client(client).type()
        self.world.spin()

    @rule(instance=indexes, session=indexes)
    def say(self, instance: int, session: int) -> None:
        self.world.say(instance, session)

    @rule(index=indexes, count=counts, to_far=st.booleans())
    def deliver(self, index: int, count: int | None, to_far: bool) -> None:
        self.world.deliver(index, count, to_far=to_far)

    @rule(times=st.integers(1, 8))
    def deliver_all(self, times: int) -> None:
        for _ in range(times):
            self.world.notice()
            self.world.deliver_all()

    @rule()
    def finish_commit(self) -> None:
        self.world.finish_commit()

    @rule(seconds=pauses)
    def pass_time(self, seconds: float) -> None:
        self.world.advance(seconds)

    @rule(client=indexes)
    def hang_up(self, client: int) -> None:
        self.world.client(client).hang_up()

    @rule(client=indexes)
    def doze(self, client: int) -> None:
        self.world.client(client).doze()

    @rule(client=indexes)
    def come_back(self, client: int) -> None:
        self.world.client(client).connect()
        self.world.spin()

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
    def copy_store(self) -> None:
        self.world.copy_store()

    @rule()
    def go_back(self) -> None:
        self.world.go_back()

    @rule(full=st.booleans())
    def fill_disk(self, full: bool) -> None:
        self.world.fill_disk(full=full)

    @rule(instance=indexes)
    def kill_application(self, instance: int) -> None:
        self.world.kill_application(instance)

    @rule(instance=indexes)
    def stop_application(self, instance: int) -> None:
        self.world.stop_application(instance)

    @rule(instance=indexes)
    def freeze_application(self, instance: int) -> None:
        self.world.freeze_application(instance)

    @rule()
    def wake_applications(self) -> None:
        self.world.wake_applications()

    @rule(link=indexes)
    def cut_link(self, link: int) -> None:
        self.world.cut_link(link)

    @rule()
    def start_application(self) -> None:
        self.world.start_application()

    @invariant()
    def rules_hold(self) -> None:
        rules.check(self.world)

    def teardown(self) -> None:
        try:
            self.world.settle()
            rules.check_end(self.world)
        finally:
            self.world.close()
