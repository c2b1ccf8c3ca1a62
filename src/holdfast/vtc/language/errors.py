"""How a test ends other than by passing."""

from __future__ import annotations

from typing import NamedTuple

from holdfast.core.errors import HoldfastError
from holdfast.vtc.language.position import Position


class Note(NamedTuple):
    """A note that explains a failure: received data, output."""

    title: str
    text: str


class VtcError(HoldfastError):
    """The root of this package's errors."""


class Failure(VtcError):
    """The test fails. `str()` is the reason in one line."""

    def __init__(
        self, reason: str, position: Position | None = None, notes: tuple[Note, ...] = ()
    ) -> None:
        super().__init__(reason)
        self.position = position
        """Where in the script; filled in by the interpreter if it is not known at the place."""
        self.notes = notes
        self.actor = ""
        """The id of the one that failed, as it stands in the log."""


class Skip(VtcError):
    """The test cannot run here. `str()` is the missing requirement."""
