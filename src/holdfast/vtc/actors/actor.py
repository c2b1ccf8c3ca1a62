"""What a script makes and names: clients, servers, processes, barriers …"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, ClassVar

from holdfast.vtc.language.source import Position
from holdfast.vtc.run.log import Logger

if TYPE_CHECKING:
    from holdfast.vtc.run.case import Case

Work = Callable[[], Coroutine[Any, Any, None]]
"""What a task does. It is called when the task begins, which may be never."""


class Actor:
    """One named instance. It lives until the end of its test."""

    kind: ClassVar[str]
    """The command that makes it. At the end of a test actors go in the order of their kinds."""

    def __init__(self, case: Case, name: str) -> None:
        self.case = case
        self.name = name
        self.log = Logger(case.log, name)
        self.position: Position | None = None
        """Where the script names it for the first time."""

    async def reset(self) -> None:
        """End in an orderly way, at the end of the test, and release.

        May be interrupted and called again. Raises `Failure` if the end is not as it should be.
        """
        self.release()

    def release(self) -> None:
        """Let go of sockets and processes at once, whatever the state. May be called again."""


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
        """Wait for the end of the work. A failure in it ends the whole test by itself."""
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
