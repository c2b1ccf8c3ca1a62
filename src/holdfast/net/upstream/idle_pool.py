"""Ready connections: a new client need not wait for a server to accept.

`IdleList` decides, `IdlePool` does the I/O. An idle connection is used once; early output of
the server (a greeting) is kept for its user.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from typing import Final, Generic, TypeVar

from holdfast.core.errors import HoldfastError, Reason
from holdfast.net.connection.connection import Connection
from holdfast.net.connection.handler import Handler, NullHandler
from holdfast.net.connection.handover import hand_over
from holdfast.net.upstream.dialler import Dialler, UpstreamFactory
from holdfast.net.upstream.pool import Target
from holdfast.net.upstream.proxy_header import ProxiedClient

_NOBODY: Final = ProxiedClient("unix")
_PAUSE_SECONDS: Final = 1.0
"""Between two looks for connections that are too old, when none is taken."""


T = TypeVar("T")


class IdleList(Generic[T]):
    """What is ready, oldest first: at most `count`, each for at most `seconds`."""

    __slots__ = ("_count", "_ready", "_seconds")

    def __init__(self, count: int, seconds: float) -> None:
        self._count = count
        self._seconds = seconds
        self._ready: list[tuple[T, float]] = []

    def __iter__(self) -> Iterator[T]:
        return (thing for thing, _ in self._ready)

    @property
    def missing(self) -> int:
        """How many there is room for."""
        return self._count - len(self._ready)

    def put(self, thing: T, now: float) -> bool:
        """Keep it; false if there is no room."""
        if not self.missing:
            return False
        self._ready.append((thing, now))
        return True

    def take(self, now: float) -> T | None:
        """The freshest, if it is not too old; it is in the list no more."""
        if self._ready and self._ready[-1][1] + self._seconds > now:
            return self._ready.pop()[0]
        return None

    def forget(self, thing: T) -> None:
        """The server has ended the connection."""
        self._ready = [one for one in self._ready if one[0] is not thing]

    def expire(self, now: float) -> list[T]:
        """Those that are too old, for the caller to close."""
        old = [thing for thing, since in self._ready if since + self._seconds <= now]
        self._ready = [one for one in self._ready if one[1] + self._seconds > now]
        return old


class IdlePool:
    """Keeps `count` connections to the servers of one upstream ready, while `run` runs."""

    def __init__(self, dialler: Dialler, count: int) -> None:
        self._dialler = dialler
        self._idle: IdleList[_IdleConnection] = IdleList(
            count, dialler.pool.limits.ready_seconds_max
        )
        self._taken = asyncio.Event()

    @property
    def ready(self) -> int:
        """How many connections are ready."""
        return sum(1 for _ in self._idle)

    @property
    def greeted(self) -> bool:
        """Whether each of them has had a word from its server."""
        return all(waiting.said for waiting in self._idle)

    async def run(self) -> None:
        """Keep the pool filled, until cancelled."""
        try:
            while True:
                await self._fill()
                self._taken.clear()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_PAUSE_SECONDS):
                        await self._taken.wait()
                for old in self._idle.expire(self._dialler.now):
                    old.connection.close()
        finally:
            for waiting in self._idle.expire(float("inf")):
                waiting.connection.abort()

    async def connect(self, factory: UpstreamFactory, client: ProxiedClient) -> Connection:
        """A connection that is ready, or else a new one. Raises as `Dialler.connect`."""
        waiting = self._idle.take(self._dialler.now)
        if waiting is None:
            return await self._dialler.connect(factory, client)
        self._taken.set()
        waiting.hand_over(factory)
        return waiting.connection

    async def _fill(self) -> None:
        for _ in range(self._idle.missing):
            try:
                await self._dialler.connect(self._put, _NOBODY)
            except HoldfastError:
                return  # it was logged; the next client gets the error

    def _put(self, connection: Connection, target: Target) -> Handler:
        return _IdleConnection(self._idle, connection, target)


class _IdleConnection(NullHandler):
    """The handler of a connection in the pool."""

    def __init__(
        self, idle: IdleList[_IdleConnection], connection: Connection, target: Target
    ) -> None:
        self.connection = connection
        self.said: list[bytes] = []
        """The output of the server: one read, or little more."""
        self._idle = idle
        self._target = target

    def connected(self) -> None:
        self.connection.established()
        if not self._idle.put(self, self.connection.now):
            self.connection.close()

    def received(self, data: bytes) -> None:
        self.said.append(data)
        self.connection.pause_reading()

    def ended(self) -> None:
        self._idle.forget(self)
        self.connection.close()

    def overdue(self, reason: Reason) -> None:
        self.ended()

    def lost(self, cause: Exception | None) -> None:
        self._idle.forget(self)

    def hand_over(self, factory: UpstreamFactory) -> None:
        """Give the connection to another handler, with the output of the server so far."""
        hand_over(self.connection, factory(self.connection, self._target), self.said)
