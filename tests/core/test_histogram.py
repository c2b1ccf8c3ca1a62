from __future__ import annotations

import pytest

from holdfast.core.histogram import SECONDS, Histogram


def test_the_bounds_ascend() -> None:
    assert list(SECONDS) == sorted(set(SECONDS))


@pytest.mark.parametrize(
    ("value", "counts"),
    [(0.0, [1, 0, 0]), (1.0, [1, 0, 0]), (1.5, [0, 1, 0]), (2.0, [0, 1, 0]), (2.1, [0, 0, 1])],
)
def test_a_value_counts_up_to_the_first_bound_that_it_does_not_exceed(
    value: float, counts: list[int]
) -> None:
    counted = Histogram((1.0, 2.0))
    counted.observe(value)
    assert (counted.counts, counted.sum) == (counts, value)


def test_values_add_up() -> None:
    counted = Histogram((1.0, 2.0))
    for value in (0.5, 1.5, 0.25, 8.0):
        counted.observe(value)
    assert (counted.counts, counted.sum) == ([2, 1, 1], 10.25)
