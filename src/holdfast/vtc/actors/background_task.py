"""The background task of an actor."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from holdfast.vtc.language.position import Position
from holdfast.vtc.run.case import Case, Work
from holdfast.vtc.run.log import Logger


class BackgroundTask:
    """The task of an actor that runs a specification in the background."""

    def __init__(self, case: Case, log: Logger) -> None:
        self._case = case
        self._log = log
        self._task: asyncio.Task[None] | None = None

    @property
    def running(self) -> bool:
        """Whether it was started and not waited for."""
        return self._task is not None

    def start(
        self,
        work: Work,
        position: Position | None,
        on_done: Callable[[asyncio.Task[None]], None] | None = None,
    ) -> None:
        """Begin `work` in the background. `position` is for a failure that knows no place."""
        self._task = self._case.spawn(self._log, work, position)
        if on_done:
            self._task.add_done_callback(on_done)

    async def wait(self) -> None:
        """Wait for the end of the work. A failure in it ends the whole test."""
        if self._task:
            await asyncio.wait({self._task})
            self._task = None

    def cancel(self) -> None:
        """Cancel the work; the task group waits for its end."""
        if self._task:
            self._task.cancel()

    async def stop(self) -> None:
        """Cancel the work and wait for its end."""
        if self._task:
            self._task.cancel()
            await self.wait()
