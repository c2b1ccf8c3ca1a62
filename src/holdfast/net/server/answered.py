"""Refused clients that get an answer: without a connection, from constant bytes.

A socket that is closed with unread input is reset, and a reset may overtake the answer. So each
is kept for a moment, in which the client reads; there is no object and no timer for one of them.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections import deque

from holdfast.core.limits import ConnectionLimits

_INPUT_BYTES_MAX = 64 * 1024
"""Read from a socket before it is closed: a request."""


class AnsweredRefusals:
    """The refused sockets of one server that have their answer and are not closed yet."""

    def __init__(self, loop: asyncio.AbstractEventLoop, limits: ConnectionLimits) -> None:
        self._loop = loop
        self.replace(limits)
        self._waiting: deque[tuple[float, socket.socket]] = deque()
        self._timer: asyncio.TimerHandle | None = None

    def replace(self, limits: ConnectionLimits) -> None:
        """Use other limits from now on."""
        self._count_max = limits.refusals_max
        self._seconds = limits.linger_seconds_max

    def answer(self, sock: socket.socket, data: bytes) -> None:
        """Send `data` and the end of the stream; close the socket later."""
        try:
            sock.setblocking(False)
            sock.send(data)
            sock.shutdown(socket.SHUT_WR)
        except OSError:  # it has left
            sock.close()
            return
        while len(self._waiting) >= self._count_max:
            _close(self._waiting.popleft()[1])
        self._waiting.append((self._loop.time() + self._seconds, sock))
        if self._timer is None:
            self._timer = self._loop.call_later(self._seconds, self._expire)

    def close(self) -> None:
        """Close all of them."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._waiting:
            _close(self._waiting.popleft()[1])

    def _expire(self) -> None:
        self._timer = None
        now = self._loop.time()
        while self._waiting and self._waiting[0][0] <= now:
            _close(self._waiting.popleft()[1])
        if self._waiting:
            self._timer = self._loop.call_at(self._waiting[0][0], self._expire)


def _close(sock: socket.socket) -> None:
    with contextlib.suppress(OSError):
        sock.recv(_INPUT_BYTES_MAX)
    sock.close()
