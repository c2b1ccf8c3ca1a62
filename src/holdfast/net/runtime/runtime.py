"""What all connections of one event loop share: write coalescer, timers, turns, sockets."""

from __future__ import annotations

import asyncio
from typing import Final
from weakref import WeakValueDictionary

from holdfast.net.runtime.flush import WriteCoalescer
from holdfast.net.runtime.timers import Timers
from holdfast.net.runtime.turns import Turns
from holdfast.net.transport.transports import Sockets


class Runtime:
    """The write coalescer, the timers, the turns and the sockets of one event loop."""

    __slots__ = ("coalescer", "loop", "sockets", "timers", "turns")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.turns = Turns(loop)
        self.coalescer = WriteCoalescer(loop, self.turns)
        self.timers = Timers(loop)
        self.sockets = Sockets(loop)

    @property
    def wheel(self) -> Timers:
        """The name of `timers` in the public API, where this class is `holdfast.tcp.Clockwork`."""
        return self.timers


class ClientRuntime(Runtime):
    """The runtime of all clients of an event loop: its timers run while one is connected."""

    __slots__ = ("__weakref__", "_holders")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self._holders = 0

    def hold(self) -> None:
        """Start the timers, until `release` is called as often."""
        self._holders += 1
        if self._holders == 1:
            self.timers.start()

    def release(self) -> None:
        """Called once for each `hold`."""
        self._holders -= 1
        if not self._holders:
            self.timers.stop()


_CLIENTS: Final[WeakValueDictionary[int, ClientRuntime]] = WeakValueDictionary()


def client_runtime(loop: asyncio.AbstractEventLoop) -> ClientRuntime:
    """The one of this event loop. It keeps its loop alive, so that the loop's id stays its own."""
    found = _CLIENTS.get(id(loop))
    if found is None:
        found = _CLIENTS[id(loop)] = ClientRuntime(loop)
    return found
