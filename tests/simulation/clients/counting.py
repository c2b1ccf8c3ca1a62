"""A client of `holdfast.v1`, on the client's real core."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.client.commands import Dropped, Uncertain
from holdfast.client.core import Began, ClientCore, Event, Online
from holdfast.protocols import holdfast_v1 as wire
from holdfast.protocols import websocket as ws
from tests.simulation.clients.web import WebSocketNode

if TYPE_CHECKING:
    from tests.simulation.world import World


class CountingClient(WebSocketNode):
    """It numbers, acknowledges and resumes."""

    def __init__(self, world: World, name: str) -> None:
        super().__init__(world, name)
        self.core = ClientCore()
        self.shown: list[str] = []
        """Outputs since the last time that it had to begin afresh."""
        self.resets: list[str] = []
        self.told_upto = 0
        """How many of the commands typed are said to be lost, or perhaps lost."""

    def command(self, text: str) -> None:
        self.core.command(text)
        self.send()

    @property
    def has_right(self) -> bool:
        return bool(self.core.state.token)

    @property
    def settled(self) -> bool:
        return self.core.online and not self.core.state.pending

    def offline(self) -> None:
        self.core.online = False

    def offer(self) -> ws.Offer:
        return ws.Offer("sim", "/", (wire.SUBPROTOCOL,))

    def opened(self, response: ws.Response) -> None:
        self.core.connected()

    def heard(self, message: str) -> None:
        for found in self.core.receive(message):
            self._take(found)

    def send(self) -> None:
        if self.is_open:
            for message in self.core.take():
                self._ws.queue(self._ws.encode_text(message))
        super().send()

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
                if reason == "expired":
                    self.told_upto = len(self.typed)
            case Dropped() | Uncertain():
                self.told_upto = len(self.typed)
            case _:
                pass
