from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.core.backoff import LASTED_SECONDS_MIN, Backoff


def test_pauses_double_up_to_the_limit_and_begin_anew() -> None:
    backoff = Backoff(0.5, 3.0)
    assert [backoff.pause(1.0) for _ in range(5)] == [0.5, 1.0, 2.0, 3.0, 3.0]
    backoff.reset()
    assert backoff.pause(1.0) == 0.5


def test_pauses_double_in_each_round_of_attempts() -> None:
    backoff = Backoff(0.5, 3.0, round_attempts=3)
    pauses = [backoff.pause(1.0) for _ in range(7)]
    assert pauses[::3] == pytest.approx([0.5, 1.0, 2.0])
    assert pauses == sorted(pauses)


def test_a_limit_below_the_first_pause_holds() -> None:
    assert Backoff(1.0, 0.1).pause(1.0) == 0.1


def test_pauses_grow_until_a_connection_has_lasted() -> None:
    backoff = Backoff(0.5, 3.0, lasted_min=10.0)
    lasted = [0.0, 9.9, 0.1, 10.0, 0.0, 3600.0]
    assert [backoff.pause(1.0, each) for each in lasted] == [0.5, 1.0, 2.0, 0.5, 1.0, 0.5]


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_chance_shortens_by_half_at_most(draws: list[float]) -> None:
    backoff, plain = Backoff(0.1, 5.0), Backoff(0.1, 5.0)
    for entropy in draws:
        full = plain.pause(1.0)
        assert full / 2 <= backoff.pause(entropy) <= full


def test_a_connection_has_lasted_after_ten_seconds_if_nothing_else_is_said() -> None:
    assert LASTED_SECONDS_MIN == 10.0
    backoff = Backoff(0.5, 3.0)
    assert [backoff.pause(1.0, lasted) for lasted in (0.0, 9.75, 10.0, 0.0)] == [0.5, 1.0, 0.5, 1.0]


def test_an_attempt_without_a_connection_has_not_lasted() -> None:
    backoff = Backoff(0.5, 3.0, lasted_min=0.5)
    assert [backoff.pause(1.0) for _ in range(3)] == [0.5, 1.0, 2.0]
