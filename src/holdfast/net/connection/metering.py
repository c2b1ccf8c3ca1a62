"""How fast a connection may send: its bytes are counted, and then it is not read for a while."""

from __future__ import annotations

from typing import Final

METER_BYTES: Final = 64 * 1024
"""A meter is read after so many bytes: seldom enough to cost nothing."""
_SLACK_SECONDS: Final = 0.2
"""What may come at once, in time: a pause of reading ends at a slot of the timers, no finer."""


class Bucket:
    """A token bucket of bytes in one float: the time when all that came is paid for."""

    __slots__ = ("_due", "_rate", "_slack")

    def __init__(self, bytes_per_second: float) -> None:
        self._rate = bytes_per_second
        self._slack = max(METER_BYTES / bytes_per_second, _SLACK_SECONDS)
        self._due = 0.0

    def spend(self, size: int, now: float) -> float:
        """Seconds to wait after `size` more bytes, so that the rate is kept."""
        self._due = (self._due if self._due > now else now) + size / self._rate
        return max(0.0, self._due - now - self._slack)


class Meter(Bucket):
    """What a connection's bytes are counted against: its own rate and its network's."""

    __slots__ = ("_shared",)

    def __init__(self, bytes_per_second: float, shared: Bucket) -> None:
        super().__init__(bytes_per_second)
        self._shared = shared

    def spend(self, size: int, now: float) -> float:
        """Seconds for which nothing more should be read."""
        return max(super().spend(size, now), self._shared.spend(size, now))
