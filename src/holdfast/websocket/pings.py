"""Unanswered pings: whether the peer is alive and how far it has read."""

from __future__ import annotations

import asyncio
from time import perf_counter

from holdfast.core.errors import BusyError


class Pings:
    """Payloads that await their pong, in order, each with its time and its waiter."""

    __slots__ = ("_count", "_loop", "_max", "_waiting", "latency")

    def __init__(self, loop: asyncio.AbstractEventLoop, pings_max: int) -> None:
        self._loop = loop
        self._max = pings_max
        self._count = 0
        self._waiting: dict[bytes, tuple[float, asyncio.Future[float] | None]] = {}
        self.latency = 0.0
        """The newest round trip, in seconds; 0 before the first."""

    def own(self) -> bytes:
        """The payload of a ping that keeps the connection alive; the one before is forgotten."""
        for data, (_, future) in list(self._waiting.items()):
            if future is None:
                del self._waiting[data]
        data = self._data()
        self._waiting[data] = (perf_counter(), None)
        return data

    def begin(self, data: bytes | None) -> tuple[bytes, asyncio.Future[float]]:
        """Note a ping; without `data` it gets some. The future is the round trip in seconds.

        Raises `BusyError` when too many are under way, or one with the same data.
        """
        if data is None:
            data = self._data()
        if data in self._waiting:
            raise BusyError(f"a ping with the data {data!r} is under way")
        if len(self._waiting) >= self._max:
            raise BusyError(f"{self._max} pings are under way; that is the limit")
        future: asyncio.Future[float] = self._loop.create_future()
        self._waiting[data] = (perf_counter(), future)
        return data, future

    def _data(self) -> bytes:
        self._count += 1
        return self._count.to_bytes(8, "big")

    def pong(self, data: bytes) -> None:
        """A pong answers its ping and all before it (RFC 6455 section 5.5.3)."""
        if data not in self._waiting:
            return  # unsolicited
        now = perf_counter()
        for key in list(self._waiting):
            sent, future = self._waiting.pop(key)
            if future is not None and not future.done():
                future.set_result(now - sent)
            if key == data:
                self.latency = now - sent
                return

    def fail(self, error: Exception) -> None:
        """No pong will come."""
        for _, future in self._waiting.values():
            if future is not None and not future.done():
                future.set_exception(error)
                future.exception()  # nothing waits for it
        self._waiting.clear()
