"""Whether work grows with what comes, and not with its square."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

SMALL: Final = 512 * 1024
LARGE: Final = 4096 * 1024
RATIO_MAX: Final = 3.0
"""Of the times per byte at the two sizes: in quadratic time it is 8."""
TRIES: Final = 5


def check_linear(work: Callable[[int], float]) -> None:
    """`work` tells the CPU seconds that an input of that size takes.

    Of several tries the quickest counts: others' work only makes them slower.
    """
    work(SMALL)
    ratios: list[float] = []
    while not ratios or (ratios[-1] > RATIO_MAX and len(ratios) < TRIES):
        small = min(work(SMALL) for _ in range(3)) / SMALL
        large = min(work(LARGE) for _ in range(2)) / LARGE
        ratios.append(large / max(small, 1e-12))
    assert min(ratios) <= RATIO_MAX
