"""Pauses between attempts to connect: growing, and random so that no crowd returns at once."""

from __future__ import annotations

import random
from typing import Final

_FIRST_SECONDS: Final = 0.1
_SECONDS_MAX: Final = 10.0


class Backoff:
    """The pauses of one client."""

    __slots__ = ("_pause",)

    def __init__(self) -> None:
        self._pause = _FIRST_SECONDS

    def reset(self) -> None:
        """The attempt succeeded."""
        self._pause = _FIRST_SECONDS

    def failed(self) -> None:
        """The attempt failed: the next pause is longer."""
        self._pause = min(2 * self._pause, _SECONDS_MAX)

    def seconds(self) -> float:
        """The pause before the next attempt."""
        return random.uniform(self._pause / 2, self._pause)
