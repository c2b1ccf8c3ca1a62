"""Several gateways on one database: random runs keep the rules, and find each that is broken.

The runs are the same ones every time, as far as what happens in them. Some mutants break rules of
the SQL, in what the server in memory makes of it.

The design marks by `taken` from where on the outputs of an instance are those of a session's
present node. Here the node that gives a session away asks its instance, and goes on when that has
answered or its link has ended: nothing of an earlier time is under way on a link when the session
comes back. So two mutants take that away, `the_application_is_not_waited_for` and
`a_silent_application_keeps_its_link`. That outputs are refused while an instance is asked what it
remembers (`Instance.may_change`) protects one node whose instances change; for several nodes it
only repeats this.
"""

from __future__ import annotations

import inspect
import random
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from holdfast.app import moves
from holdfast.backends.link.assignment import Assignment
from holdfast.sessions.membership import Membership
from holdfast.sessions.states import Durability
from tests.simulation.cluster.machine import Cluster
from tests.simulation.cluster.world import ClusterSetup, ClusterWorld
from tests.simulation.postgresql import commits
from tests.simulation.postgresql.rows import Transaction

RUNS = 60
HONEST_RUNS = 8
STEPS = 50


def _index(dice: random.Random) -> int:
    return dice.randint(0, 5)


def _either(dice: random.Random) -> bool:
    return dice.random() < 0.5


ARGUMENTS: dict[tuple[str, str], Callable[[random.Random], Any]] = {
    **{("", key): _index for key in ("node", "client", "index", "instance", "session", "link")},
    **{("", key): _either for key in ("forget", "stored", "to_store", "clients", "to_node")},
    ("", "to_far"): _either,
    ("", "full"): _either,
    ("deliver", "count"): lambda dice: dice.choice([None, dice.randint(1, 60)]),
    ("", "times"): lambda dice: dice.randint(1, 8),
    ("", "count"): lambda dice: dice.randint(1, 8),
    ("live", "seconds"): lambda dice: dice.choice([0.5, 2.0, 3.0, 7.0]),
    ("pass_time", "seconds"): lambda dice: dice.choice([0.01, 0.3]),
}
"""What the arguments are, by the name of the rule, if it is one of its own, and theirs."""


def choose(dice: random.Random, name: str) -> dict[str, Any]:
    """The arguments of a rule."""
    rule = getattr(Cluster, name)
    wanted = inspect.signature(rule).parameters.keys() - {"self"}
    return {
        key: ARGUMENTS[(name, key) if (name, key) in ARGUMENTS else ("", key)](dice)
        for key in sorted(wanted)
    }


def run(seed: int, setup: ClusterSetup, weights: dict[str, int]) -> None:
    """One random run. Raises whatever rule it breaks."""
    dice = random.Random(seed)
    random.seed(seed)

    class Run(Cluster):
        make = staticmethod(lambda: ClusterWorld(setup))

    machine = Run()
    try:
        for name in dice.choices(list(weights), list(weights.values()), k=STEPS):
            getattr(machine, name)(**choose(dice, name))
            machine.rules_hold()
            machine.one_owner_writes()
    except BaseException:
        machine.world.close()
        raise
    machine.teardown()


# --- the mutants


