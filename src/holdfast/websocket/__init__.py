"""WebSockets for programs: `serve` and `connect`, as users of the `websockets` library expect."""

from __future__ import annotations

from holdfast.net.dial.dial import DialError
from holdfast.protocols.websocket import (
    Close,
    CloseCode,
    DeflateSettings,
    HandshakeError,
    Headers,
    Request,
    Response,
    State,
)
from holdfast.websocket.client import ClientWebSocket, connect
from holdfast.websocket.closed import ConnectionClosed, ConnectionClosedError, ConnectionClosedOK
from holdfast.websocket.connection import WebSocket, broadcast
from holdfast.websocket.server import Refusal, Server, ServerWebSocket, serve

__all__ = [
    "ClientWebSocket",
    "Close",
    "CloseCode",
    "ConnectionClosed",
    "ConnectionClosedError",
    "ConnectionClosedOK",
    "DeflateSettings",
    "DialError",
    "HandshakeError",
    "Headers",
    "Refusal",
    "Request",
    "Response",
    "Server",
    "ServerWebSocket",
    "State",
    "WebSocket",
    "broadcast",
    "connect",
    "serve",
]
