"""One node of the gateway, as an application knows it."""

from __future__ import annotations

from typing import Any, Protocol, TypeVar

from holdfast.app.outgoing import Outgoing
from holdfast.link import messages as m
from holdfast.link.peer import LinkClosedError

T = TypeVar("T")


class Link(Protocol):
    """The link to a node: a `LinkClient`."""

    @property
    def welcomed(self) -> bool:
        """Whether the node has welcomed the application."""

    async def request(self, method: str, params: Any, result: type[T]) -> T:
        """Ask the node. Raises as `Node.request` does."""

    def flush(self) -> None:
        """Send the queued calls now."""

    def flush_later(self) -> None:
        """Send the queued calls at the end of this tick."""


class Node:
    """What the application has for one node: outputs with numbers of their own, and marks."""

    __slots__ = ("link", "name", "outgoing", "released", "run", "unreported")

    def __init__(self, window: int) -> None:
        self.name = ""
        """Its name, once it has welcomed the application."""
        self.run = 0
        """The number of its run that has welcomed the application last."""
        self.outgoing = Outgoing(window)
        self.unreported: dict[str, int] = {}
        """By session: the newest command that was applied, if that was not reported."""
        self.released: list[str] = []
        """The sessions that were given back, if that was not reported."""
        self.link: Link | None = None

    def take_applied(self) -> list[m.Applied]:
        """Return the commands that were applied since the last call."""
        if not self.unreported:
            return []
        marks = [m.Applied(sid, cseq) for sid, cseq in self.unreported.items()]
        self.unreported.clear()
        return marks

    def take_released(self) -> list[str]:
        """The sessions that were given back since the last call."""
        released, self.released = self.released, []
        return released

    @property
    def linked(self) -> bool:
        """Whether it can be reached now."""
        return self.link is not None and self.link.welcomed

    async def request(self, method: str, params: Any, result: type[T]) -> T:
        """Ask the node. Raises `RequestError`, `LinkClosedError`, `TimeoutError`."""
        if self.link is None:
            raise LinkClosedError("the application is not running")
        return await self.link.request(method, params, result)

    def flush(self) -> None:
        """Send the queued calls now."""
        if self.link is not None:
            self.link.flush()

    def flush_later(self) -> None:
        """Send the queued calls at the end of this tick. Hot path."""
        if self.link is not None:
            self.link.flush_later()
