"""Bytes that many windows, or many queues, may take together on one node.

Each takes its room in steps and gives back what it needs no longer, so that the
account is kept off the hot path.
"""

from __future__ import annotations

from collections.abc import Callable

STEP_BYTES = 1_024
"""The least that is taken."""


class Room:
    """An account of bytes. `make_room` is asked for so many where there are not enough."""

    __slots__ = ("bytes_max", "make_room", "used")

    def __init__(self, bytes_max: float) -> None:
        self.bytes_max = bytes_max
        self.used = 0
        self.make_room: Callable[[float], None] = lambda wanted: None

    def take(self, size: int) -> bool:
        """Take `size` bytes; false if there are not so many."""
        missing = self.used + size - self.bytes_max
        if missing > 0:
            self.make_room(missing)
            if self.used + size > self.bytes_max:
                return False
        self.used += size
        return True

    def charge(self, size: int) -> None:
        """Take `size` bytes, of which there may be too few: what is shared is there anyway."""
        if not self.take(size):
            self.used += size

    def give(self, size: int) -> None:
        """Give `size` bytes back."""
        self.used -= size


class Share:
    """One window's or queue's part of a `Room`."""

    __slots__ = ("_room", "taken")

    def __init__(self, room: Room) -> None:
        self._room = room
        self.taken = 0

    def grow(self, wanted: int, most: int) -> bool:
        """Take room for `wanted` bytes and some more, up to `most`; false if there is none."""
        if wanted <= self.taken:
            return True
        target = min(max(wanted, 2 * self.taken, STEP_BYTES), most)
        if not self._room.take(target - self.taken):
            return False
        self.taken = target
        return True

    def fit(self, size: int) -> None:
        """Give back what is not needed for `size` bytes, if it is much."""
        if self.taken >= 4 * size:
            wanted = 2 * size
            self._room.give(self.taken - wanted)
            self.taken = wanted
