"""WebSocket (RFC 6455) without I/O, both roles.

`ServerConnection` and `ClientConnection` take bytes and give events and bytes.
"""

from __future__ import annotations

from holdfast.protocols.websocket.broadcast import Broadcast
from holdfast.protocols.websocket.codec import COMPILED
from holdfast.protocols.websocket.connection import (
    UNCOPIED_BYTES_MIN,
    ClientConnection,
    ServerConnection,
)
from holdfast.protocols.websocket.deflate import CLIENT_DEFAULTS, Deflate, DeflateSettings
from holdfast.protocols.websocket.events import (
    ABNORMAL,
    NO_STATUS,
    Close,
    Event,
    Ping,
    PlainRequest,
    Pong,
    Violation,
)
from holdfast.protocols.websocket.frames import CloseCode, Opcode, close_payload
from holdfast.protocols.websocket.handshake import (
    HandshakeError,
    Offer,
    choose_subprotocol,
    origin_is_allowed,
)
from holdfast.protocols.websocket.head import Headers, Request, Response
from holdfast.protocols.websocket.snapshot import ConnectionSnapshot, NotBetweenMessagesError
from holdfast.protocols.websocket.states import State

__all__ = [
    "ABNORMAL",
    "CLIENT_DEFAULTS",
    "COMPILED",
    "NO_STATUS",
    "UNCOPIED_BYTES_MIN",
    "Broadcast",
    "ClientConnection",
    "Close",
    "CloseCode",
    "ConnectionSnapshot",
    "Deflate",
    "DeflateSettings",
    "Event",
    "HandshakeError",
    "Headers",
    "NotBetweenMessagesError",
    "Offer",
    "Opcode",
    "Ping",
    "PlainRequest",
    "Pong",
    "Request",
    "Response",
    "ServerConnection",
    "State",
    "Violation",
    "choose_subprotocol",
    "close_payload",
    "origin_is_allowed",
]
