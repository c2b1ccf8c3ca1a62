"""When a client is told that its commands are durable: not for every one."""

from __future__ import annotations

from typing import Final

_HELD_MAX: Final = 32
_SECONDS_MAX: Final = 1.0
_NEVER: Final = float("inf")


class AckPacer:
    """Holds acknowledgements back until 32 commands or a second have gathered. Times are the
    loop's."""

    __slots__ = ("_at", "_newest", "_told", "due")

    def __init__(self, told: int) -> None:
        self._told = self._newest = told
        self._at = 0.0
        self.due = _NEVER
        """When what is held must be told."""

    def note(self, cin: int, now: float) -> bool:
        """Commands up to `cin` are durable. Whether to say so now."""
        if cin <= self._told:
            return False
        self._newest = cin
        if cin - self._told >= _HELD_MAX or now >= self._at + _SECONDS_MAX:
            return True
        if self.due == _NEVER:
            self.due = self._at + _SECONDS_MAX
        return False

    def repeat(self, c: int) -> None:
        """Command `c` came again: what was told of it did not arrive."""
        self._told = min(self._told, c - 1)

    def tell(self, now: float) -> int:
        """It is said now. Returns what."""
        self._told = self._newest
        self._at = now
        self.due = _NEVER
        return self._newest
