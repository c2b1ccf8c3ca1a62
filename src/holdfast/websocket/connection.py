"""One open WebSocket, as a program uses it: the same on the server and on the client. Hot path.

What comes is queued and read with `recv` or `async for`; a reader that waits
is stepped in the very call that brought the bytes (`Waiter`). What is sent
leaves at the end of the tick, in one write. Nothing is queued without limit:
a program that does not read stops the reading from the socket, a peer that
does not read is met by the policy for slow consumers.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Sequence
from typing import Any, Final, Literal

from msgspec import Struct

from holdfast.core.errors import BusyError, Reason
from holdfast.core.limits import Limits
from holdfast.core.rate import Flow, FlowRates
from holdfast.net.connection import Connection, Phase
from holdfast.protocols import websocket as ws
from holdfast.protocols.websocket import CloseCode, State
from holdfast.websocket.closed import ConnectionClosed, ConnectionClosedOK, how_it_ended
from holdfast.websocket.fragments import Data, fragments, to_bytes
from holdfast.websocket.pings import Pings
from holdfast.websocket.waiter import Waiter

Message = str | bytes
SlowPolicy = Literal["wait", "drop-volatile", "close"]

_OPEN: Final = State.OPEN
"""Looked up once: before Python 3.12 an enum's members are dear to reach."""
_BURST_BYTES: Final = 64 * 1024
"""Written in one tick before the transport gets it: it then says when it is full."""


class Settings(Struct, frozen=True):
    """What the WebSockets of one server or client share."""

    limits: Limits
    ping_interval: float | None
    """Seconds between pings; `None`: none are sent."""
    ping_timeout: float | None
    """Seconds of silence after a ping, after which the peer is gone; `None`: never."""
    slow: SlowPolicy
    """What `send` does while the peer does not read."""
    rates: FlowRates


