"""Passes of the event loop and who has a turn in them: nothing here waits."""

from __future__ import annotations

import structlog
from tests.net.fakes import FakeLoop, runtime

from holdfast.core.limits import KIB
from holdfast.net.runtime.turns import ARRIVALS_COST_MAX, TURNS_COST_MAX, Turns


class Busy:
    """Has so much to handle, and writes down when it had a turn."""

    def __init__(self, turns: Turns, network: str, had: list[Busy], left: int, cost: int) -> None:
        self.turns, self.network, self.had = turns, network, had
        self.left, self.cost = left, cost
        self.wait()

    def wait(self) -> None:
        self.turns.wait(self, self.network)

    def take_turn(self) -> None:
        self.had.append(self)
        self.turns.spent += self.cost
        self.left -= 1
        if self.left:
            self.wait()


def test_one_pass_has_a_bounded_number_of_turns() -> None:
    loop, had = FakeLoop(), list[Busy]()
    turns = runtime(loop).turns
    for number in range(1000):
        Busy(turns, f"192.0.2.{number}", had, left=1, cost=16 * KIB)
    passes = []
    while len(had) < 1000:
        before = len(had)
        loop.tick()
        passes.append(len(had) - before)
    assert max(passes) <= TURNS_COST_MAX // (16 * KIB)


def test_a_network_with_many_connections_has_no_more_turns_than_one_with_one() -> None:
    loop, had = FakeLoop(), list[Busy]()
    turns = runtime(loop).turns
    for _ in range(2000):
        Busy(turns, "192.0.2.66", had, left=100, cost=16 * KIB)
    honest = Busy(turns, "192.0.2.1", had, left=10, cost=100)
    for _ in range(20):
        loop.tick()
    assert honest.left == 0
    assert max(index for index, busy in enumerate(had) if busy is honest) < 20


def test_the_connections_of_a_network_have_turns_in_order() -> None:
    loop, had = FakeLoop(), list[Busy]()
    turns = runtime(loop).turns
    busy = [Busy(turns, "192.0.2.66", had, left=2, cost=64 * KIB) for _ in range(3)]
    for _ in range(6):
        loop.tick()
    assert had == [*busy, *busy]


def test_who_asks_twice_has_one_turn() -> None:
    loop, had = FakeLoop(), list[Busy]()
    turns = runtime(loop).turns
    busy = Busy(turns, "192.0.2.66", had, left=1, cost=0)
    busy.wait()
    loop.tick()
    loop.tick()
    assert had == [busy]


def test_a_turn_that_fails_takes_nobody_else_s() -> None:
    loop, had = FakeLoop(), list[Busy]()
    turns = runtime(loop).turns

    class Defective:
        def take_turn(self) -> None:
            raise ZeroDivisionError

    turns.wait(Defective(), "192.0.2.1")
    busy = Busy(turns, "192.0.2.1", had, left=1, cost=0)
    with structlog.testing.capture_logs() as logs:
        loop.tick()
    assert had == [busy]
    assert [log["event"] for log in logs] == ["a turn failed"]


def test_what_a_pass_has_spent_is_forgotten_at_its_end() -> None:
    loop = FakeLoop()
    run = runtime(loop)
    run.turns.spent = 1000
    run.coalescer.add(lambda: None)
    loop.tick()
    assert run.turns.spent == 0


def test_who_has_no_session_yet_waits_for_those_before_and_for_the_next_pass() -> None:
    loop = FakeLoop()
    turns = runtime(loop).turns
    assert not turns.puts_off_arrival()
    turns.spent = ARRIVALS_COST_MAX
    assert turns.puts_off_arrival()
    turns.spent = 0
    seen = list[bool]()

    class Arrival:
        def take_turn(self) -> None:
            seen.append(turns.puts_off_arrival())

    arrivals = [Arrival() for _ in range(2)]
    for arrival in arrivals:
        turns.wait(arrival, "192.0.2.66")
    assert turns.puts_off_arrival()
    loop.tick()
    assert seen == [False, False]  # each was its own turn
    assert not turns.puts_off_arrival()
