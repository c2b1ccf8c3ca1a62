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

    def grow(self, taken: int, wanted: int, most: int) -> int:
        """Take room for `wanted` bytes and some more, up to `most`, for one that has `taken`.

        Returns what it has then: `taken`, if there is no room.
        """
        if wanted <= taken:
            return taken
        target = min(max(wanted, 2 * taken, STEP_BYTES), most)
        return target if self.take(target - taken) else taken

    def fit(self, taken: int, size: int) -> int:
        """Give back what one that has `taken` bytes does not need for `size`, if it is much.

        Returns what it has then.
        """
        if taken < 4 * size:
            return taken
        self.give(taken - 2 * size)
        return 2 * size
