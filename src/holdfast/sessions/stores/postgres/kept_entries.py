"""Entries of adopted journals that stay in memory once they are read.

All clients of a gateway that was killed come at once, and their sessions are read in parts. Most
entries have records of many sessions: each part would read nearly the whole journal again.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Final

from holdfast.sessions.stores.postgres.schema import PLACE_BITS

_BYTES_MAX: Final = 32 * 1024 * 1024
"""Of all entries. Others are read again when they are needed."""


class KeptEntries:
    """The body of entries and what their records share, by place."""

    def __init__(self) -> None:
        self._entries: dict[int, tuple[bytes, bytes]] = {}
        self._size = 0

    def add(self, place: int, body: bytes, shared: bytes) -> None:
        """Keep an entry, if there is room."""
        size = len(body) + len(shared)
        if self._size + size <= _BYTES_MAX:
            self._entries[place] = body, shared
            self._size += size

    def take(self, others: KeptEntries) -> None:
        """Keep those of `others`, as far as there is room."""
        for place, (body, shared) in others._entries.items():
            self.add(place, body, shared)

    def of(self, places: Iterable[int]) -> dict[int, tuple[bytes, bytes]]:
        """Those of these entries that are kept."""
        entries = self._entries
        return {place: entries[place] for place in places if place in entries}

    def forget(self, runs: Collection[int]) -> None:
        """The journals of these runs are not needed any more."""
        for place in [each for each in self._entries if each >> PLACE_BITS in runs]:
            self._size -= sum(map(len, self._entries.pop(place)))
