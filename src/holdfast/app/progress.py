"""Waiting for what others of the same application do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Progress:
    """Told when something has ended that others may wait for."""

    def __init__(self) -> None:
        self._moved = asyncio.Event()

    def move(self) -> None:
        """Something has ended: an output is accepted, a handler done."""
        self._moved.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until `condition` is true; it is checked after each `move`."""
        while not condition():
            self._moved.clear()
            await self._moved.wait()
