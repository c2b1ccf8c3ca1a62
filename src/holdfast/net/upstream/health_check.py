"""The health of one server by its checks: it changes after several equal results in a row."""

from __future__ import annotations


class Health:
    """Up until checks say otherwise."""

    __slots__ = ("_against", "_needed", "up")

    def __init__(self, checks_needed: int) -> None:
        self.up = True
        self._needed = checks_needed
        self._against = 0
        """Checks in a row that contradict `up`."""

    def checked(self, passed: bool) -> bool:
        """A check has ended. Returns whether the server is another than before: up, or down."""
        if passed is self.up:
            self._against = 0
            return False
        self._against += 1
        if self._against < self._needed:
            return False
        self.up = passed
        self._against = 0
        return True
