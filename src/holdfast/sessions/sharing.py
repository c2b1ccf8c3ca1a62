"""Outputs that several of the records in one commit hold: they are stored once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from holdfast.sessions.outbox import OutputEntry, SharedEntry
from holdfast.sessions.records import Record


class Sharing:
    """The entries that several records hold, each with its place.

    All entries live as long as this does: they are known by their identity.
    """

    __slots__ = ("_places", "entries", "size")

    def __init__(self) -> None:
        self.entries: list[OutputEntry] = []
        self.size = 0
        """The size of the entries, in bytes."""
        self._places: dict[int, int] = {}

    def share(self, outs: Sequence[OutputEntry | int]) -> list[OutputEntry | int]:
        """`outs` with the place in `entries` instead of each entry that other windows hold, too."""
        told: list[OutputEntry | int] = []
        for entry in outs:
            if type(entry) is SharedEntry:
                place = self._places.get(id(entry))
                if place is None:
                    place = self._places[id(entry)] = len(self.entries)
                    self.entries.append(entry)
                    self.size += entry.size
                told.append(place)
            else:
                told.append(entry)
        return told


_PLACE_BYTES: Final = 3
"""The size of the place of a shared entry, which most commits do not exceed."""


def size_of_record(record: Record) -> int:
    """The size of a record without its shared entries, in bytes."""
    outs = sum(
        entry.size if isinstance(entry, OutputEntry) else _PLACE_BYTES for entry in record.outs
    )
    return outs + sum(queued.size for queued in record.ins)
