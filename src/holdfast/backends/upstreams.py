"""From an upstream's configuration to what passes clients on to it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine
from typing import Any

from holdfast.backends.upstream_config import UpstreamConfig
from holdfast.backends.upstream_status import StatusPoll
from holdfast.core.limits import Limits
from holdfast.net.log import log_failure
from holdfast.net.loggers import LazyLogger
from holdfast.net.runtime.runtime import Runtime
from holdfast.net.runtime.tasks import restarted, spawn
from holdfast.net.tls.contexts import client_context
from holdfast.net.upstream.balance import Balance
from holdfast.net.upstream.dialler import Dialler
from holdfast.net.upstream.idle_pool import IdlePool
from holdfast.net.upstream.pool import UpstreamPool, UpstreamServer
from holdfast.net.upstream.tunnel import StreamProxy

_log = LazyLogger("holdfast.upstream")


class Upstream:
    """The servers of one upstream, for sessions and for bare streams. `run` while it serves."""

    def __init__(self, config: UpstreamConfig, limits: Limits, runtime: Runtime) -> None:
        self.config = config
        self.pool = UpstreamPool(
            config.name,
            [UpstreamServer(server.address, server.weight) for server in config.all_servers],
            Balance(config.balance),
            limits.upstream,
            draw=random.randrange,
            entropy=random.random,
        )
        tls = client_context(config.ca or None) if config.secure else None
        dialler = self.dialler = Dialler(
            self.pool, runtime, limits.connection, tls, config.send_proxy
        )
        self.status = StatusPoll(dialler, limits) if config.mssp else None
        idle_pool = IdlePool(dialler, config.ready) if config.ready else None
        self.proxy = StreamProxy(dialler, self._spawn, idle_pool)
        self._checks = dialler.check if config.check else None
        self._fill = idle_pool.run if idle_pool is not None else None
        self._tasks = asyncio.TaskGroup()

    async def run(self, started: Callable[[], None]) -> None:
        """Connect clients until cancelled. `started` is called when that is possible."""
        async with self._tasks:
            started()
            if self._checks is not None:
                self._tasks.create_task(self._checks())
            if self.status is not None:
                self._tasks.create_task(
                    restarted(
                        self.status.run, _log, "asking for a status failed", upstream=self.pool.name
                    )
                )
            if self._fill is not None:
                self._tasks.create_task(
                    restarted(self._fill, _log, "the idle pool failed", upstream=self.pool.name)
                )
            await asyncio.Event().wait()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        spawn(self._tasks, work, self._failed)

    def _failed(self, error: Exception) -> None:
        log_failure(_log, "a task of an upstream failed", error, upstream=self.pool.name)
