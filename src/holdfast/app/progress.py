"""Waiting for a condition that other parts of the application change."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Progress:
    """Wakes those who wait when something has ended."""

    def __init__(self) -> None:
        self._moved = asyncio.Event()

    def move(self) -> None:
        """An output was accepted, or a handler has ended: check all conditions."""
        self._moved.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until `condition` is true; it is checked after each `move`."""
        while not condition():
            self._moved.clear()
            await self._moved.wait()
