"""Pauses between attempts: each twice the one before, and none the same for two who failed."""

from __future__ import annotations


class Backoff:
    """Pauses in seconds, from `first` up to `most`, each shortened by up to a half at random."""

    __slots__ = ("_first", "_most", "_next")

    def __init__(self, first: float, most: float) -> None:
        self._first = min(first, most)
        self._most = most
        self._next = self._first

    def pause(self, entropy: float) -> float:
        """The next pause. `entropy` is a random number from 0 to 1."""
        pause, self._next = self._next, min(2 * self._next, self._most)
        return pause * (0.5 + entropy / 2)

    def reset(self) -> None:
        """It worked: the next pause is the first again."""
        self._next = self._first
