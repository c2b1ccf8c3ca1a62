"""A connection is handed over: another handler stands on it from here on."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from holdfast.net.connection.handler import Handler


class Attachable(Protocol):
    """A connection, as far as this needs it."""

    handler: Handler

    def attach(self, handler: Handler) -> None: ...

    def resume_reading(self) -> None: ...


def hand_over(
    connection: Attachable, handler: Handler, came: Iterable[bytes], *, ended: bool = False
) -> None:
    """Make `handler` the handler of `connection`; it gets the bytes in `came` first.

    `ended`: whether the peer sends nothing more. The handler is told then, or whatever handler it
    has put in its place.
    """
    connection.attach(handler)
    handler.connected()
    connection.resume_reading()
    for data in came:
        handler.received(data)
    if ended:
        connection.handler.ended()
