"""Each turn of a cyclic barrier waits for all."""

from __future__ import annotations

import pytest
from tests.vtc.cases import conversation
from tests.vtc.running import run_script

from holdfast.vtc.run.results import Outcome


@pytest.mark.parametrize("kind", ["cond", "sock"])
def test_each_turn_of_a_cyclic_barrier_waits_for_all(kind: str) -> None:
    turns = "loop 3 {\nbarrier b1 sync\n}"
    result = run_script(f"barrier b1 {kind} 2 -cyclic\n{conversation(turns, turns)}")
    assert result.outcome is Outcome.PASSED
    log = result.log.render()
    assert (log.count("wait 1 of 2"), log.count("wake 2")) == (3, 3)
