"""An event that one task waits for with a time limit. Hot path.

`asyncio.timeout` around `asyncio.Event.wait` does the same at several times the cost.
"""

from __future__ import annotations

import asyncio


class TimedEvent:
    """Set and cleared by anybody on the event loop; one task at a time waits for it."""

    __slots__ = ("_waiter", "is_set")

    def __init__(self) -> None:
        self.is_set = False
        self._waiter: asyncio.Future[None] | None = None

    def set(self) -> None:
        """Let the waiting task continue in the next pass of the event loop."""
        self.is_set = True
        if self._waiter is not None:
            _end(self._waiter)

    def clear(self) -> None:
        """Later waits wait again."""
        self.is_set = False

    async def within(self, seconds: float) -> bool:
        """Wait at most `seconds` for the event. Return whether it is set."""
        if self.is_set:
            return True
        loop = asyncio.get_running_loop()
        self._waiter = loop.create_future()
        timer = loop.call_later(seconds, _end, self._waiter)
        try:
            await self._waiter
        finally:
            timer.cancel()
            self._waiter = None
        return self.is_set


def _end(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
