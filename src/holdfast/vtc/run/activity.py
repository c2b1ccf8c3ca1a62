"""The current activity of an actor, for failures and time-outs."""

from __future__ import annotations

from holdfast.vtc.language.position import Position
from holdfast.vtc.run.processor_wait import TimeSample


class Activity:
    """The command that an actor runs now."""

    def __init__(self, began: TimeSample) -> None:
        self.position: Position | None = None
        """The command's place in the script."""
        self.doing = ""
        """The first line of the command."""
        self.began = began
        """When the command began."""
