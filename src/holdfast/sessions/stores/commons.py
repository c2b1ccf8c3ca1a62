"""What several sessions hold, and a store has once."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from holdfast.sessions.outbox import OutputEntry, SharedEntry
from holdfast.sessions.stores.decoding import UnreadableError, read

_shared: Final = msgspec.msgpack.Decoder(list[SharedEntry])
COMMONS_MAX: Final = 64
"""Of what sessions share: how many are remembered."""


class Commons:
    """What snapshots share, as it was read: equal items of many sessions are one object."""

    def __init__(self, read: Callable[[int], bytes]) -> None:
        self._bodies = read
        self._known: OrderedDict[int, list[SharedEntry]] = OrderedDict()

    def knows(self, number: int) -> bool:
        """Whether `of` needs not to read."""
        return number in self._known

    def of(self, number: int) -> list[SharedEntry]:
        """What the snapshots with this number share; nothing if it cannot be read."""
        known = self._known.get(number)
        if known is None:
            try:
                known = read(_shared, self._bodies(number)) if number else []
            except UnreadableError:
                known = []  # what refers to it cannot be read either, and is set aside
            self._known[number] = known
            if len(self._known) > COMMONS_MAX:
                self._known.popitem(last=False)
        return known

    def forget(self) -> None:
        """Numbers may mean something else from now on."""
        self._known.clear()


def resolve(
    outs: Sequence[OutputEntry | int], common: list[SharedEntry]
) -> list[OutputEntry | int]:
    """Outputs of a record with those of `common` at their places. Raises `UnreadableError`."""
    try:
        return [common[entry] if isinstance(entry, int) else entry for entry in outs]
    except IndexError:
        raise UnreadableError("it holds an output that is not there") from None
