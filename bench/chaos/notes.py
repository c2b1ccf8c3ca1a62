"""What is printed beside the counts of a run, about single clients."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import Final

_SHOWN_MAX: Final = 10


def ranges(numbers: Iterable[int]) -> str:
    """Numbers as ranges: `1-3, 7`."""
    found: list[list[int]] = []
    for number in sorted(set(numbers)):
        if found and number == found[-1][1] + 1:
            found[-1][1] = number
        else:
            found.append([number, number])
    return ", ".join(f"{first}-{last}" if last > first else f"{first}" for first, last in found)


def show(notes: Sequence[str]) -> None:
    """Print the first of them to standard error, and how many more there are."""
    for note in notes[:_SHOWN_MAX]:
        print(note, file=sys.stderr)
    if len(notes) > _SHOWN_MAX:
        print(f"… and {len(notes) - _SHOWN_MAX} more", file=sys.stderr)
