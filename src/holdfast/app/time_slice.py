"""When handlers that wait for nothing let the event loop go on. Hot path; no I/O."""

from __future__ import annotations

import asyncio
from typing import Final

SECONDS_MAX: Final = 0.05
"""Handlers that wait for nothing run for about so long before the link is read again."""


class TimeSlice:
    """What handlers may take of one pass of the event loop.

    After an outage all sessions have much to do. Handlers that wait for nothing would let no sign
    of life out, and no answer, until all of it is done: a gateway takes such an application for
    dead.
    """

    __slots__ = ("_began",)

    def __init__(self) -> None:
        self._began: float | None = None
        """When this pass had its first session with more to do."""

    def over(self) -> bool:
        """Whether a session with more to do is to wait for the next pass."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        if self._began is None:
            self._began = now
            loop.call_soon(self._next)
        return now - self._began >= SECONDS_MAX

    def _next(self) -> None:
        self._began = None
