"""The memory that all windows, or all queues, of one node may take together.

Each reserves bytes in steps and releases those that it no longer needs, so that nothing is
reserved for a message.
"""

from __future__ import annotations

from collections.abc import Callable

STEP_BYTES = 1_024
"""The smallest reservation."""


class Room:
    """A budget of bytes. `make_room` is called with the missing bytes if too few are free."""

    __slots__ = ("bytes_max", "make_room", "used")

    def __init__(self, bytes_max: float) -> None:
        self.bytes_max = bytes_max
        self.used = 0
        self.make_room: Callable[[float], None] = lambda wanted: None

    def take(self, size: int) -> bool:
        """Reserve `size` bytes. Returns false if too few are free."""
        missing = self.used + size - self.bytes_max
        if missing > 0:
            self.make_room(missing)
            if self.used + size > self.bytes_max:
                return False
        self.used += size
        return True

    def charge(self, size: int) -> None:
        """Reserve `size` bytes even if too few are free: they are in memory already."""
        if not self.take(size):
            self.used += size

    def give(self, size: int) -> None:
        """Release `size` bytes."""
        self.used -= size

    def grow(self, taken: int, wanted: int, most: int) -> int:
        """Raise a reservation of `taken` bytes to `wanted` and some more, up to `most`.

        Returns the new reservation: `taken`, if too few bytes are free.
        """
        if wanted <= taken:
            return taken
        target = min(max(wanted, 2 * taken, STEP_BYTES), most)
        return target if self.take(target - taken) else taken

    def fit(self, taken: int, size: int) -> int:
        """Lower a reservation of `taken` bytes, if it is much more than `size` needs.

        Returns the new reservation.
        """
        if taken < 4 * size:
            return taken
        self.give(taken - 2 * size)
        return 2 * size
