"""The headings above outputs that are shown again, or late, on a terminal."""

from __future__ import annotations

from typing import Final

from holdfast.core.items import Formatted, Notice, Output, Prompt, Text
from holdfast.gateway.adapters.snapshot import HeadingsSnapshot

ALL: Final = "That was all."
_PERHAPS_SEEN: Final = "You may have seen this:"
_MISSED: Final = "You missed this:"
_LINES: Final = (Text, Formatted, Notice)
_SHOWN: Final = (*_LINES, Prompt)


class Headings:
    """The headings of one resumed session, until all that was missed is shown."""

    __slots__ = ("maybe_delivered", "missed", "now")

    def __init__(self, missed: int = 0) -> None:
        self.missed = missed
        """Outputs up to this number were missed."""
        self.maybe_delivered = 0
        """Outputs up to this number may have been seen before."""
        self.now = ""
        """The heading that the last line shown stands under."""

    def snapshot(self) -> HeadingsSnapshot:
        """The headings as they stand."""
        return HeadingsSnapshot(self.missed, self.maybe_delivered, self.now)

    @classmethod
    def restore(cls, taken: HeadingsSnapshot) -> Headings:
        """The headings that `taken` was made of."""
        headings = cls(taken.missed)
        headings.maybe_delivered, headings.now = taken.maybe_delivered, taken.now
        return headings

    def above(self, number: int, item: Output) -> str:
        """The line that goes before output `number`, or nothing."""
        heading = ""
        if number <= self.maybe_delivered:
            heading = _PERHAPS_SEEN
        elif number <= self.missed:
            heading = _MISSED
        # Only lines are worth a heading; before the next prompt it is closed, too.
        if heading == self.now or not isinstance(item, _LINES if heading else _SHOWN):
            return ""
        self.now = heading
        return heading or ALL

    def over(self, number: int) -> bool:
        """Whether nothing after output `number` stands under a heading, or closes one."""
        return not self.now and number >= max(self.missed, self.maybe_delivered)
