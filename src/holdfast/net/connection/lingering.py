"""The handler of a connection during a lingering close."""

from __future__ import annotations

import asyncio
from typing import Protocol

from holdfast.core.errors import Reason
from holdfast.net.connection.handler import Handler


class Closing(Protocol):
    """A connection that is closed, as far as this needs it."""

    @property
    def now(self) -> float: ...

    @property
    def unsent(self) -> int: ...

    heard: float

    def wake_at(self, when: float) -> None: ...


class LingeringClose:
    """The handler of a connection that is closed but still read.

    It waits for the peer's end, or until nothing has come for a while: who
    stays and is silent has read our last words, and must not hold up a stop.
    """

    def __init__(
        self,
        connection: Closing,
        transport: asyncio.Transport,
        before: Handler,
        linger_seconds: float,
    ) -> None:
        self._connection = connection
        self._transport = transport
        self._before = before
        self._linger_seconds = linger_seconds
        connection.wake_at(connection.now + linger_seconds)

    def connected(self) -> None: ...
    def received(self, data: bytes) -> None: ...
    def writable(self) -> None: ...
    def overdue(self, reason: Reason) -> None: ...
    def drain(self) -> None: ...

    def expired(self, now: float) -> None:
        connection = self._connection
        since = now if connection.unsent else connection.heard  # what is unsent it cannot have read
        if now < since + self._linger_seconds:
            connection.wake_at(since + self._linger_seconds)
        else:
            self._transport.close()

    def ended(self) -> None:
        self._transport.close()

    def lost(self, cause: Exception | None) -> None:
        self._before.lost(cause)
