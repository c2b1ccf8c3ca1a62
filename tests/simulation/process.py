"""A process of the simulated world: a loop of its own, which can be stopped, woken and killed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from tests.simulation.loop import SimLoop, Time

if TYPE_CHECKING:
    from tests.simulation.network import End


class Process:
    """What runs, and the ends of the connections that it holds."""

    def __init__(self, time: Time, faults: list[Any]) -> None:
        self.loop = SimLoop(time)
        self._faults = faults
        self.loop.set_exception_handler(lambda loop, context: faults.append(context))
        self.alive = True
        self.frozen = False
        """Stopped as by SIGSTOP: its connections stay open, and its time goes on."""
        self.ends: list[End] = []
        self.watch: Callable[[End], None] | None = None
        """Called with the end of each connection that it writes to."""
        self._suspended: float | None = None
        self._time = time

    @property
    def runs(self) -> bool:
        """Whether it would do anything now."""
        return self.alive and not self.frozen

    def start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run a coroutine in a task."""
        return self.loop.create_task(work)

    def suspend(self) -> None:
        """Its machine is stopped: its clock stands still until `resume`."""
        if self._suspended is None:
            self._suspended = self._time.now

    def resume(self) -> None:
        if self._suspended is not None:
            self.loop.behind += self._time.now - self._suspended
            self._suspended = None

    def kill(self) -> None:
        """As by kill -9: nothing more of it reaches anybody."""
        if self.alive:
            self.alive = False
            for end in self.ends:
                end.die()
            before = len(self._faults)
            self.loop.bury()
            del self._faults[before:]  # of tasks that were torn down: that is not how it dies
