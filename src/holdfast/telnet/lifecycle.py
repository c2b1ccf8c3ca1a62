"""The life of one Telnet connection: what comes, when time passes, and how it ends. Hot path.

Received lines are queued, and a waiting reader is stepped in the call that received the bytes
(`Waiter`). Everything else that is received is an event, given to `on_event` as it comes. What
is sent in one tick leaves in one write, compressed once. When the program does not read,
reading from the socket stops. `connection` reads and writes lines.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Any, Final

from holdfast.core.errors import Reason
from holdfast.net.connection.connection import Connection
from holdfast.net.connection.handler import Phase
from holdfast.net.log import RateLimitedLogger
from holdfast.net.runtime.runtime import Runtime
from holdfast.net.runtime.waiter import Waiter
from holdfast.protocols.telnet.client import TelnetClient
from holdfast.protocols.telnet.events import Event, Prompt, Violation
from holdfast.protocols.telnet.server import TelnetServer
from holdfast.telnet.settings import Settings

_log: Final = RateLimitedLogger("holdfast.telnet")


class Lifecycle:
    """A `Telnet` without its lines: the `Handler` of its connection."""

    __slots__ = (
        "__weakref__",
        "_burst",
        "_connection",
        "_core",
        "_ended",
        "_flushing",
        "_gone",
        "_lines",
        "_paused",
        "_reason",
        "_runtime",
        "_settings",
        "_tokens",
        "_waiter",
        "_writable",
        "data",
    )

    def __init__(
        self,
        connection: Connection,
        core: TelnetServer | TelnetClient,
        settings: Settings,
        runtime: Runtime,
    ) -> None:
        self.data: Any = None
        """The program's own."""
        self._connection = connection
        self._core = core
        self._settings = settings
        self._runtime = runtime
        self._lines: deque[str | Prompt] = deque()
        self._waiter = Waiter(runtime.loop)
        self._writable: asyncio.Event | None = None
        self._gone: asyncio.Event | None = None
        self._ended = False
        """No more lines will come."""
        self._reason = "the peer has left"
        self._paused = False
        self._flushing = False
        """Output is taken from the core at the end of this tick, or of this call."""
        self._burst = 0
        self._tokens = -1
        """The core's count when its deadline was asked for."""
        connection.answers = True

    # --- the end

    async def close(self) -> None:
        """Send what is queued, close, and wait until the connection has ended."""
        self.end()
        await self.wait_closed()

    def end(self) -> None:
        """Send what is queued, and close; what the peer still sends is ignored."""
        self._flush()
        self._ended = True
        self._connection.close_on()
        self._waiter.wake()

    async def wait_closed(self) -> None:
        """Wait until the connection has ended."""
        if self._connection.phase is Phase.LOST:
            return
        if self._gone is None:
            self._gone = asyncio.Event()
        await self._gone.wait()

    # --- Handler

    def connected(self) -> None:
        self._connection.established()
        self._flush()
        self._look_at_time()

    def received(self, data: bytes) -> None:
        if self._ended:
            return
        flushing, self._flushing = self._flushing, True  # what is sent meanwhile goes out below
        core = self._core
        self._take(core.receive_data(data, self._connection.now))
        self._flushing = flushing
        self._flush()
        if core.tokens != self._tokens:
            self._look_at_time()

    def _take(self, events: Sequence[Event]) -> None:
        lines = self._lines
        for event in events:
            if type(event) is str:
                lines.append(event)
            else:
                self._react(event)
        if lines:
            self._waiter.wake()
            if len(lines) >= self._settings.limits.telnet.queue_lines_max and not self._paused:
                self._paused = True
                self._connection.pause_reading()

    def _react(self, event: Event) -> None:
        if isinstance(event, Violation):
            self._reason = f"protocol error: {event.reason.value}"
            _log.info(
                "protocol error of a peer", peer=self._connection.peer, fault=event.reason.value
            )
        if self._settings.on_event is not None:
            self._settings.on_event(self, event)
        if isinstance(event, Violation):
            self.end()

    def _look_at_time(self) -> None:
        self._tokens = self._core.tokens
        due = self._core.next_deadline()
        if due is not None:
            self._connection.wake_at(due)

    def expired(self, now: float) -> None:
        self._take(self._core.handle_timer(now))
        self._flush()
        self._look_at_time()

    def writable(self) -> None:
        if self._writable is not None:
            self._writable.set()
            self._writable = None

    def ended(self) -> None:
        self._core.receive_eof()
        self._ended = True
        self._waiter.wake()

    def overdue(self, reason: Reason) -> None:
        if reason is Reason.SLOW_CONSUMER:
            self._reason = "the peer does not read"
            self._connection.abort()
        elif not self._paused:
            self._reason = "nothing was heard for too long"
            self.end()

    def drain(self) -> None:
        self._reason = "the server is stopping"
        self.end()

    def lost(self, cause: Exception | None) -> None:
        self._core.receive_eof()
        self._ended = True
        self._waiter.wake()
        self.writable()
        if self._gone is not None:
            self._gone.set()

    # --- inside

    def _flush_later(self) -> None:
        if not self._flushing:
            self._flushing = True
            self._runtime.coalescer.add(self._flush_tick)

    def _flush_tick(self) -> None:
        self._flushing = False
        self._flush()

    def _flush(self) -> None:
        data = self._core.data_to_send()
        if data:
            self._connection.write(data)
