"""What stands on a connection in place of its handler: while it leaves, or as another's guest."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from holdfast.core.errors import Reason
from holdfast.net.log import Seldom, log_failure

if TYPE_CHECKING:
    from holdfast.net.connection import Connection
    from holdfast.net.handler import Handler

_log: Final = Seldom("holdfast.net")


class Leaver:
    """The handler of a connection that is closed but still read.

    It waits for the peer's end, or until nothing has come for a while: who
    stays and is silent has read our last words, and must not hold up a stop.
    """

    def __init__(
        self,
        connection: Connection,
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


class Lodger:
    """The handler of a connection that a foreign protocol serves: it waits for the end."""

    def __init__(self, connection: Connection, before: Handler) -> None:
        self._connection = connection
        self._before = before

    def connected(self) -> None: ...
    def received(self, data: bytes) -> None: ...
    def ended(self) -> None: ...
    def writable(self) -> None: ...
    def expired(self, now: float) -> None: ...

    def overdue(self, reason: Reason) -> None:
        self._connection.close()

    def drain(self) -> None:
        self._connection.close()

    def lost(self, cause: Exception | None) -> None:
        self._before.lost(cause)


class Relay(asyncio.Protocol):
    """Stands between a transport and a foreign protocol, so that the end is still counted."""

    def __init__(self, connection: Connection, protocol: asyncio.Protocol) -> None:
        self._connection = connection
        self._protocol = protocol
        self.data_received = protocol.data_received  # type: ignore[method-assign]
        self.pause_writing = protocol.pause_writing  # type: ignore[method-assign]
        self.resume_writing = protocol.resume_writing  # type: ignore[method-assign]

    def eof_received(self) -> bool | None:
        return self._protocol.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        try:
            self._protocol.connection_lost(exc)
        except Exception as error:
            log_failure(_log, "a connection's end failed", error, peer=self._connection.peer)
        self._connection.connection_lost(exc)
