"""A client of `holdfast.v1`, on the client's real core."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from holdfast.client.core import Began, ClientCore, Event, Online
from holdfast.protocols import holdfast as wire
from holdfast.protocols import websocket as ws
from tests.simulation.clients.base import ClientNode

if TYPE_CHECKING:
    from tests.simulation.world import World

ADDRESS = "ws://127.0.0.1:1/"


class CountingClient(ClientNode):
    """It numbers, acknowledges and resumes."""

    address = ADDRESS

    def __init__(self, world: World, name: str) -> None:
        super().__init__(world, name)
        self.core = ClientCore()
        self.shown: list[str] = []
        """Outputs since the last time that it had to begin afresh."""
        self.resets: list[str] = []
        self._ws: ws.ClientConnection

    def command(self, text: str) -> None:
        self.core.command(text)
        self._send()

    @property
    def settled(self) -> bool:
        return self.core.online and not self.core.state.pending

    def offline(self) -> None:
        self.core.online = False

    def _send(self) -> None:
        if self.pipe is None:
            return
        if self._ws.state is ws.State.OPEN:
            for message in self.core.take():
                self._ws.queue(self._ws.encode_text(message))
        self.transport.write(self._ws.data_to_send())

    # --- the protocol

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        offer = ws.Offer("sim", "/", (wire.SUBPROTOCOL,))
        self._ws = ws.ClientConnection(self.world.config.limits.websocket, offer, bytes)
        self._send()

    def data_received(self, data: bytes) -> None:
        try:
            events = self._ws.receive_data(data)
        except ws.HandshakeError:  # the gateway's patience with half a handshake has ended
            self.transport.close()
            return
        for event in events:
            if isinstance(event, ws.Response):
                self.core.connected()
            elif isinstance(event, str):
                for found in self.core.receive(event):
                    self._take(found)
        self._send()

    def _take(self, event: Event) -> None:
        match event:
            case wire.Text(n, text):
                self.world.see(self.core.state.epoch, n, text)
                self.shown.append(text)
            case Online():
                self.attached()
            case Began(reason):
                self.resets.append(reason)
                self.shown.clear()
            case _:
                pass
