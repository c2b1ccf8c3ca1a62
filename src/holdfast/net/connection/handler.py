"""The interface of a connection's handler, its owner, and its phases."""

from __future__ import annotations

from enum import Enum, auto
from typing import Protocol

from holdfast.core.errors import Reason


class Handler(Protocol):
    """The handler of a connection."""

    def connected(self) -> None:
        """The transport is open; writing may begin."""

    def received(self, data: bytes) -> None:
        """Bytes arrived. Hot path."""

    def ended(self) -> None:
        """The peer sends nothing more; it may still read."""

    def writable(self) -> None:
        """The write buffer has drained after `Connection.full` was true."""

    def expired(self, now: float) -> None:
        """The time asked for with `wake_at` has come."""

    def overdue(self, reason: Reason) -> None:
        """A time limit was reached; the handler sends a goodbye and closes."""

    def drain(self) -> None:
        """The server is stopping; the handler sends a goodbye and closes."""

    def lost(self, cause: Exception | None) -> None:
        """The connection is lost. The last call; exactly one follows each `connected`."""


class NullHandler:
    """A handler that does nothing."""

    def connected(self) -> None: ...
    def received(self, data: bytes) -> None: ...
    def ended(self) -> None: ...
    def writable(self) -> None: ...
    def expired(self, now: float) -> None: ...
    def overdue(self, reason: Reason) -> None: ...
    def drain(self) -> None: ...
    def lost(self, cause: Exception | None) -> None: ...


class Phase(Enum):
    """The phase of a connection."""

    HANDSHAKE = auto()
    """Accepted; the protocol is not established, and the handshake's limit runs."""
    ESTABLISHED = auto()
    CLOSING = auto()
    """Closed by this side: buffered output is sent, input is ignored."""
    LOST = auto()
