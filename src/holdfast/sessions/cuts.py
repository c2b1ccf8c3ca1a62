"""Where a journal can be cut into slices of about one size.

To drop all of a long journal at once takes the store longer than a commit may.
"""

from __future__ import annotations


class Cuts:
    """The cuts between entries that are added in order: a slice ends once it has `bytes_max`."""

    __slots__ = ("_bytes_max", "_cuts", "_newest", "_size")

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._cuts: list[int] = []
        self._newest = 0
        self._size = 0
        """Bytes after the last cut."""

    def add(self, number: int, size: int) -> None:
        """An entry was added at the end."""
        self._newest = number
        self._size += size
        if self._size >= self._bytes_max:
            self._cuts.append(number + 1)
            self._size = 0

    def take(self) -> list[int]:
        """Return all slices, the last one first: each extends to, and excludes, the entry of a
        number.

        There is at least one, and the last one has everything that was added.
        """
        cuts, self._cuts, self._size = self._cuts, [], 0
        if not cuts or cuts[-1] <= self._newest:
            cuts.append(self._newest + 1)
        cuts.reverse()
        return cuts