def commit_without_a_lock(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(commits, "lock_run", lambda tx, inc: True)


def commit_with_exists(patch: pytest.MonkeyPatch) -> None:
    def exists(tx: Transaction, inc: int) -> bool:
        node = tx.get("node", inc)
        return node is not None and not node["fenced"]

    patch.setattr(commits, "lock_run", exists)


def deadline_from_the_answer(patch: pytest.MonkeyPatch) -> None:
    honest = Membership._go_on

    def go_on(self: Membership, sent: float) -> None:
        honest(self, self._clock())

    patch.setattr(Membership, "_go_on", go_on)


def no_deadline(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Membership, "lasts", lambda self: True)


def the_application_is_not_waited_for(patch: pytest.MonkeyPatch) -> None:
    async def give_up(self: Assignment, sessions: Iterable[object]) -> None:
        pass

    patch.setattr(Assignment, "give_up", give_up)


def a_silent_application_keeps_its_link(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Assignment, "_close", lambda self, instance, asked, error: None)


def the_late_word_of_an_earlier_node_counts(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(moves, "is_late", lambda session, info, node: False)


FENCES = {
    "type": 10, "live": 5, "come_back": 2, "suspend_gateway": 3, "stall_commit": 3,
    "wake_gateways": 4, "finish_commit": 4, "deliver_all": 10, "pass_time": 8,
}  # fmt: skip
STOPS = {
    "type": 2, "live": 8, "come_back": 2, "freeze_gateway": 1, "wake_gateways": 2,
    "start_gateway": 3, "cut_store": 4, "heal": 4,
}  # fmt: skip
MOVES = {
    "type": 5, "say": 8, "live": 4, "come_back": 4, "go_elsewhere": 8, "deliver_all": 3,
    "cut_link": 3, "notice": 3, "kill_gateway": 2, "start_gateway": 4, "finish_commit": 3,
    "deliver": 4,
}  # fmt: skip
CUTS = {
    "type": 5, "say": 8, "live": 6, "go_elsewhere": 10, "cut_way": 4, "heal": 4, "deliver_all": 2,
    "come_back": 2,
}  # fmt: skip
EVERYTHING = {
    "type": 8, "say": 4, "deliver": 4, "deliver_all": 6, "finish_commit": 6, "pass_time": 2,
    "live": 5, "hang_up": 1, "doze": 1, "come_back": 4, "go_elsewhere": 4, "notice": 2,
    "kill_gateway": 1, "start_gateway": 3, "stop_gateway": 1, "freeze_gateway": 1,
    "wake_gateways": 2, "lose_answer": 1, "break_store": 1, "cut_store": 1, "crash_store": 1,
    "hold_store": 1, "let_through": 3, "cut_way": 1, "heal": 3, "kill_application": 1,
    "start_application": 3, "stop_application": 1, "cut_link": 1, "fill_disk": 1,
}  # fmt: skip
DURABLE = ClusterSetup(Durability.DURABLE)
SUSPENDED = ClusterSetup(Durability.DURABLE, suspends=True)
MUTANTS = [  # with the seed to begin with, near one that finds it
    (commit_without_a_lock, SUSPENDED, FENCES, 0),
    (commit_with_exists, SUSPENDED, FENCES, 40),
    (deadline_from_the_answer, DURABLE, STOPS, 45),
    (no_deadline, DURABLE, STOPS, 0),
    (the_application_is_not_waited_for, DURABLE, MOVES, 178),
    (a_silent_application_keeps_its_link, DURABLE, CUTS, 284),
    (the_late_word_of_an_earlier_node_counts, DURABLE, CUTS, 103),
]


@pytest.mark.parametrize(
    ("mutate", "setup", "weights", "first"), MUTANTS, ids=[each[0].__name__ for each in MUTANTS]
)
def test_a_broken_rule_is_found(
    mutate: Callable[[pytest.MonkeyPatch], None],
    setup: ClusterSetup,
    weights: dict[str, int],
    first: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    mutate(monkeypatch)
    for seed in range(first, first + RUNS):
        try:
            run(seed, setup, weights)
        except AssertionError:  # whichever rule it was
            return
    pytest.fail(f"{RUNS} runs have not noticed")


HONEST = [
    (DURABLE, EVERYTHING),
    (ClusterSetup(Durability.FAST), EVERYTHING),
    (ClusterSetup(Durability.DURABLE, gateways=3), EVERYTHING),
    (SUSPENDED, FENCES),
    (DURABLE, STOPS),
    (DURABLE, MOVES),
    (DURABLE, CUTS),
]


@pytest.mark.parametrize(("setup", "weights"), HONEST)
def test_the_code_as_it_is_keeps_the_rules(setup: ClusterSetup, weights: dict[str, int]) -> None:
    for seed in range(HONEST_RUNS):
        run(seed, setup, weights)


FOUND = [  # what runs have found once, with the seed
    (DURABLE, MOVES, 30032),  # who had adopted sessions died before applications were told
    (DURABLE, MOVES, 30022),
]


@pytest.mark.parametrize(("setup", "weights", "seed"), FOUND)
def test_a_run_that_has_found_a_fault(
    setup: ClusterSetup, weights: dict[str, int], seed: int
) -> None:
    run(seed, setup, weights)
