"""Acknowledgements for clients that number their commands. Hot path.

Durable commands are acknowledged in groups. A missing command is requested once, because every
command after it is out of order, too.
"""

from __future__ import annotations

from typing import Final

_HELD_MAX: Final = 32
_SECONDS_MAX: Final = 1.0
_NEVER: Final = float("inf")


class AckPacer:
    """Holds acknowledgements back until 32 commands or a second have gathered, and says which
    commands to send again. Times are the runtime's."""

    __slots__ = ("asked", "at", "due", "newest", "refused", "told")

    def __init__(self, told: int) -> None:
        self.told = self.newest = told
        """Up to which command the client was told, and may be told."""
        self.at = 0.0
        """When it was told last."""
        self.due = _NEVER
        """When what is held must be told."""
        self.asked = 0
        """From which command on the client was asked to send again."""
        self.refused = False
        """Whether a command found the queue full: what comes behind it is not asked for."""

    def note(self, cin: int, now: float) -> bool:
        """Commands up to `cin` are durable. Whether to say so now."""
        if cin <= self.told:
            return False
        self.newest = cin
        if cin - self.told >= _HELD_MAX or now >= self.at + _SECONDS_MAX:
            return True
        if self.due == _NEVER:
            self.due = self.at + _SECONDS_MAX
        return False

    def repeat(self, c: int) -> None:
        """Command `c` came again: what was told of it did not arrive."""
        self.told = min(self.told, c - 1)

    def tell(self, now: float) -> int:
        """It is said now. Returns what."""
        self.told = self.newest
        self.at = now
        self.due = _NEVER
        return self.newest

    def missing(self, c: int) -> bool:
        """Command `c` is missing, as one behind it has come. Whether to ask for it."""
        if self.refused or self.asked == c:
            return False
        self.asked = c
        return True

    def refuse(self) -> None:
        """There was no room for a command; it is asked for when there is."""
        self.refused = True

    def make_room(self) -> bool:
        """There is room. Whether a command was refused, which may be asked for now."""
        refused, self.refused = self.refused, False
        if refused:
            self.asked = 0
        return refused
