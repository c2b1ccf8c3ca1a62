from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.core.backoff import LASTED_SECONDS_MIN
from holdfast.core.states import UndefinedTransitionError
from holdfast.net.upstream.circuit_breaker import (
    TABLE,
    Breaker,
    BreakerEffect,
    BreakerInput,
    BreakerState,
)

CLOSED, OPEN, HALF_OPEN = BreakerState.CLOSED, BreakerState.OPEN, BreakerState.HALF_OPEN

EXPECTED = {
    (CLOSED, "TRIED"): (CLOSED, "NOTHING"),
    (CLOSED, "SUCCEEDED"): (CLOSED, "FORGET"),
    (CLOSED, "FAILED"): (CLOSED, "COUNT"),
    (CLOSED, "TRIPPED"): (OPEN, "PAUSE"),
    (OPEN, "TRIED"): (HALF_OPEN, "NOTHING"),
    (OPEN, "SUCCEEDED"): (CLOSED, "CLOSE"),
    (OPEN, "FAILED"): (OPEN, "NOTHING"),
    (OPEN, "TRIPPED"): (OPEN, "NOTHING"),
    (HALF_OPEN, "SUCCEEDED"): (CLOSED, "CLOSE"),
    (HALF_OPEN, "FAILED"): (HALF_OPEN, "NOTHING"),
    (HALF_OPEN, "TRIPPED"): (HALF_OPEN, "NOTHING"),
    (HALF_OPEN, "PROBE_FAILED"): (OPEN, "PAUSE"),
    (HALF_OPEN, "PROBE_ABANDONED"): (OPEN, "NOTHING"),
}


@pytest.mark.parametrize(("state", "given_"), list(product(BreakerState, BreakerInput)))
def test_every_cell(state: BreakerState, given_: BreakerInput) -> None:
    expected = EXPECTED.get((state, given_.name))
    if expected is None:
        assert not TABLE.allows(state, given_)
        with pytest.raises(UndefinedTransitionError, match=f"{given_.name}.*{state.name}"):
            TABLE.step(state, given_)
    else:
        assert TABLE.step(state, given_) == (expected[0], BreakerEffect[expected[1]])


def failing(times: int, at: float = 100.0) -> Breaker:
    """A breaker that opens at the third failure, after as many."""
    breaker = Breaker(3, 4.0)
    for _ in range(times):
        breaker.failed(at, 1.0, probe=breaker.tried())
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
    breaker.succeeded(100.0)
    for _ in range(2):
        breaker.failed(100.0, 1.0, probe=breaker.tried())
    assert breaker.state is CLOSED


def test_one_attempt_at_a_time_shows_whether_it_is_back() -> None:
    breaker = failing(3)
    breaker.tried()
    assert breaker.state is HALF_OPEN
    assert not breaker.lets_through(200.0)
    breaker.succeeded(200.0)
    assert breaker.lets_through(200.0)


def test_each_pause_is_longer_up_to_the_limit_until_it_has_been_back_for_a_while() -> None:
    breaker, now, pauses = failing(3), 101.0, []
    for _ in range(4):
        breaker.failed(now, 1.0, probe=breaker.tried())
        pauses.append(breaker.until - now)
        now = breaker.until
    assert pauses == [2.0, 4.0, 4.0, 4.0]
    breaker.tried()
    breaker.succeeded(now)
    now += LASTED_SECONDS_MIN
    for _ in range(3):
        breaker.failed(now, 1.0)
    assert breaker.until - now == 1.0


def test_pauses_grow_for_a_server_that_accepts_and_hangs_up() -> None:
    breaker, now, pauses = failing(3), 101.0, []
    for hung_up in range(3, 6):
        breaker.tried()
        breaker.succeeded(now)
        breaker.failed(now + 0.1, 1.0, hung_up)
        pauses.append(round(breaker.until - now - 0.1, 3))
        now = breaker.until
    assert pauses == [2.0, 4.0, 4.0]


def test_each_probe_has_a_number_of_its_own_and_other_attempts_have_none() -> None:
    breaker = Breaker(3, 4.0)
    assert [breaker.tried() for _ in range(2)] == [0, 0]
    for _ in range(3):
        breaker.failed(100.0, 1.0)
    assert breaker.tried() == 1
    breaker.failed(101.0, 1.0, probe=1)
    assert breaker.probe == 0
    assert breaker.tried() == 2


def test_an_attempt_that_tells_nothing_does_not_block_the_next() -> None:
    breaker = failing(3)
    breaker.abandoned(breaker.tried())
    assert breaker.state is OPEN
    assert breaker.lets_through(101.0)


@pytest.mark.parametrize("end", ["failed", "abandoned"])
def test_attempts_that_began_before_it_opened_let_no_second_probe_through(end: str) -> None:
    breaker = Breaker(3, 4.0)
    old = [breaker.tried() for _ in range(5)]
    for _ in range(3):
        breaker.failed(100.0, 1.0, probe=old.pop())
    probe = breaker.tried()
    assert probe
    for number in old:
        if end == "failed":
            breaker.failed(102.0, 1.0, probe=number)
        else:
            breaker.abandoned(number)
        assert breaker.state is HALF_OPEN
        assert not breaker.lets_through(200.0)
    breaker.succeeded(102.0)
    assert breaker.state is CLOSED


def test_a_probe_that_tells_too_late_tells_nothing_of_the_next() -> None:
    breaker = failing(3)
    late = breaker.tried()
    breaker.succeeded(101.0)  # a check has reached it
    for _ in range(3):
        breaker.failed(101.0, 1.0)
    probe = breaker.tried()
    breaker.failed(110.0, 1.0, probe=late)
    breaker.abandoned(late)
    assert breaker.probe == probe


OUTCOMES = st.sampled_from(["succeeded", "failed", "abandoned"])


@given(st.lists(st.tuples(OUTCOMES, st.floats(0, 3)), max_size=60))
def test_it_never_gets_stuck(outcomes: list[tuple[str, float]]) -> None:
    """Whatever becomes of the attempts: after the longest pause, one is let through."""
    breaker, now = Breaker(3, 4.0), 0.0
    for outcome, seconds in outcomes:
        now += seconds
        if breaker.lets_through(now):
            probe = breaker.tried()
            match outcome:
                case "succeeded":
                    breaker.succeeded(now)
                    assert breaker.state is CLOSED
                case "failed":
                    breaker.failed(now, 0.5, probe=probe)
                case _:
                    breaker.abandoned(probe)
        assert breaker.state is not HALF_OPEN
        assert breaker.lets_through(now + 4.0)


def test_a_server_that_is_back_has_all_its_failures_before_it() -> None:
    breaker = failing(3)
    probe = breaker.tried()
    assert probe
    breaker.succeeded(101.0)
    assert breaker.state is CLOSED
    for _ in range(2):
        breaker.failed(102.0, 1.0, probe=breaker.tried())
    assert breaker.state is CLOSED
    breaker.failed(102.0, 1.0, probe=breaker.tried())
    assert breaker.state is OPEN
