"""The table of a WebSocket connection (RFC 6455 sections 4 and 7)."""

from __future__ import annotations

from itertools import product

import pytest

from holdfast.protocols.websocket import events
from holdfast.protocols.websocket.states import TABLE, Effect, Input, State

C, NOTHING, SEND_CLOSE = State.CLOSED, Effect.NOTHING, Effect.SEND_CLOSE

WRITTEN = {
    (State.CONNECTING, Input.OPENED): (State.OPEN, NOTHING),
    (State.CONNECTING, Input.REFUSED): (C, NOTHING),
    (State.CONNECTING, Input.FAILED): (C, NOTHING),
    (State.OPEN, Input.CLOSE_SENT): (State.CLOSING, SEND_CLOSE),
    (State.OPEN, Input.CLOSE_RECEIVED): (C, SEND_CLOSE),
    (State.OPEN, Input.FAILED): (C, SEND_CLOSE),
    # After our Close frame there is no other.
    (State.CLOSING, Input.CLOSE_SENT): (State.CLOSING, NOTHING),
    (State.CLOSING, Input.CLOSE_RECEIVED): (C, NOTHING),
    (State.CLOSING, Input.FAILED): (C, NOTHING),
    (C, Input.CLOSE_SENT): (C, NOTHING),
    (C, Input.CLOSE_RECEIVED): (C, NOTHING),
    (C, Input.FAILED): (C, NOTHING),
    **{(state, Input.EOF): (C, NOTHING) for state in State},
}


@pytest.mark.parametrize(("state", "given"), list(product(State, Input)))
def test_the_table_is_total_and_allows_what_is_written_and_nothing_else(
    state: State, given: Input
) -> None:
    allowed = TABLE.allows(state, given)
    assert allowed is ((state, given) in WRITTEN)
    if allowed:
        assert tuple(TABLE.step(state, given)) == WRITTEN[state, given]


def test_codes_that_are_never_on_the_wire() -> None:
    """RFC 6455 section 7.4.1."""
    assert (events.NO_STATUS, events.ABNORMAL) == (1005, 1006)
