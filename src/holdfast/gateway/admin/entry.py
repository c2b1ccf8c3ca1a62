"""A connection to the admin listener, until its request's head is there; and its time limit.

aiohttp waits for a head as long as it takes. So the head is collected here,
within limits; then aiohttp has the connection, for one request, and the time
that is left.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from holdfast.core.errors import Reason
from holdfast.core.limits import AdminLimits
from holdfast.net.connection.connection import Connection
from holdfast.net.connection.handler import Handler
from holdfast.net.runtime.runtime import Runtime
from holdfast.net.runtime.timers import UNSCHEDULED

_END: Final = b"\r\n\r\n"


class Entry:
    """The handler of one connection. `serve` takes it over, with what has come."""

    def __init__(
        self,
        connection: Connection,
        runtime: Runtime,
        limits: AdminLimits,
        serve: Callable[[Connection, bytes, Handler], None],
    ) -> None:
        self.timer_slot = UNSCHEDULED
        self._connection = connection
        self._runtime = runtime
        self._limits = limits
        self._serve = serve
        self._head = b""

    def connected(self) -> None:
        due = self._runtime.timers.time() + self._limits.request_seconds_max
        self._runtime.timers.schedule(self, due)

    def received(self, data: bytes) -> None:
        self._head += data
        if _END in self._head:
            head, self._head = self._head, b""
            self._serve(self._connection, head, self)
        elif len(self._head) > self._limits.head_bytes_max:
            self._refuse("431 Request Header Fields Too Large")

    def ended(self) -> None:
        self._connection.close()

    def writable(self) -> None: ...

    def expired(self, now: float) -> None: ...

    def overdue(self, reason: Reason) -> None:
        if self._head:
            self._refuse("408 Request Timeout")
        else:
            self._connection.close()

    def drain(self) -> None:
        self._connection.close()

    def lost(self, cause: Exception | None) -> None:
        self._runtime.timers.cancel(self)

    def expire(self, now: float) -> None:
        """The time for the whole exchange is over."""
        self._connection.abort()

    def _refuse(self, status: str) -> None:
        answer = f"HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        self._connection.write(answer.encode())
        self._connection.close_on()
