"""The position of a client in the output of its session."""

from __future__ import annotations

import pytest

from holdfast.client.position import ACK_EACH, OutputPosition
from holdfast.client.state import ServerFaultError, State


def test_an_acknowledgement_is_due_after_some_outputs() -> None:
    state = State()
    it = OutputPosition(state)
    it.begin(7)
    assert [it.receive(n) for n in range(8, 7 + ACK_EACH)] == [False] * (ACK_EACH - 1)
    assert it.receive(7 + ACK_EACH)
    assert (it.unacknowledged, it.acknowledge(), it.unacknowledged) == (True, 7 + ACK_EACH, False)
    assert not it.receive(8 + ACK_EACH)


@pytest.mark.parametrize("n", [7, 9])
def test_only_the_next_output_may_come(n: int) -> None:
    it = OutputPosition(State())
    it.begin(7)
    with pytest.raises(ServerFaultError, match=f"output {n} came after 7"):
        it.receive(n)


def test_a_skip_goes_forward() -> None:
    state = State()
    it = OutputPosition(state)
    it.begin(7)
    assert not it.skip(8)
    assert it.skip(7 + ACK_EACH)
    assert state.last == 7 + ACK_EACH
    with pytest.raises(ServerFaultError, match="a skip to 39 came after output 39"):
        it.skip(39)


def test_of_a_new_session_nothing_is_to_be_acknowledged() -> None:
    it = OutputPosition(State())
    assert not it.unacknowledged
    it.receive(1)
    assert it.unacknowledged


def test_outputs_before_a_connection_make_no_acknowledgement_due() -> None:
    it = OutputPosition(State())
    it.begin(1_000)
    assert not it.receive(1_001)
    assert not it.skip(1_000 + ACK_EACH - 1)
    assert it.receive(1_000 + ACK_EACH)
