"""Transports for connected sockets: our own where they were built, else the event loop's.

`HOLDFAST_PURE=sockets` in the environment asks for the event loop's.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import Any, Final

from holdfast.core.compiled import is_wanted

__all__ = ["COMPILED", "Sockets", "keep_urgent_data_in_place"]

COMPILED = False
"""Whether sockets are our own."""

if is_wanted("sockets"):
    try:
        from holdfast.net.transport._sockets import Poller, SocketTransport

        COMPILED = True
    except ImportError:
        pass


class _LoopPoller:
    """The epoll set of one event loop. It keeps the loop alive: its id is not used again."""

    __slots__ = ("loop", "poller")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.poller: Poller | None = Poller(loop)


_POLLERS: Final[dict[int, _LoopPoller]] = {}


class Sockets:
    """Makes the transports of one event loop."""

    __slots__ = ("_loop", "_poller")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._poller: _LoopPoller | None = None

    def adopt(self, protocol: asyncio.Protocol, sock: socket.socket) -> None:
        """Make a transport for a connected socket, which then is its.

        `protocol.connection_made` follows, at once or soon. Raises `OSError` for a
        socket that was gone before we came to it; it is closed then.
        """
        sock.setblocking(False)
        if not COMPILED:
            _adopt_by_loop(self._loop, protocol, sock)
            return
        try:
            if self._poller is None:
                self._poller = _poller_of(self._loop)
            if sock.family != socket.AF_UNIX:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            poller = self._poller.poller
            assert poller is not None, "the event loop is closed"
            transport = SocketTransport(poller, sock, protocol)
        except OSError:
            sock.close()
            raise
        transport.start()


def keep_urgent_data_in_place(sock: socket.socket) -> None:
    """Telnet's SYNCH sends its command as urgent data (RFC 854): it is read in its place."""
    if sock.family != socket.AF_UNIX:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_OOBINLINE, 1)


def _poller_of(loop: asyncio.AbstractEventLoop) -> _LoopPoller:
    """The one of this event loop. Those of loops that are closed are closed now.

    A closed loop may be held by cycles for long, and with it the file of its set.
    """
    found = _POLLERS.get(id(loop))
    if found is None:
        for ended in [each for each in _POLLERS.values() if each.loop.is_closed()]:
            ended.poller = None
            del _POLLERS[id(ended.loop)]
        found = _POLLERS[id(loop)] = _LoopPoller(loop)
    return found


def _adopt_by_loop(
    loop: asyncio.AbstractEventLoop, protocol: asyncio.Protocol, sock: socket.socket
) -> None:
    """What the loop has for this is a coroutine of two steps: it makes the
    transport, and waits until that has told the protocol. A task would be too
    dear for each connection.
    """
    steps = loop.connect_accepted_socket(lambda: protocol, sock)
    try:
        made: Any = steps.send(None)
    except OSError:
        sock.close()
        raise

    def finish(_: object) -> None:
        with contextlib.suppress(StopIteration, OSError):
            steps.send(None)

    made._asyncio_future_blocking = False  # what a task does with a future that it waits for
    made.add_done_callback(finish)
