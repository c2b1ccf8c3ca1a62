"""One open WebSocket, the same on the server and on the client. Hot path.

Received messages are queued and read with `recv` or `async for`; a waiting reader is stepped in
the call that received the bytes (`Waiter`). Sent messages leave at the end of the tick, in one
write. Queues are bounded: when the program does not read, reading from the socket stops; when
the peer does not read, the policy for slow consumers applies.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Sequence
from typing import Final

from holdfast.core.errors import BusyError
from holdfast.core.items import utf8_bytes
from holdfast.core.rate import Flow
from holdfast.net.connection.connection import Connection
from holdfast.protocols import websocket as ws
from holdfast.protocols.websocket import CloseCode, State
from holdfast.websocket.closed import ConnectionClosed, ConnectionClosedOK
from holdfast.websocket.fragments import Data, fragments
from holdfast.websocket.lifecycle import Lifecycle, WebSocketSettings

Message = str | bytes

_OPEN: Final = State.OPEN
"""Looked up once: before Python 3.12 an enum's members are dear to reach."""
_BURST_BYTES: Final = 64 * 1024
"""Bytes written in one tick before they are passed to the transport, which then reports
back-pressure."""


class WebSocket(Lifecycle):
    """A WebSocket. Made by `serve` and `connect`; it is a `Handler` of its connection."""

    __slots__ = ("_behind", "_burst", "_flow", "_fragmented", "_messages", "_writable")

    def __init__(
        self,
        connection: Connection,
        core: ws.ServerConnection | ws.ClientConnection,
        settings: WebSocketSettings,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        super().__init__(connection, core, settings, loop)
        connection.answers = True
        self._messages: deque[Message] = deque()
        self._writable: asyncio.Event | None = None
        self._flow = Flow(settings.rates)
        self._burst = 0
        self._fragmented: asyncio.Event | None = None
        """While a message is sent in fragments: set at its end. No other message may come
        between them (RFC 6455 section 5.4)."""
        self._behind: list[ws.Broadcast] = []
        """Broadcasts that wait for that end."""

    # --- reading

    async def recv(self) -> Message:
        """Return the next message: `str` for text, `bytes` for binary.

        May be cancelled, by a time-out say, without losing a message or the connection. Raises
        `ConnectionClosed` at the end, `BusyError` if another task is reading.
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

        While the peer does not read, the policy for slow consumers applies: wait, drop
        `volatile` messages, or close. While another task sends a message in fragments, this
        waits for its end. May be cancelled safely, except for a message in fragments: half a
        message cannot be undone, so the connection is closed. Raises `ConnectionClosed`.
        """
        if self.state is not _OPEN:
            raise self._ended()
        connection = self._connection
        busy = connection.full or self._fragmented is not None
        if busy and not await self._may_send(volatile):
            return
        if isinstance(message, str):
            frame = self._core.encode_text(message.encode())
        elif type(message) is bytes:
            if len(message) >= ws.UNCOPIED_BYTES_MIN:
                for part in self._core.encode_parts(message):
                    self._write(part)
                return
            frame = self._core.encode_binary(message)
        elif isinstance(message, bytes | bytearray | memoryview):
            frame = self._core.encode_binary(bytes(message))
        else:
            await self._send_fragments(message)
            return
        self._write(frame)

    def send_now(self, broadcast: ws.Broadcast) -> bool:
        """One recipient's part of `broadcast`: false if this one is closed or too slow."""
        core = self._core
        if self.state is not _OPEN or not isinstance(core, ws.ServerConnection):
            return False
        if self._connection.full:
            if self._settings.slow == "close":
                self._drop_slow()
            return False
        if self._fragmented is not None:
            return self._send_behind(broadcast)
        self._write(broadcast.frame(core))
        return True

    # --- Handler

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

    def lost(self, cause: Exception | None) -> None:
        super().lost(cause)
        self.writable()
        if self._fragmented is not None:
            self._fragmented.set()  # wake the task that waits for it

    def writable(self) -> None:
        if self._writable is not None:
            self._writable.set()
            self._writable = None
        if self._paused:
            self._take_more()

    def _react(self, event: ws.Event) -> None:
        match event:
            case ws.Close():
                self._received = event
                self._end(event.code, "")
                self._end_transport()
            case ws.Violation(code, reason):
                self._end(code, reason)
                self._connection.close_on()  # it may be sending still, and must get the reason
            case ws.Pong(data):
                if self._pings is not None:
                    self._pings.pong(data)
            case _:
                if self._core.state is State.OPEN:  # else a Close frame is queued, see `_end`
                    self._send_queued()
                    if self._connection.full:
                        self._listen_less()  # a peer that does not read our pongs gets no more

    # --- flow

    def _take_less(self) -> None:
        """Messages wait, because the program is busy: take no more bytes when they are many."""
        limits = self._settings.limits.websocket
        messages = self._messages
        if (
            len(messages) >= limits.queue_messages_max
            or _amount_to(messages, limits.queue_bytes_max)
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
        if len(messages) <= limits.queue_messages_max // 4 and not _amount_to(
            messages, limits.queue_bytes_max // 4 + 1
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

    async def _may_send(self, volatile: bool) -> bool:
        """Wait until a message may go out; false if it is to be dropped instead."""
        while True:
            if self._connection.full:
                if not await self._until_writable(volatile):
                    return False
            elif self._fragmented is not None:
                await self._fragmented.wait()
            else:
                return True
            if self.state is not State.OPEN:
                raise self._ended()

    async def _until_writable(self, volatile: bool) -> bool:
        """The peer does not read: wait until it does; false if the message is to be dropped."""
        slow = self._settings.slow
        if slow == "close":
            self._drop_slow()
            raise self._ended()
        if volatile and slow == "drop-volatile":
            await asyncio.sleep(0)  # a program that only sends must not keep all others waiting
            return False
        if self._writable is None:
            self._writable = asyncio.Event()
        await self._writable.wait()
        return True

    async def _send_fragments(self, parts: Iterable[Data] | AsyncIterable[Data]) -> None:
        """Each part a frame, and an empty one to end with. Nothing comes between them."""
        self._fragmented = asyncio.Event()
        begun = False
        try:
            async for part in fragments(parts):
                if self.state is not State.OPEN:
                    raise self._ended()
                while self._connection.full:
                    await self._until_writable(volatile=False)
                    if self.state is not State.OPEN:
                        raise self._ended()
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
        finally:
            self._end_fragments()

    def _send_behind(self, broadcast: ws.Broadcast) -> bool:
        """Keep a broadcast for after the message in fragments; false if too many wait."""
        limit = self._settings.limits.connection.write_buffer_bytes_max
        if sum(waiting.size for waiting in self._behind) >= limit:
            return False
        self._behind.append(broadcast)
        return True

    def _end_fragments(self) -> None:
        """The message was sent, or will never be."""
        fragmented, self._fragmented = self._fragmented, None
        behind, self._behind = self._behind, []
        if self.state is State.OPEN and isinstance(self._core, ws.ServerConnection):
            for each in behind:
                self._write(each.frame(self._core))
        if fragmented is not None:
            fragmented.set()


def broadcast(sockets: Iterable[WebSocket], message: Message) -> Sequence[WebSocket]:
    """Send one message on many of a server's WebSockets, encoded and compressed once.

    Does not wait. Returns the WebSockets that did not get it, because they are closed or read
    too slowly.
    """
    made = ws.Broadcast(message)
    return [socket for socket in sockets if not socket.send_now(made)]


def _amount_to(messages: Iterable[str | bytes], size: int) -> bool:
    """Whether the messages have at least `size` bytes (text in UTF-8) together."""
    chars = sum(map(len, messages))
    if not chars < size <= 4 * chars:  # it is sure without a look at the text
        return chars >= size
    return sum(utf8_bytes(it) if isinstance(it, str) else len(it) for it in messages) >= size