class WebSocket:
    """A WebSocket. Made by `serve` and `connect`; it is a `Handler` of its connection."""

    __slots__ = (
        "__weakref__",
        "_asked",
        "_burst",
        "_connection",
        "_core",
        "_flow",
        "_gone",
        "_loop",
        "_messages",
        "_paused",
        "_pings",
        "_received",
        "_sent",
        "_settings",
        "_waiter",
        "_writable",
        "state",
    )

    def __init__(
        self,
        connection: Connection,
        core: ws.ServerConnection | ws.ClientConnection,
        settings: Settings,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        connection.answers = True
        self._connection = connection
        self._core = core
        self._settings = settings
        self._loop = loop
        self._messages: deque[Message] = deque()
        self._waiter = Waiter(loop)
        self._writable: asyncio.Event | None = None
        self._gone: asyncio.Event | None = None
        self._pings: Pings | None = None
        self._flow = Flow(settings.rates)
        self._paused = False
        self._burst = 0
        self._asked = 0.0
        self._received: ws.Close | None = None
        self._sent: ws.Close | None = None
        self.state = State.CONNECTING
        """CONNECTING, OPEN, CLOSING or CLOSED, as the program sees it: behind the core's while
        messages wait that came before the end."""

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

    # --- reading

    async def recv(self) -> Message:
        """The next message: `str` for text, `bytes` for binary.

        May be cancelled, by a time-out say, without losing a message or the
        connection. Raises `ConnectionClosed` at the end, `BusyError` if another
        task is reading.
        """
        messages = self._messages
        while not messages:
            if self.state is State.CLOSED:
                raise self._ended()
            if self._waiter.waiting:
                raise BusyError("another task is waiting for a message of this WebSocket")
            await self._waiter
        message = messages.popleft()
        if self._paused:
            self._take_more()
        return message

    def __aiter__(self) -> AsyncIterator[Message]:
        return self

    async def __anext__(self) -> Message:
        """As `recv`; ends where the WebSocket was closed in order."""
        messages = self._messages
        if messages and not self._paused:
            return messages.popleft()
        try:
            return await self.recv()
        except ConnectionClosedOK:
            raise StopAsyncIteration from None

    # --- writing

    async def send(
        self, message: Data | Iterable[Data] | AsyncIterable[Data], *, volatile: bool = False
    ) -> None:
        """Send a message: `str` as text, bytes as binary, an iterable in fragments.

        While the peer does not read, the policy for slow consumers decides:
        wait, drop what is `volatile`, or close. May be cancelled without harm,
        but for a message in fragments: half of one cannot be taken back, so the
        connection is closed. Raises `ConnectionClosed`.
        """
        if self.state is not _OPEN:
            raise self._ended()
        connection = self._connection
        if connection.full and not await self._may_send(volatile):
            return
        if isinstance(message, str):
            frame = self._core.encode_text(message.encode())
        elif type(message) is bytes:
            if len(message) >= ws.UNCOPIED_BYTES_MIN:
                for part in self._core.encode_all([message]):
                    self._write(part)
                return
            frame = self._core.encode_binary(message)
        elif isinstance(message, bytes | bytearray | memoryview):
            frame = self._core.encode_binary(bytes(message))
        else:
            await self._send_fragments(message)
            return
        self._write(frame)

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
        """Send a pong that nobody asked for, as a sign of life (RFC 6455 section 5.5.3)."""
        if self.state is not State.OPEN:
            raise self._ended()
        self._core.pong(to_bytes(data))
        self._send_queued()

    async def close(self, code: int = CloseCode.NORMAL, reason: str = "") -> None:
        """Close in order, and wait until it is closed; within the limit of time it is dropped."""
        self._begin_close(code, reason)
        await self.wait_closed()

    async def wait_closed(self) -> None:
        """Wait until the connection is gone."""
        if self._connection.phase is Phase.LOST:
            return
        if self._gone is None:
            self._gone = asyncio.Event()
        await self._gone.wait()

    def send_now(self, broadcast: ws.Broadcast) -> bool:
        """One recipient's part of `broadcast`: false if this one is closed or too slow."""
        core = self._core
        if self.state is not _OPEN or not isinstance(core, ws.ServerConnection):
            return False
        if self._connection.full:
            if self._settings.slow == "close":
                self._drop_slow()
            return False
        self._write(broadcast.frame(core))
        return True

    # --- Handler

    def connected(self) -> None:
        self._send_queued()

    def received(self, data: bytes) -> None:
        events = self._core.receive_data(data)
        if not self._flow.admit(len(events), len(data), self._connection.heard):
            self._begin_close(CloseCode.POLICY_VIOLATION, "too much, too fast")
        self._take(events)

    def _take(self, events: Sequence[ws.Event]) -> None:
        messages = self._messages
        for event in events:
            if type(event) is str or type(event) is bytes:
                messages.append(event)
            else:
                self._react(event)
        if messages:
            self._waiter.wake()
            if messages and not self._paused:
                self._take_less()

    def ended(self) -> None:
        self._core.receive_eof()
        self._connection.close()

    def writable(self) -> None:
        if self._writable is not None:
            self._writable.set()
            self._writable = None
        if self._paused:
            self._take_more()

    def expired(self, now: float) -> None:
        settings = self._settings
        interval, patience = settings.ping_interval, settings.ping_timeout
        if self.state is not State.OPEN or interval is None:
            self._connection.abort()  # the peer has not answered our Close frame, or not hung up
        elif not self._asked:
            self._core.rest()
            self._core.ping(self._get_pings().own())
            self._send_queued()
            if patience is not None:
                self._asked = now
            self._connection.wake_at(now + (interval if patience is None else patience))
        elif self._connection.heard >= self._asked or self._paused:
            # Any byte is a sign of life. While we do not listen, silence means nothing.
            self._connection.wake_at(max(now, self._asked + interval))
            self._asked = 0.0
        else:
            self._begin_close(CloseCode.INTERNAL_ERROR, "keep-alive: no answer to a ping")
            self._connection.abort()

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
        self.writable()
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
            self._connection.wake_at(self._loop.time() + self._settings.ping_interval)

    def _react(self, event: ws.Event) -> None:
        match event:
            case ws.Close():
                self._received = event
                self._end(event.code, "")
                self._end_transport()
            case ws.Violation(code, reason):
                self._end(code, reason)
                self._connection.close_on()  # it may be sending still, and is to read why
            case ws.Pong(data):
                if self._pings is not None:
                    self._pings.pong(data)
            case _:
                if self._core.state is State.OPEN:  # else a Close frame is queued, see `_end`
                    self._send_queued()
                    if self._connection.full:
                        self._listen_less()  # who does not read our pongs gets no more of them

    def _end(self, code: int, reason: str) -> None:
        """Nothing comes after this. The program may answer what came before it, then no more."""
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
        self._connection.wake_at(self._loop.time() + limit)

    def _drop_slow(self) -> None:
        """What is unsent will never be read, and so neither would a Close frame behind it."""
        self._begin_close(CloseCode.TRY_AGAIN_LATER, "you read too slowly")
        self._connection.abort()

    def _get_pings(self) -> Pings:
        if self._pings is None:
            self._pings = Pings(self._loop, self._settings.limits.websocket.pings_max)
        return self._pings

    # --- flow

    def _take_less(self) -> None:
        """Messages wait, because the program is busy: take no more bytes when they are many."""
        limits = self._settings.limits.websocket
        messages = self._messages
        if (
            len(messages) >= limits.queue_messages_max
            or sum(map(len, messages)) >= limits.queue_bytes_max
            or self._connection.full
        ):
            self._listen_less()

    def _listen_less(self) -> None:
        if self.state is State.OPEN:
            self._paused = True
            self._connection.pause_reading()

    def _take_more(self) -> None:
        limits = self._settings.limits.websocket
        messages = self._messages
        if (
            len(messages) <= limits.queue_messages_max // 4
            and sum(map(len, messages)) <= limits.queue_bytes_max // 4
        ):
            self._paused = False
            self._connection.resume_reading()

    def _write(self, frame: bytes) -> None:
        connection = self._connection
        connection.write(frame)
        self._burst += len(frame)
        if self._burst > _BURST_BYTES:
            self._burst = 0
            connection.flush()
            if connection.broken:
                connection.full = True  # so that a program that only sends waits for the end

    def _send_queued(self) -> None:
        data = self._core.data_to_send()
        if data:
            self._connection.write(data)

    async def _may_send(self, volatile: bool) -> bool:
        """The peer does not read: whether the message is to be sent, perhaps after a while."""
        slow = self._settings.slow
        if slow == "close":
            self._drop_slow()
            raise self._ended()
        if volatile and slow == "drop-volatile":
            await asyncio.sleep(0)  # a program that only sends must not keep all others waiting
            return False
        while self._connection.full:
            if self._writable is None:
                self._writable = asyncio.Event()
            await self._writable.wait()
            if self.state is not State.OPEN:
                raise self._ended()
        return True

    async def _send_fragments(self, parts: Iterable[Data] | AsyncIterable[Data]) -> None:
        """Each part a frame, and an empty one to end with."""
        begun = False
        try:
            async for part in fragments(parts):
                if self.state is not State.OPEN:
                    raise self._ended()
                if self._connection.full:
                    await self._may_send(volatile=False)
                self._write(
                    self._core.encode_fragment(
                        part.data, text=part.text, first=part.first, final=part.final
                    )
                )
                begun = not part.final
        except ConnectionClosed:
            raise
        except BaseException:
            if begun:
                self._begin_close(CloseCode.INTERNAL_ERROR, "a message was not finished")
            raise


def broadcast(sockets: Iterable[WebSocket], message: Message) -> Sequence[WebSocket]:
    """Send one message on many of a server's WebSockets, encoded and compressed once.

    Returns those that did not get it, because they are closed or read too
    slowly: nobody is waited for.
    """
    made = ws.Broadcast(message)
    return [socket for socket in sockets if not socket.send_now(made)]
