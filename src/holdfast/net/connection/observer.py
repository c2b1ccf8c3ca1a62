"""Observers: callbacks for the events of a server and its connections."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Any, Final

from holdfast.net.connection.connection import Connection
from holdfast.net.log import RateLimitedLogger, log_failure

_log: Final = RateLimitedLogger("holdfast.net")


class Observer:
    """Override what you want to hear. What is raised here is logged, and ends the connection
    that it is about, if there is one."""

    def state_changed(self, state: Enum) -> None:
        """The server is in another `ServerState`."""

    def opened(self, connection: Connection) -> None:
        """A connection was admitted; its handler is called after this."""

    def read(self, connection: Connection, size: int) -> None:
        """`size` bytes have come."""

    def wrote(self, connection: Connection, size: int) -> None:
        """`size` bytes were given to the transport."""

    def closed(self, connection: Connection) -> None:
        """A connection is lost; `connection.cause` is the error, if it was no orderly end."""

    def failed(self, peer: str, error: Exception) -> None:
        """A handshake failed, a handler raised, or a handler could not be made."""


class GuardedObserver(Observer):
    """Calls another observer, and contains its exceptions."""

    def __init__(self, observer: Observer) -> None:
        self._observer = observer

    def state_changed(self, state: Enum) -> None:
        self._tell(None, self._observer.state_changed, state)

    def opened(self, connection: Connection) -> None:
        self._tell(connection, self._observer.opened, connection)

    def read(self, connection: Connection, size: int) -> None:
        self._tell(connection, self._observer.read, connection, size)

    def wrote(self, connection: Connection, size: int) -> None:
        self._tell(connection, self._observer.wrote, connection, size)

    def closed(self, connection: Connection) -> None:
        self._tell(connection, self._observer.closed, connection)

    def failed(self, peer: str, error: Exception) -> None:
        self._tell(None, self._observer.failed, peer, error)

    def _tell(
        self, connection: Connection | None, callback: Callable[..., None], *arguments: object
    ) -> None:
        try:
            callback(*arguments)
        except Exception as error:
            log_failure(_log, "an observer failed", error)
            if connection is not None:
                connection.abort()


class ObservedConnection(Connection):
    """A connection that reports each read and write to an observer. Others have no such cost."""

    __slots__ = ("_told", "observer")

    observer: GuardedObserver | None

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.observer = None
        self._told = 0

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if (observer := self.observer) is not None:
            observer.read(self, len(data))

    def flush(self) -> None:
        super().flush()
        size, self._told = self.bytes_out - self._told, self.bytes_out
        if size and (observer := self.observer) is not None:
            observer.wrote(self, size)

    def fail(self, error: Exception, event: str = "a connection failed") -> None:
        super().fail(error, event)
        if self.observer is not None:
            self.observer.failed(self.peer, error)
