"""The servers of one upstream, with what connects to them and what runs beside that."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final, NamedTuple

from holdfast.net.log import RateLimitedLogger, log_failure
from holdfast.net.runtime.tasks import restarted, spawn
from holdfast.net.upstream.dialler import Dialler
from holdfast.net.upstream.idle_pool import IdlePool
from holdfast.net.upstream.tunnel import StreamProxy

_log: Final = RateLimitedLogger("holdfast.upstream")


class Background(NamedTuple):
    """Work that runs for as long as an upstream serves."""

    failed: str
    """What is logged when it fails; it is begun again then."""
    make: Callable[[], Awaitable[object]]


class Servers:
    """The servers of one upstream. `run` while it serves."""

    def __init__(self, dialler: Dialler, *, check: bool, ready: int) -> None:
        self.dialler = dialler
        self.pool = dialler.pool
        idle_pool = IdlePool(dialler, ready) if ready else None
        self.proxy = StreamProxy(dialler, self._spawn, idle_pool)
        self._background: list[Background] = []
        if check:
            self._background.append(Background("the checks failed", dialler.check))
        if idle_pool is not None:
            self._background.append(Background("the idle pool failed", idle_pool.run))
        self._tasks = asyncio.TaskGroup()
        self._beside: list[asyncio.Task[None]] = []

    async def run(self, started: Callable[[], None]) -> None:
        """Connect clients until cancelled. `started` is called when that is possible."""
        async with self._tasks:
            started()
            for failed, make in self._background:
                work = restarted(make, _log, failed, upstream=self.pool.name)
                self._beside.append(self._tasks.create_task(work))
            await asyncio.Event().wait()

    def retire(self) -> None:
        """Others take the place of these servers: only the connections that are open go on."""
        for task in self._beside:
            task.cancel()

    def run_beside(self, background: Background) -> None:
        """Run this, too, from `run` on."""
        self._background.append(background)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        spawn(self._tasks, work, self._failed)

    def _failed(self, error: Exception) -> None:
        log_failure(_log, "a task of an upstream failed", error, upstream=self.pool.name)
