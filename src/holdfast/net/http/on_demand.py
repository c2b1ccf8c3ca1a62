"""Pages whose host is made for the first request: a start imports nothing of an HTTP server."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Protocol

from holdfast.core.errors import Reason
from holdfast.net.connection.connection import Connection
from holdfast.net.connection.handler import Handler, NullHandler
from holdfast.net.http.pages import NewHandler


class PageHost(Protocol):
    """What takes connections over and serves pages on them: `handover.HttpHost`."""

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    def take_over(
        self, connection: Connection, data: bytes, before: Handler, anew: NewHandler | None = None
    ) -> None: ...


class HostOnDemand:
    """Makes a host when a connection first needs one; connections wait for it meanwhile.

    `make` makes the host, which is then started. `spawn` runs that in a task.
    """

    def __init__(
        self,
        make: Callable[[], Awaitable[PageHost]],
        spawn: Callable[[Coroutine[Any, Any, None]], object],
    ) -> None:
        self._make = make
        self._spawn = spawn
        self._host: PageHost | None = None
        self._waiting: list[_Waiting] = []

    async def stop(self) -> None:
        """Close what is open."""
        if self._host is not None:
            await self._host.stop()

    def take_over(
        self, connection: Connection, data: bytes, before: Handler, anew: NewHandler | None = None
    ) -> None:
        """Serve `connection` from here on, as `HttpHost.take_over`."""
        if self._host is not None:
            self._host.take_over(connection, data, before, anew)
            return
        waiting = _Waiting(connection, data, before, anew)
        connection.attach(waiting)
        connection.pause_reading()
        self._waiting.append(waiting)
        if len(self._waiting) == 1:
            self._spawn(self._begin())

    async def _begin(self) -> None:
        try:
            host = await self._make()
            await host.start()
        except Exception as error:
            waiting, self._waiting = self._waiting, []
            for one in waiting:
                one.connection.fail(error)
            return
        self._host = host
        waiting, self._waiting = self._waiting, []
        for one in waiting:
            one.go_on(host)


class _Waiting(NullHandler):
    """The handler of a connection that waits for the host. Its limit of time is the handshake's."""

    def __init__(
        self, connection: Connection, data: bytes, before: Handler, anew: NewHandler | None
    ) -> None:
        self.connection = connection
        self._data = data
        self._before = before
        self._anew = anew
        self._over = False
        self._ended = False

    def received(self, data: bytes) -> None:
        self._data += data  # what was on its way when reading was paused

    def ended(self) -> None:
        self._ended = True  # the client waits for its answer

    def overdue(self, reason: Reason) -> None:
        self.connection.abort()

    def drain(self) -> None:
        self._over = True
        self.connection.close_on()

    def lost(self, cause: Exception | None) -> None:
        self._over = True
        self._before.lost(cause)

    def go_on(self, host: PageHost) -> None:
        """The host is there."""
        if not self._over:
            self.connection.resume_reading()
            host.take_over(self.connection, self._data, self._before, self._anew)
            if self._ended:
                self.connection.handler.ended()
