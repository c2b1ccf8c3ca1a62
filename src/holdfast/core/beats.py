"""Heartbeats of many connections, spread over time."""

from __future__ import annotations

from typing import Final

_PART_MIN: Final = 0.1
"""The first beat comes no sooner than after this part of the time between two."""


def first_beat(seconds: float, entropy: float) -> float:
    """Return in how many seconds the first of beats is due that are `seconds` apart.

    That is after a random part of the time between two, so that clients which have connected
    together do not ping, and are not pinged, together. `entropy` is a random number from 0 to 1.
    """
    return seconds * (_PART_MIN + (1 - _PART_MIN) * entropy)
