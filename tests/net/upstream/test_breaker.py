from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.core.states import UndefinedTransitionError
from holdfast.net.upstream.breaker import (
    TABLE,
    Breaker,
    BreakerInput,
    BreakerState,
    Effect,
)

CLOSED, OPEN, HALF_OPEN = BreakerState.CLOSED, BreakerState.OPEN, BreakerState.HALF_OPEN

EXPECTED = {
    (CLOSED, "TRIED"): (CLOSED, "NOTHING"),
    (CLOSED, "SUCCEEDED"): (CLOSED, "FORGET"),
    (CLOSED, "FAILED"): (CLOSED, "COUNT"),
    (CLOSED, "TRIPPED"): (OPEN, "PAUSE"),
    (CLOSED, "ABANDONED"): (CLOSED, "NOTHING"),
    (OPEN, "TRIED"): (HALF_OPEN, "NOTHING"),
    (OPEN, "SUCCEEDED"): (CLOSED, "FORGET"),
    (OPEN, "FAILED"): (OPEN, "NOTHING"),
    (OPEN, "TRIPPED"): (OPEN, "NOTHING"),
    (OPEN, "ABANDONED"): (OPEN, "NOTHING"),
    (HALF_OPEN, "SUCCEEDED"): (CLOSED, "FORGET"),
    (HALF_OPEN, "FAILED"): (OPEN, "PAUSE"),
    (HALF_OPEN, "TRIPPED"): (OPEN, "PAUSE"),
    (HALF_OPEN, "ABANDONED"): (OPEN, "NOTHING"),
}


@pytest.mark.parametrize(("state", "given_"), list(product(BreakerState, BreakerInput)))
def test_every_cell(state: BreakerState, given_: BreakerInput) -> None:
    expected = EXPECTED.get((state, given_.name))
    if expected is None:
        assert not TABLE.allows(state, given_)
        with pytest.raises(UndefinedTransitionError, match=f"{given_.name}.*{state.name}"):
            TABLE.step(state, given_)
    else:
        assert TABLE.step(state, given_) == (expected[0], Effect[expected[1]])


def failing(times: int, at: float = 100.0) -> Breaker:
    """A breaker that opens at the third failure, after as many."""
    breaker = Breaker(3, 4.0)
    for _ in range(times):
        breaker.tried()
        breaker.failed(at, 1.0)
    return breaker


def test_failures_in_a_row_open_it() -> None:
    assert failing(2).state is CLOSED
    assert failing(2).lets_through(100.0)
    breaker = failing(3)
    assert (breaker.state, breaker.until) == (OPEN, 101.0)
    assert not breaker.lets_through(100.9)
    assert breaker.lets_through(101.0)


def test_a_success_in_between_begins_the_count_anew() -> None:
    breaker = failing(2)
    breaker.tried()
    breaker.succeeded()
    for _ in range(2):
        breaker.tried()
        breaker.failed(100.0, 1.0)
    assert breaker.state is CLOSED


def test_one_attempt_at_a_time_shows_whether_it_is_back() -> None:
    breaker = failing(3)
    breaker.tried()
    assert breaker.state is HALF_OPEN
    assert not breaker.lets_through(200.0)
    breaker.succeeded()
    assert breaker.lets_through(200.0)


def test_each_pause_is_longer_up_to_the_limit_until_it_is_back() -> None:
    breaker, now, pauses = failing(3), 101.0, []
    for _ in range(4):
        breaker.tried()
        breaker.failed(now, 1.0)
        pauses.append(breaker.until - now)
        now = breaker.until
    assert pauses == [2.0, 4.0, 4.0, 4.0]
    breaker.tried()
    breaker.succeeded()
    for _ in range(3):
        breaker.failed(now, 1.0)
    assert breaker.until - now == 1.0


def test_an_attempt_that_tells_nothing_does_not_block_the_next() -> None:
    breaker = failing(3)
    breaker.tried()
    breaker.abandoned()
    assert breaker.state is OPEN
    assert breaker.lets_through(101.0)


OUTCOMES = st.sampled_from(["succeeded", "failed", "abandoned"])


@given(st.lists(st.tuples(OUTCOMES, st.floats(0, 3)), max_size=60))
def test_it_never_gets_stuck(outcomes: list[tuple[str, float]]) -> None:
    """Whatever becomes of the attempts: after the longest pause, one is let through."""
    breaker, now = Breaker(3, 4.0), 0.0
    for outcome, seconds in outcomes:
        now += seconds
        if breaker.lets_through(now):
            breaker.tried()
            match outcome:
                case "succeeded":
                    breaker.succeeded()
                    assert breaker.state is CLOSED
                case "failed":
                    breaker.failed(now, 0.5)
                case _:
                    breaker.abandoned()
        assert breaker.state is not HALF_OPEN
        assert breaker.lets_through(now + 4.0)
