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
        """The last acknowledged command, and the last that may be acknowledged."""
        self.at = 0.0
        """When the last acknowledgement was sent."""
        self.due = _NEVER
        """When the held acknowledgements must be sent."""
        self.asked = 0
        """From which command on the client was asked to send again."""
        self.refused = False
        """Whether a command found the queue full: what comes behind it is not asked for."""

    def note(self, cin: int, now: float) -> bool:
        """Note that commands up to `cin` are durable. Returns whether to acknowledge now."""
        if cin <= self.told:
            return False
        self.newest = cin
        if cin - self.told >= _HELD_MAX or now >= self.at + _SECONDS_MAX:
            return True
        if self.due == _NEVER:
            self.due = self.at + _SECONDS_MAX
        return False

    def repeat(self, c: int) -> None:
        """Note that command `c` came again: its acknowledgement did not arrive."""
        self.told = min(self.told, c - 1)

    def tell(self, now: float) -> int:
        """Return the number to acknowledge now, and count it as sent."""
        self.told = self.newest
        self.at = now
        self.due = _NEVER
        return self.newest

    def missing(self, c: int) -> bool:
        """Return whether to ask for command `c`, which is missing: a later one has come."""
        if self.refused or self.asked == c:
            return False
        self.asked = c
        return True

    def refuse(self) -> None:
        """Note that a command was refused for lack of space; it is requested when there is some."""
        self.refused = True

    def make_room(self) -> bool:
        """Return whether a command was refused: there is space now, so it may be requested."""
        refused, self.refused = self.refused, False
        if refused:
            self.asked = 0
        return refused
