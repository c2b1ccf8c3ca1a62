"""The table of where a connection stands towards its session."""

from __future__ import annotations

from itertools import product

import pytest

from holdfast.gateway.conversation.phases import TABLE, ConversationPhase, Move

WRITTEN = {
    (ConversationPhase.WAITING, Move.ENTER): ConversationPhase.ENTERING,
    (ConversationPhase.ENTERING, Move.ADMIT): ConversationPhase.LIVE,
    (ConversationPhase.ENTERING, Move.WAIT): ConversationPhase.WAITING,
    (ConversationPhase.LIVE, Move.ENTER): ConversationPhase.ENTERING,  # it takes up another session
    # Whoever leaves has left, however often it is said.
    (ConversationPhase.WAITING, Move.LEAVE): ConversationPhase.LEAVING,
    (ConversationPhase.ENTERING, Move.LEAVE): ConversationPhase.LEAVING,
    (ConversationPhase.LIVE, Move.LEAVE): ConversationPhase.LEAVING,
    (ConversationPhase.LEAVING, Move.LEAVE): ConversationPhase.LEAVING,
}


@pytest.mark.parametrize(("state", "given"), list(product(ConversationPhase, Move)))
def test_the_table_is_total_and_allows_what_is_written_and_nothing_else(
    state: ConversationPhase, given: Move
) -> None:
    allowed = TABLE.allows(state, given)
    assert allowed is ((state, given) in WRITTEN)
    if allowed:
        assert TABLE.step(state, given).state is WRITTEN[state, given]
