"""Sessions of an application that is a URL, on their way from one node to another."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from holdfast.backends.base import Moves
from holdfast.backends.http.delivery import Delivery
from holdfast.sessions.port import SessionPort
from holdfast.sessions.session import Session


class HttpMoves(Moves):
    """A session moves between two requests; `begin` sends what those that come have."""

    def __init__(self, port: SessionPort, begin: Callable[[Iterable[Session]], None]) -> None:
        self._port = port
        self._begin = begin

    def may_move(self, session: Session) -> bool:
        delivery = session.route
        return not (isinstance(delivery, Delivery) and delivery.running)

    def moved(self, session: Session) -> None:
        if isinstance(session.route, Delivery):
            session.route.moved = True
            session.route = None
            self._port.rewind(session)

    async def adopt(self, sids: Sequence[str]) -> None:
        await self._port.load(sids)
        self._begin(filter(None, map(self._port.find, sids)))
