"""The life of a terminal."""

from __future__ import annotations

from itertools import product

import pytest

from holdfast.backends.terminal.states import TABLE, BridgeInput, BridgeState

I, S = BridgeInput, BridgeState  # noqa: E741

ALLOWED = {
    (S.CREATED, I.CONNECT): S.CONNECTING,
    (S.CREATED, I.CLOSE): S.CLOSING,
    (S.CONNECTING, I.CONNECTED): S.ACTIVE,
    (S.CONNECTING, I.CLOSE): S.CLOSING,
    (S.ACTIVE, I.CLOSE): S.CLOSING,
    (S.CLOSING, I.RELEASED): S.CLOSED,
}


@pytest.mark.parametrize(("state", "given"), list(product(BridgeState, BridgeInput)))
def test_each_cell(state: BridgeState, given: BridgeInput) -> None:
    """CONNECTING comes before the connection, and every end goes through CLOSING."""
    assert TABLE.allows(state, given) is ((state, given) in ALLOWED)
    if (state, given) in ALLOWED:
        assert TABLE.step(state, given).state is ALLOWED[state, given]
