"""A journal in slices."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from holdfast.sessions.cuts import Cuts


def slices(sizes: list[int], bytes_max: int) -> list[int]:
    cuts = Cuts(bytes_max)
    for number, size in enumerate(sizes, 1):
        cuts.add(number, size)
    return cuts.take()[::-1]


def test_a_slice_ends_once_it_is_long_enough() -> None:
    assert slices([10], 100) == [2]
    assert slices([50, 50, 50], 100) == [3, 4]
    assert slices([50, 50], 100) == [3]
    assert slices([99, 1, 500, 1], 100) == [3, 4, 5]


def test_what_was_taken_is_not_taken_again() -> None:
    cuts = Cuts(100)
    cuts.add(7, 60)
    assert cuts.take() == [8]
    cuts.add(8, 60)
    cuts.add(9, 60)
    cuts.add(10, 1)
    assert cuts.take() == [11, 10]


@given(st.lists(st.integers(1, 300), min_size=1), st.integers(1, 500))
def test_slices_cover_everything_once_and_are_no_longer_than_they_must(
    sizes: list[int], bytes_max: int
) -> None:
    before = 1
    for upto in slices(sizes, bytes_max):
        part = sizes[before - 1 : upto - 1]
        assert part
        assert sum(part[:-1]) < bytes_max
        before = upto
    assert before == len(sizes) + 1
