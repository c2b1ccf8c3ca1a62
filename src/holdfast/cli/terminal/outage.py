"""How long there has been no connection, and when the next attempt is."""

from __future__ import annotations

import math


class Outage:
    """From the loss of a connection to the next one, over all attempts."""

    def __init__(self, reason: str, now: float) -> None:
        self._first = reason
        self._reason = reason
        self._since = self._due = now

    def retry(self, reason: str, due: float) -> None:
        """There is still no connection; the next attempt is at `due`."""
        self._reason, self._due = reason, due

    def line(self, now: float) -> str:
        """What is shown meanwhile."""
        seconds = math.ceil(self._due - now)
        when = f"trying again in {seconds} s" if seconds > 0 else "trying again"
        newest = "" if self._reason == self._first else f" ({self._reason})"
        return f"--- cut off: {self._first}{newest}; {when}"

    def pause(self, now: float) -> float:
        """The seconds until the line changes."""
        left = self._due - now
        return 1.0 if left <= 0 else left - math.ceil(left) + 1.0

    def over(self, now: float) -> str:
        """What takes the line's place when there is a connection."""
        return f"--- connected again after {now - self._since:.0f} s ({self._first})"
