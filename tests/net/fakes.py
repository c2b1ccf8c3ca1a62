"""An event loop that is only a clock, and a transport that is only a list."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable, Iterable
from itertools import count
from typing import Any, cast

from holdfast.core.errors import Reason
from holdfast.core.limits import ConnectionLimits
from holdfast.net.connection.connection import Connection
from holdfast.net.runtime.runtime import Runtime


class _Handle:
    def __init__(self, call: Callable[[], object]) -> None:
        self.call: Callable[[], object] | None = call

    def cancel(self) -> None:
        self.call = None


class FakeLoop:
    """Time that passes when it is told to."""

    def __init__(self, start: float = 1_000.0) -> None:
        self._now = start
        self._order = count()
        self._timers: list[tuple[float, int, _Handle]] = []
        self._soon: list[Callable[[], object]] = []

    def time(self) -> float:
        return self._now

    def call_soon(self, call: Callable[..., object], *args: Any) -> None:
        self._soon.append(lambda: call(*args))

    def call_later(self, delay: float, call: Callable[..., object], *args: Any) -> _Handle:
        handle = _Handle(lambda: call(*args))
        heapq.heappush(self._timers, (self._now + delay, next(self._order), handle))
        return handle

    @property
    def waiting(self) -> int:
        """How many timers stand."""
        return sum(handle.call is not None for _, _, handle in self._timers)

    def tick(self) -> None:
        """One pass: what was asked to run soon, but not what that asks for."""
        soon, self._soon = self._soon, []
        for call in soon:
            call()

    def advance(self, seconds: float) -> None:
        """Let time pass, in passes that come when a timer is due."""
        end = self._now + seconds
        while self._timers and self._timers[0][0] <= end:
            self._now, _, handle = heapq.heappop(self._timers)
            if handle.call is not None:
                handle.call()
            self.tick()
        self._now = end

    def sleep(self, seconds: float) -> None:
        """Let time pass while nothing runs, as for a stopped process."""
        self._now += seconds

    def suspend(self, seconds: float) -> None:
        """As `sleep`; then one pass."""
        self.sleep(seconds)
        due = []
        while self._timers and self._timers[0][0] <= self._now:
            due.append(heapq.heappop(self._timers)[2])
        for handle in due:
            if handle.call is not None:
                handle.call()
        self.tick()


def runtime(loop: FakeLoop) -> Runtime:
    """A runtime on a fake loop, turning."""
    work = Runtime(cast("asyncio.AbstractEventLoop", loop))
    work.timers.start()
    return work


class FakeTransport(asyncio.Transport):
    """Takes what is written; the test says how much of it the kernel has taken."""

    def __init__(self, protocol: Connection, **extra: object) -> None:
        super().__init__({"peername": ("192.0.2.1", 4000), **extra})
        self.protocol: asyncio.BaseProtocol = protocol
        self.written: list[bytes] = []
        self.buffered = 0
        self.high = 0
        self.closed = self.aborted = self.ended = False
        self.reading = True

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self.protocol = protocol

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self.high = high or 0

    def get_write_buffer_size(self) -> int:
        return self.buffered

    def write(self, data: bytes | bytearray | memoryview[Any]) -> None:
        if not self.closed:  # as the real ones
            self.written.append(bytes(data))

    def writelines(self, pieces: Iterable[bytes | bytearray | memoryview[Any]]) -> None:
        assert not self.closed  # asyncio's then spin for ever (Python 3.13)
        for piece in pieces:
            self.write(piece)

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.ended = True

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = self.aborted = True

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True


class FakeOwner:
    """Counts connections, and admits them or not."""

    def __init__(self, *, admits: bool = True) -> None:
        self.admits = admits
        self.open: list[Connection] = []
        self.closes = 0

    def opened(self, connection: Connection) -> bool:
        if self.admits:
            self.open.append(connection)
        return self.admits

    def closed(self, connection: Connection) -> None:
        self.open.remove(connection)
        self.closes += 1


class Recorder:
    """A handler that writes down what it hears. `react` does more, or raises."""

    def __init__(self, react: Callable[[str], object] = lambda call: None) -> None:
        self.calls: list[Any] = []
        self._react = react

    def _heard(self, name: str, *args: object) -> None:
        self.calls.append((name, *args) if args else name)
        self._react(name)

    def connected(self) -> None:
        self._heard("connected")

    def received(self, data: bytes) -> None:
        self._heard("received", data)

    def ended(self) -> None:
        self._heard("ended")

    def writable(self) -> None:
        self._heard("writable")

    def expired(self, now: float) -> None:
        self._heard("expired")

    def overdue(self, reason: Reason) -> None:
        self._heard("overdue", reason)

    def drain(self) -> None:
        self._heard("drain")

    def lost(self, cause: Exception | None) -> None:
        self._heard("lost", cause)


class Bench:
    """One connection on fakes."""

    def __init__(
        self,
        limits: ConnectionLimits | None = None,
        handler: Recorder | None = None,
        *,
        admits: bool = True,
        **extra: object,
    ) -> None:
        self.loop = FakeLoop()
        self.runtime = runtime(self.loop)
        self.owner = FakeOwner(admits=admits)
        self.handler = handler or Recorder()
        self.connection = Connection(self.runtime, limits or ConnectionLimits(), self.owner)
        self.connection.attach(self.handler)
        self.transport = FakeTransport(self.connection, **extra)

    def connect(self) -> Connection:
        """The transport is there; what the handler hears of that is forgotten."""
        self.connection.connection_made(self.transport)
        self.handler.calls.clear()
        return self.connection

    def lose(self, cause: Exception | None = None) -> None:
        """The transport is gone."""
        self.transport.closed = True
        self.connection.connection_lost(cause)

    @property
    def calls(self) -> list[Any]:
        """What the handler has heard since the last look."""
        calls, self.handler.calls = self.handler.calls, []
        return calls
