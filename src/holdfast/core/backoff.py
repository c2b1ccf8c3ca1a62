"""Pauses between attempts to connect: they grow until a connection has lasted.

Every client that connects again uses this class: WebSocket clients, the client of
`holdfast.v1`, the link, upstreams. A connection that is accepted and cut at once
is a failure as much as one that is refused, so the pauses go on growing after it.

```python
backoff = Backoff(0.1, 10.0)
while True:
    lasted = 0.0
    if connected():
        ...  # until it ends
        lasted = now() - since
    await asyncio.sleep(backoff.pause(random.random(), lasted))
```
"""

from __future__ import annotations

from typing import Final

LASTED_SECONDS_MIN: Final = 10.0
"""A connection that stood so long has lasted: the pause after it is the first again."""


class Backoff:
    """Pauses in seconds, from `first` up to `most`, each shortened by up to a half at random.

    Each pause is twice the one of `round_attempts` before: whoever has several addresses grows
    slower, since each attempt is at another one. The random part keeps many clients from coming
    back at once. A connection has lasted after `lasted_min` seconds.
    """

    __slots__ = ("_factor", "_first", "_lasted_min", "_most", "_next")

    def __init__(
        self,
        first: float,
        most: float,
        lasted_min: float = LASTED_SECONDS_MIN,
        round_attempts: int = 1,
    ) -> None:
        self._first = min(first, most)
        self._most = most
        self._lasted_min = lasted_min
        self._factor = 2.0 ** (1 / round_attempts)
        self._next = self._first

    def pause(self, entropy: float, lasted: float = 0.0) -> float:
        """Return the seconds to wait before the next attempt.

        `entropy` is a random number from 0 to 1. `lasted` is the lifetime in seconds of the
        connection that has just ended, counted from the established protocol; 0 if the attempt
        made no connection.
        """
        if lasted >= self._lasted_min:
            self.reset()
        pause, self._next = self._next, min(self._factor * self._next, self._most)
        return pause * (0.5 + entropy / 2)

    def reset(self) -> None:
        """Begin with the first pause again: a connection has lasted, or the cause is mended."""
        self._next = self._first
