"""The lifecycle of one WebSocket: opening, keep-alive, closing.

Two Close frames end it, one of each side (RFC 6455 section 7). A peer that is silent, does not
read, or does not close is dropped at a time limit. `connection` reads and writes messages.
"""

from __future__ import annotations

import asyncio
import random
from typing import Any, Literal

from msgspec import Struct

from holdfast.core.beats import first_beat
from holdfast.core.errors import Reason
from holdfast.core.limits import Limits
from holdfast.core.rate import FlowRates
from holdfast.net.connection.connection import Connection
from holdfast.net.connection.handler import Phase
from holdfast.net.runtime.waiter import Waiter
from holdfast.protocols import websocket as ws
from holdfast.protocols.websocket import CloseCode, State
from holdfast.websocket.closed import ConnectionClosed, how_it_ended
from holdfast.websocket.fragments import Data, to_bytes
from holdfast.websocket.pings import Pings

SlowPolicy = Literal["wait", "drop-volatile", "close"]


class WebSocketSettings(Struct, frozen=True):
    """The state that the WebSockets of one server or client share."""

    limits: Limits
    ping_interval: float | None
    """Seconds between pings; `None`: none are sent."""
    ping_timeout: float | None
    """Seconds of silence after a ping until the peer counts as gone; `None`: never."""
    slow: SlowPolicy
    """What `send` does while the peer does not read."""
    rates: FlowRates


