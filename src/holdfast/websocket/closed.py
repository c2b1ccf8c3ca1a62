"""The errors that tell how a WebSocket ended."""

from __future__ import annotations

from typing import Final

from holdfast.core.errors import ClosedError
from holdfast.protocols.websocket import ABNORMAL, NO_STATUS, Close, CloseCode

_ORDERLY: Final = frozenset({CloseCode.NORMAL, CloseCode.GOING_AWAY, NO_STATUS})


class ConnectionClosed(ClosedError):
    """The WebSocket is closed. `received` and `sent` are both sides' Close frames, if any."""

    def __init__(self, received: Close | None, sent: Close | None) -> None:
        self.received = received
        self.sent = sent
        super().__init__(f"the WebSocket is closed: received {_show(received)}, sent {_show(sent)}")

    @property
    def code(self) -> int:
        """The peer's close code; 1006 where it sent no Close frame (RFC 6455 section 7.1.5)."""
        return self.received.code if self.received is not None else ABNORMAL

    @property
    def reason(self) -> str:
        """The peer's reason."""
        return self.received.reason if self.received is not None else ""


class ConnectionClosedOK(ConnectionClosed):
    """Both sides closed with 1000, 1001 or without a code: nothing went wrong."""


class ConnectionClosedError(ConnectionClosed):
    """A side closed with an error, or the connection broke."""


def how_it_ended(received: Close | None, sent: Close | None) -> ConnectionClosed:
    """The exception for two Close frames (or their absence)."""
    orderly = (
        received is not None
        and sent is not None
        and received.code in _ORDERLY
        and sent.code in _ORDERLY
    )
    return (ConnectionClosedOK if orderly else ConnectionClosedError)(received, sent)


def _show(close: Close | None) -> str:
    if close is None:
        return "nothing"
    return f"{close.code} {close.reason}".rstrip()
