"""Whether a client that can be pinged is still there."""

from __future__ import annotations

from enum import Enum, auto


class Life(Enum):
    """The state of a client's heartbeat."""

    HEARD = auto()
    """It has been heard lately, or since it was asked."""
    SILENT = auto()
    """It is to be asked for a sign of life."""
    ASKED = auto()
    """It was asked and has time left to answer."""
    DEAD = auto()
    """It has not answered in time."""


def judge(heard: float, pinged: float, now: float, patience: float) -> Life:
    """How a client stands that was heard last at `heard` and asked last at `pinged` (0: never).

    `patience` is how long it may be silent, and how long it has to answer, in seconds.
    """
    if heard < pinged:
        return Life.DEAD if now >= pinged + patience else Life.ASKED
    return Life.SILENT if now >= heard + patience else Life.HEARD
