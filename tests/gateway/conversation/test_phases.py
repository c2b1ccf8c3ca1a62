"""The table of where a connection stands towards its session."""

from __future__ import annotations

from itertools import product

import pytest

from holdfast.gateway.conversation.phases import TABLE, Move, Phase

WRITTEN = {
    (Phase.WAITING, Move.ENTER): Phase.ENTERING,
    (Phase.ENTERING, Move.ADMIT): Phase.LIVE,
    (Phase.ENTERING, Move.WAIT): Phase.WAITING,
    (Phase.LIVE, Move.ENTER): Phase.ENTERING,  # it takes up another session
    # Whoever leaves has left, however often it is said.
    (Phase.WAITING, Move.LEAVE): Phase.LEAVING,
    (Phase.ENTERING, Move.LEAVE): Phase.LEAVING,
    (Phase.LIVE, Move.LEAVE): Phase.LEAVING,
    (Phase.LEAVING, Move.LEAVE): Phase.LEAVING,
}


@pytest.mark.parametrize(("state", "given"), list(product(Phase, Move)))
def test_the_table_is_total_and_allows_what_is_written_and_nothing_else(
    state: Phase, given: Move
) -> None:
    allowed = TABLE.allows(state, given)
    assert allowed is ((state, given) in WRITTEN)
    if allowed:
        assert TABLE.step(state, given).state is WRITTEN[state, given]
