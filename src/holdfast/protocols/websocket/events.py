"""The events of a WebSocket connection.

A text message is a plain `str`, a binary message plain `bytes`: the hot path makes no object
for them. Other events are small values.
"""

from __future__ import annotations

from msgspec import Struct

from holdfast.protocols.websocket.head import Request, Response

NO_STATUS = 1005
"""The code of a Close frame without one (RFC 6455 section 7.1.5). Never on the wire."""
ABNORMAL = 1006
"""The code of a connection that ended without a Close frame. Never on the wire."""


class Ping(Struct, frozen=True, gc=False):
    """The peer asks for a sign of life. The pong is queued already."""

    data: bytes


class Pong(Struct, frozen=True, gc=False):
    """The answer to our ping, or an unsolicited pong (RFC 6455 section 5.5.3)."""

    data: bytes


class Close(Struct, frozen=True, gc=False):
    """The peer's Close frame; `code` is 1005 where it had none."""

    code: int
    reason: str


class Violation(Struct, frozen=True, gc=False):
    """The peer violated the protocol: the connection fails with this close code.

    It is the last event of a connection. Earlier messages in the same bytes are delivered, so
    chunking never changes the events.
    """

    code: int
    reason: str


class PlainRequest(Struct, frozen=True):
    """A request that is no upgrade, with all bytes so far, for an HTTP server to serve."""

    request: Request
    data: bytes


Event = str | bytes | Ping | Pong | Close | Violation | Request | Response | PlainRequest
"""What `receive_data` returns. `Request` awaits `accept` or `refuse`."""
