"""Connections kept ready: a client that comes need not wait for a server to accept.

`Shelf` decides, `Reserve` does. A connection on the shelf is used once; what the
server says meanwhile (a greeting) is kept for whoever gets it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from typing import Final, Generic, TypeVar

from holdfast.core.errors import HoldfastError, Reason
from holdfast.net.connection.connection import Connection
from holdfast.net.connection.handler import Handler
from holdfast.net.upstream.dialler import Dialler, Silent, UpstreamFactory
from holdfast.net.upstream.pool import Target
from holdfast.net.upstream.proxy_header import Client

_NOBODY: Final = Client("unix")
_PAUSE_SECONDS: Final = 1.0
"""Between two looks at the shelf, when nothing is taken."""


T = TypeVar("T")


class Shelf(Generic[T]):
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
        """The freshest, if it is not too old; it is the shelf's no more."""
        if self._ready and self._ready[-1][1] + self._seconds > now:
            return self._ready.pop()[0]
        return None

    def forget(self, thing: T) -> None:
        """It has ended by itself."""
        self._ready = [one for one in self._ready if one[0] is not thing]

    def expire(self, now: float) -> list[T]:
        """Those that are too old, for the caller to close."""
        old = [thing for thing, since in self._ready if since + self._seconds <= now]
        self._ready = [one for one in self._ready if one[1] + self._seconds > now]
        return old


class Reserve:
    """Keeps `count` connections to the servers of one upstream ready, while `run` runs."""

    def __init__(self, dialler: Dialler, count: int) -> None:
        self._dialler = dialler
        self._shelf: Shelf[_Waiting] = Shelf(count, dialler.pool.limits.ready_seconds_max)
        self._taken = asyncio.Event()

    @property
    def ready(self) -> int:
        """How many connections are ready."""
        return sum(1 for _ in self._shelf)

    @property
    def greeted(self) -> bool:
        """Whether each of them has had a word from its server."""
        return all(waiting.said for waiting in self._shelf)

    async def run(self) -> None:
        """Fill the shelf again and again, until cancelled."""
        try:
            while True:
                await self._fill()
                self._taken.clear()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_PAUSE_SECONDS):
                        await self._taken.wait()
                for old in self._shelf.expire(self._dialler.now):
                    old.connection.close()
        finally:
            for waiting in self._shelf.expire(float("inf")):
                waiting.connection.abort()

    async def connect(self, factory: UpstreamFactory, client: Client) -> Connection:
        """A connection that is ready, or else a new one. Raises as `Dialler.connect`."""
        waiting = self._shelf.take(self._dialler.now)
        if waiting is None:
            return await self._dialler.connect(factory, client)
        self._taken.set()
        waiting.hand_over(factory)
        return waiting.connection

    async def _fill(self) -> None:
        for _ in range(self._shelf.missing):
            try:
                await self._dialler.connect(self._put, _NOBODY)
            except HoldfastError:
                return  # it was logged; who comes now is told

    def _put(self, connection: Connection, target: Target) -> Handler:
        return _Waiting(self._shelf, connection, target)


class _Waiting(Silent):
    """The handler of a connection on the shelf."""

    def __init__(self, shelf: Shelf[_Waiting], connection: Connection, target: Target) -> None:
        self.connection = connection
        self.said: list[bytes] = []
        """What the server has said: one read, or little more."""
        self._shelf = shelf
        self._target = target

    def connected(self) -> None:
        self.connection.established()
        if not self._shelf.put(self, self.connection.now):
            self.connection.close()

    def received(self, data: bytes) -> None:
        self.said.append(data)
        self.connection.pause_reading()

    def ended(self) -> None:
        self._shelf.forget(self)
        self.connection.close()

    def overdue(self, reason: Reason) -> None:
        self.ended()

    def lost(self, cause: Exception | None) -> None:
        self._shelf.forget(self)

    def hand_over(self, factory: UpstreamFactory) -> None:
        """From here on it is another's, who hears what was said so far."""
        handler = factory(self.connection, self._target)
        self.connection.attach(handler)
        handler.connected()
        self.connection.resume_reading()
        for data in self.said:
            handler.received(data)
