"""A browser's plain WebSocket: its session is kept by a cookie."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from holdfast.protocols import websocket as ws
from tests.simulation.clients.person import Person
from tests.simulation.clients.web import WebSocketNode

if TYPE_CHECKING:
    from tests.simulation.world import World

_DOUBT: Final = "The next messages you may have seen."


class PlainClient(WebSocketNode, Person):
    """Text frames are lines."""

    def __init__(self, world: World, name: str) -> None:
        super().__init__(world, name)
        self._cookie = ""

    @property
    def can_type(self) -> bool:
        return self.is_open

    def command(self, text: str) -> None:
        self._ws.queue(self._ws.encode_text(text.encode()))
        self.send()

    def offer(self) -> ws.Offer:
        headers = (("Cookie", self._cookie),) if self._cookie else ()
        return ws.Offer("sim", "/", headers=headers)

    def opened(self, response: ws.Response) -> None:
        self._cookie = (response.headers.get("set-cookie") or "").partition(";")[0]
        self.entered = True
        self.attached()

    def heard(self, message: str) -> None:
        self.read(message)

    def notice(self, text: str) -> None:
        super().notice(text)
        self.doubt = self.doubt or text == _DOUBT

    def show(self, sid: str, line: str) -> None:
        # Where the doubt ends is not told: with the first line that was never seen.
        self.doubt = self.doubt and line in self.has(sid)
        super().show(sid, line)
