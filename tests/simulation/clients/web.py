"""The WebSocket of a client, on the real core."""

from __future__ import annotations

from typing import Any

from holdfast.protocols import websocket as ws
from tests.simulation.clients.base import ClientNode

ADDRESSES = ("ws://127.0.0.1:1/", "ws://127.0.0.1:11/", "ws://127.0.0.1:21/")


class WebSocketNode(ClientNode):
    """Dials a WebSocket, and hears its messages."""

    addresses = ADDRESSES
    _ws: ws.ClientConnection

    def offer(self) -> ws.Offer:
        """What it asks for."""
        raise NotImplementedError

    def opened(self, response: ws.Response) -> None:
        """The gateway has accepted."""
        raise NotImplementedError

    def heard(self, message: str) -> None:
        """A text message has come."""
        raise NotImplementedError

    @property
    def is_open(self) -> bool:
        """Whether messages may be sent."""
        return self.pipe is not None and self._ws.state is ws.State.OPEN

    def send(self) -> None:
        """Write what is queued."""
        if self.pipe is not None:
            self.transport.write(self._ws.data_to_send())

    # --- the protocol

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        limits = self.world.config.limits.websocket
        self._ws = ws.ClientConnection(limits, self.offer(), bytes)
        self.send()

    def data_received(self, data: bytes) -> None:
        try:
            events = self._ws.receive_data(data)
        except ws.HandshakeError:  # the gateway refuses, or its patience has ended
            self.transport.close()
            return
        for event in events:
            if isinstance(event, ws.Response):
                self.opened(event)
            elif isinstance(event, str):
                self.heard(event)
        self.send()
