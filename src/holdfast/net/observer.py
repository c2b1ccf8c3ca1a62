"""Callbacks: what a server and its connections go through, for whoever wants to know."""

from __future__ import annotations

from enum import Enum
from typing import Any

from holdfast.net.connection import Connection


class Observer:
    """Override what you want to hear. What is raised here ends the connection it is about."""

    def state_changed(self, state: Enum) -> None:
        """The server is in another `ServerState`."""

    def opened(self, connection: Connection) -> None:
        """A connection was admitted; its handler is told after this."""

    def read(self, connection: Connection, size: int) -> None:
        """`size` bytes have come."""

    def wrote(self, connection: Connection, size: int) -> None:
        """`size` bytes were given to the transport."""

    def closed(self, connection: Connection) -> None:
        """A connection is gone; `connection.cause` says why, if it was no orderly end."""

    def failed(self, peer: str, error: Exception) -> None:
        """A handshake failed, a handler raised, or a handler could not be made."""


class ObservedConnection(Connection):
    """A connection that tells an observer of every read and write. Others do not pay for it."""

    __slots__ = ("_told", "observer")

    observer: Observer | None

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.observer = None
        self._told = 0

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if (observer := self.observer) is not None:
            self._guard(lambda: observer.read(self, len(data)))

    def flush(self) -> None:
        super().flush()
        size, self._told = self.bytes_out - self._told, self.bytes_out
        if size and (observer := self.observer) is not None:
            self._guard(lambda: observer.wrote(self, size))

    def _fail(self, error: Exception) -> None:
        super()._fail(error)
        if self.observer is not None:
            self.observer.failed(self.peer, error)
