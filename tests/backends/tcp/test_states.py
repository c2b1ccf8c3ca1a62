from __future__ import annotations

from itertools import product

import pytest

from holdfast.backends.tcp.states import TABLE, BridgeInput, BridgeState

S, I = BridgeState, BridgeInput  # noqa: E741

EXPECTED = {
    (S.CREATED, I.DIAL): S.CONNECTING,
    (S.CREATED, I.CLOSE): S.CLOSING,
    (S.CREATED, I.LOST): S.CLOSED,
    (S.CONNECTING, I.CONNECTED): S.ACTIVE,
    (S.CONNECTING, I.CLOSE): S.CLOSING,
    (S.CONNECTING, I.REDIAL): S.CONNECTING,
    (S.CONNECTING, I.LOST): S.CLOSED,
    (S.ACTIVE, I.CLOSE): S.CLOSING,
    (S.ACTIVE, I.REDIAL): S.CONNECTING,
    (S.ACTIVE, I.LOST): S.CLOSED,
    (S.CLOSING, I.CONNECTED): S.CLOSING,
    (S.CLOSING, I.CLOSE): S.CLOSING,
    (S.CLOSING, I.LOST): S.CLOSED,
    (S.CLOSED, I.CLOSE): S.CLOSED,
    (S.CLOSED, I.LOST): S.CLOSED,
}


@pytest.mark.parametrize(("state", "given"), list(product(S, I)))
def test_every_cell(state: BridgeState, given: BridgeInput) -> None:
    expected = EXPECTED.get((state, given))
    assert TABLE.allows(state, given) is (expected is not None)
    if expected is not None:
        assert TABLE.step(state, given).state is expected