class Lifecycle:
    """A `WebSocket` without its messages."""

    __slots__ = (
        "__weakref__",
        "_asked",
        "_connection",
        "_core",
        "_gone",
        "_loop",
        "_message",
        "_message_since",
        "_paused",
        "_pings",
        "_received",
        "_sent",
        "_settings",
        "_waiter",
        "state",
    )

    def __init__(
        self,
        connection: Connection,
        core: ws.ServerConnection | ws.ClientConnection,
        settings: WebSocketSettings,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._connection = connection
        self._core = core
        self._settings = settings
        self._loop = loop
        self._waiter = Waiter(loop)
        self._gone: asyncio.Event | None = None
        self._pings: Pings | None = None
        self._paused = False
        self._asked = 0.0
        self._message = 0
        """The message that was seen to be unfinished, and since when."""
        self._message_since = 0.0
        self._received: ws.Close | None = None
        self._sent: ws.Close | None = None
        self.state = State.CONNECTING
        """CONNECTING, OPEN, CLOSING or CLOSED, as the program sees it: later than the core's
        state while messages wait that came before the end."""

    # --- what it is

    @property
    def subprotocol(self) -> str | None:
        """The sub-protocol that both sides agreed on."""
        return self._core.subprotocol

    @property
    def remote_address(self) -> Any:
        """The peer's address, as its socket gives it."""
        return self._connection.extra("peername")

    @property
    def local_address(self) -> Any:
        """Our end's address."""
        return self._connection.extra("sockname")

    @property
    def latency(self) -> float:
        """The newest round trip of a ping in seconds; 0 before the first."""
        return self._pings.latency if self._pings is not None else 0.0

    @property
    def close_code(self) -> int | None:
        """The peer's close code; 1006 where it sent none; `None` while open."""
        return self._ended().code if self.state is State.CLOSED else None

    @property
    def close_reason(self) -> str | None:
        """The peer's reason; `None` while open."""
        return self._ended().reason if self.state is State.CLOSED else None

    # --- what a program does

    async def ping(self, data: Data | None = None) -> asyncio.Future[float]:
        """Send a ping; awaiting what this returns gives the round trip in seconds.

        Raises `ConnectionClosed`; `BusyError` if too many pings are under way.
        """
        if self.state is not State.OPEN:
            raise self._ended()
        given = to_bytes(data) if data is not None else None
        payload, future = self._get_pings().begin(given)
        self._core.ping(payload)
        self._send_queued()
        return future

    async def pong(self, data: Data = b"") -> None:
        """Send an unsolicited pong (RFC 6455 section 5.5.3)."""
        if self.state is not State.OPEN:
            raise self._ended()
        self._core.pong(to_bytes(data))
        self._send_queued()

    async def close(self, code: int = CloseCode.NORMAL, reason: str = "") -> None:
        """Close in order, and wait until it is closed; within the limit of time it is dropped."""
        self._begin_close(code, reason)
        await self.wait_closed()

    async def wait_closed(self) -> None:
        """Wait until the connection has ended."""
        if self._connection.phase is Phase.LOST:
            return
        if self._gone is None:
            self._gone = asyncio.Event()
        await self._gone.wait()

    # --- Handler

    def connected(self) -> None:
        self._send_queued()

    def ended(self) -> None:
        self._core.receive_eof()
        self._connection.close()

    def expired(self, now: float) -> None:
        settings = self._settings
        interval, patience = settings.ping_interval, settings.ping_timeout
        if self.state is not State.OPEN or interval is None:
            self._connection.abort()  # the peer has not answered our Close frame, or not hung up
        elif self._drips(now):
            self._begin_close(CloseCode.POLICY_VIOLATION, "a message took too long")
        elif not self._asked:
            self._core.rest()
            self._core.ping(self._get_pings().own())
            self._send_queued()
            if patience is not None:
                self._asked = now
            self._connection.wake_at(now + (interval if patience is None else patience))
        elif self._connection.heard >= self._asked or self._paused or self._connection.held:
            # Any byte is a sign of life. While we do not listen, silence means nothing.
            self._connection.wake_at(max(now, self._asked + interval))
            self._asked = 0.0
        else:
            self._begin_close(CloseCode.INTERNAL_ERROR, "keep-alive: no answer to a ping")
            self._connection.abort()

    def _drips(self, now: float) -> bool:
        """Whether the peer takes too long for one message; while it is not read it may."""
        unfinished = 0 if self._paused or self._connection.held else self._core.unfinished
        if unfinished != self._message:
            self._message, self._message_since = unfinished, now
        limit = self._settings.limits.websocket.message_seconds_max
        return bool(unfinished) and now - self._message_since >= limit

    def overdue(self, reason: Reason) -> None:
        if reason is Reason.SLOW_CONSUMER:
            self._drop_slow()
        elif not self._paused:
            self._begin_close(CloseCode.GOING_AWAY, "nothing was heard for too long")

    def drain(self) -> None:
        self._begin_close(CloseCode.GOING_AWAY, "the server is stopping")

    def lost(self, cause: Exception | None) -> None:
        self.state = State.CLOSED
        self._core.receive_eof()
        if self._pings is not None:
            self._pings.fail(self._ended())
        self._waiter.wake()
        if self._gone is not None:
            self._gone.set()

    # --- inside

    def _ended(self) -> ConnectionClosed:
        return how_it_ended(self._received, self._sent)

    def _opened(self) -> None:
        """The handshake is done."""
        self.state = State.OPEN
        self._connection.established()
        if self._settings.ping_interval is not None:
            first = first_beat(self._settings.ping_interval, random.random())
            self._connection.wake_at(self._connection.time() + first)

    def _end(self, code: int, reason: str) -> None:
        """The last message was received. The program may answer earlier ones, then no more."""
        self._waiter.wake()
        if self._sent is None:
            self._sent = ws.Close(code, reason)
        self.state = State.CLOSED
        self._send_queued()
        self._waiter.wake()

    def _end_transport(self) -> None:
        """Both Close frames are exchanged: the server closes first (section 7.1.1)."""
        self._connection.close()

    def _begin_close(self, code: int, reason: str) -> None:
        if self.state is not State.OPEN or self._core.state is not State.OPEN:
            return
        self._core.close(code, reason)
        self.state = State.CLOSING
        self._sent = ws.Close(code, reason)
        self._send_queued()
        self._hang_up_later()
        self._connection.resume_reading()  # the peer's Close frame must get in
        self._paused = False

    def _hang_up_later(self) -> None:
        """Drop the connection if the peer does not end it within the limit of time."""
        limit = self._settings.limits.connection.close_seconds_max
        self._connection.wake_at(self._connection.time() + limit)

    def _drop_slow(self) -> None:
        """Unsent output will never be read, and neither would a Close frame after it."""
        self._begin_close(CloseCode.TRY_AGAIN_LATER, "you read too slowly")
        self._connection.abort()

    def _get_pings(self) -> Pings:
        if self._pings is None:
            self._pings = Pings(self._loop, self._settings.limits.websocket.pings_max)
        return self._pings

    def _send_queued(self) -> None:
        data = self._core.data_to_send()
        if data:
            self._connection.write(data)
