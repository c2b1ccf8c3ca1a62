"""The simulation can fail: each rule that the models found necessary, broken once.

A mutant is the shipped code with one rule taken out. A few hundred random runs
must find it out; the code as it is passes the same runs.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from holdfast.app.answers import Answers
from holdfast.gateway.conversation import returning
from holdfast.gateway.conversation.evidence import Evidence
from holdfast.link.messages import Remember
from holdfast.net.transport.tcp_info import Delivery
from holdfast.sessions.eras import Eras
from holdfast.sessions.inbox import Inbox, Verdict
from holdfast.sessions.journal import Journal
from holdfast.sessions.position import ClientPosition
from holdfast.sessions.records import Record
from holdfast.sessions.session import Session
from holdfast.sessions.states import Durability
from tests.simulation.application import Database
from tests.simulation.clients.counting import CountingClient
from tests.simulation.clients.lines import LineClient
from tests.simulation.clients.plain import PlainClient
from tests.simulation.machine import Resume
from tests.simulation.world import Setup, World
from tests.typed_core import COMPILED, IN_USE

pytestmark = pytest.mark.skipif(
    IN_USE == COMPILED, reason="what is compiled cannot be changed: HOLDFAST_PURE=core"
)

RUNS = 600
HONEST_RUNS = 40
STEPS = 60
WEIGHTS: dict[str, int] = {
    "type": 6, "say": 3, "deliver": 10, "deliver_all": 5, "finish_commit": 6, "pass_time": 4,
    "hang_up": 1, "doze": 1, "come_back": 3, "notice": 1, "kill_gateway": 1, "start_gateway": 3,
    "kill_application": 1, "start_application": 3,
}  # fmt: skip
ALL_WEIGHTS: dict[str, int] = {
    **WEIGHTS, "stop_application": 1, "freeze_application": 1, "wake_applications": 2,
    "cut_link": 1, "fill_disk": 2,
}  # fmt: skip
"""With what is rare: it would only make the search for a mutant longer."""


def choose(dice: random.Random, name: str) -> dict[str, Any]:
    """The arguments of a rule."""
    index = dice.randint(0, 5)
    match name:
        case "deliver":
            count = dice.choice([None, dice.randint(1, 60)])
            return {"index": index, "count": count, "to_far": dice.random() < 0.5}
        case "deliver_all":
            return {"times": dice.randint(1, 8)}
        case "pass_time":
            return {"seconds": dice.choice([0.01, 0.3, 1.1, 6.0])}
        case "fill_disk":
            return {"full": dice.random() < 0.5}
        case "kill_gateway":
            return {"stored": dice.random() < 0.5}
        case "say":
            return {"instance": index, "session": dice.randint(0, 5)}
        case "type" | "hang_up" | "doze" | "come_back":
            return {"client": index}
        case "cut_link":
            return {"link": index}
        case "kill_application" | "stop_application" | "freeze_application":
            return {"instance": index}
        case _:
            return {}


def run(seed: int, setup: Setup, weights: dict[str, int] = ALL_WEIGHTS) -> None:
    """One random run. Raises whatever rule it breaks."""
    dice = random.Random(seed)
    random.seed(seed)

    class Run(Resume):
        make = staticmethod(lambda: World(setup))

    machine = Run()
    try:
        for name in dice.choices(list(weights), list(weights.values()), k=STEPS):
            getattr(machine, name)(**choose(dice, name))
            machine.rules_hold()
    except BaseException:
        machine.world.close()
        raise
    machine.teardown()


# --- the mutants


def ack_before_durable(patch: pytest.MonkeyPatch) -> None:
    honest = Session.receive_numbered

    def receive_numbered(self: Session, c: int, item: Any) -> Verdict:
        verdict = honest(self, c, item)
        if verdict is Verdict.ACCEPTED and self.consumer is not None:
            self.consumer.acknowledge(c)
        return verdict

    patch.setattr(Session, "receive_numbered", receive_numbered)


def no_deduplication_of_commands(patch: pytest.MonkeyPatch) -> None:
    def accept_numbered(self: Inbox, c: int, item: Any) -> Verdict:
        self.cin = max(self.cin, c)
        return self.accept(item)

    patch.setattr(Inbox, "accept_numbered", accept_numbered)


def application_does_not_remember(patch: pytest.MonkeyPatch) -> None:
    class Forgetful(dict[str, int]):
        def __setitem__(self, sid: str, cseq: int) -> None:
            pass

    honest = Database.__init__

    def init(self: Database, *, compares: bool) -> None:
        honest(self, compares=False)
        self.applied = Forgetful()

    patch.setattr(Database, "__init__", init)


def same_epoch_after_a_lost_tail(patch: pytest.MonkeyPatch) -> None:
    honest = Session.restore

    def restore(self: Session, records: Sequence[Record], eras: Eras) -> None:
        honest(self, records, Eras(now=self.row.era))
        self.row.era = eras.now

    patch.setattr(Session, "restore", restore)


def epoch_not_compared(patch: pytest.MonkeyPatch) -> None:
    def reset_reason(session: Session, position: ClientPosition) -> None:
        return None

    patch.setattr(returning, "reset_reason", reset_reason)


def output_accepted_before_durable(patch: pytest.MonkeyPatch) -> None:
    honest = Journal.accept

    def accept(self: Journal, instance: str, bseq: int) -> None:
        honest(self, instance, bseq)
        self._on_accepted({instance: bseq})

    patch.setattr(Journal, "accept", accept)


def written_before_stored(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Session, "deliverable", lambda self: self.out.top)


def age_counts_from_the_beginning(patch: pytest.MonkeyPatch) -> None:
    honest = Evidence.wrote

    def wrote(self: Evidence, number: int, offset: int, now: float) -> None:
        honest(self, number, offset, 0.0)

    patch.setattr(Evidence, "wrote", wrote)


def any_answer_proves_everything(patch: pytest.MonkeyPatch) -> None:
    def proven(self: Evidence, number: int) -> bool:
        self._prove(self._out.sent)
        return True

    patch.setattr(Evidence, "proven", proven)


def what_the_kernel_has_was_seen(patch: pytest.MonkeyPatch) -> None:
    def close(self: Evidence, delivery: Delivery | None, now: float) -> None:
        assert delivery is not None
        self._prove(self._upto(delivery.acked))

    patch.setattr(Evidence, "close", close)


def an_heir_is_not_asked(patch: pytest.MonkeyPatch) -> None:
    async def remember(self: Answers, asked: Remember) -> dict[str, int]:
        return {}

    patch.setattr(Answers, "remember", remember)


CRASHES = {"type": 4, "say": 8, "deliver": 4, "deliver_all": 5, "finish_commit": 2,
           "pass_time": 2, "come_back": 5, "kill_gateway": 3, "start_gateway": 5}  # fmt: skip
ANSWERS = {"say": 10, "deliver": 20, "pass_time": 6, "hang_up": 3, "come_back": 5}
COUNTING = (CountingClient,)
LINES = (LineClient,)
PLAIN = (PlainClient,)
EVERYBODY = (CountingClient, LineClient, PlainClient)
HANDOVERS = {
    "type": 8, "deliver": 10, "deliver_all": 5, "finish_commit": 5, "pass_time": 3, "notice": 2,
    "kill_application": 2, "start_application": 4, "stop_application": 1, "cut_link": 2,
}  # fmt: skip
BACK = {
    **CRASHES, "type": 8, "pass_time": 4, "finish_commit": 6, "copy_store": 3, "go_back": 3,
}  # fmt: skip
FREEZES = {**HANDOVERS, "cut_link": 4, "freeze_application": 4, "wake_applications": 3}
FAST = Setup(Durability.FAST)
DURABLE = Setup(Durability.DURABLE)
MUTANTS = [
    (ack_before_durable, DURABLE, WEIGHTS),
    (no_deduplication_of_commands, FAST, WEIGHTS),
    (application_does_not_remember, FAST, WEIGHTS),
    (same_epoch_after_a_lost_tail, FAST, WEIGHTS),
    (epoch_not_compared, FAST, WEIGHTS),
    (output_accepted_before_durable, DURABLE, WEIGHTS),
    (written_before_stored, DURABLE, CRASHES),
    (age_counts_from_the_beginning, Setup(clients=LINES), WEIGHTS),
    (any_answer_proves_everything, Setup(clients=PLAIN), ANSWERS),
    (what_the_kernel_has_was_seen, Setup(clients=LINES), WEIGHTS),
    (an_heir_is_not_asked, Setup(instances=2, compares=False), HANDOVERS),
]
HONEST = [
    (Setup(Durability.FAST, clients=EVERYBODY), ALL_WEIGHTS),
    (Setup(Durability.DURABLE, clients=EVERYBODY, instances=2), ALL_WEIGHTS),
    (Setup(Durability.MEMORY, clients=EVERYBODY, instances=2), ALL_WEIGHTS),
    (Setup(Durability.FAST, clients=EVERYBODY, on_failure="memory"), ALL_WEIGHTS),
    (Setup(Durability.DURABLE, clients=EVERYBODY, on_failure="memory"), ALL_WEIGHTS),
    (Setup(Durability.FAST, instances=2, compares=False), HANDOVERS),
    (Setup(Durability.FAST, instances=2), FREEZES),
    (Setup(Durability.FAST, clients=(CountingClient, LineClient), goes_back=True), BACK),
    (Setup(Durability.DURABLE, goes_back=True), BACK),
]


@pytest.mark.parametrize(
    ("mutate", "setup", "weights"), MUTANTS, ids=[mutate.__name__ for mutate, _, _ in MUTANTS]
)
def test_a_broken_rule_is_found(
    mutate: Callable[[pytest.MonkeyPatch], None],
    setup: Setup,
    weights: dict[str, int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    mutate(monkeypatch)
    for seed in range(RUNS):
        try:
            run(seed, setup, weights)
        except Exception:  # whichever rule it was
            return
    pytest.fail(f"{RUNS} runs have not noticed")


@pytest.mark.parametrize(("setup", "weights"), HONEST, ids=str)
def test_the_code_as_it_is_passes_such_runs(setup: Setup, weights: dict[str, int]) -> None:
    for seed in range(HONEST_RUNS):
        run(seed, setup, weights)
