"""Reconnection: dial, disconnect, wait with growing delays, dial again.

A `ClientHandler` implements the protocol of a connection; the events of all connections are
read from one queue.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import ssl
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final, Generic, TypeVar

from msgspec import Struct

from holdfast.client.gateway_addresses import GatewayAddresses
from holdfast.core.backoff import Backoff
from holdfast.core.errors import ClosedError, Reason
from holdfast.core.limits import Limits
from holdfast.net.connection.connection import Connection
from holdfast.net.connection.handler import Handler
from holdfast.net.dial.dial import DialError, dial
from holdfast.net.runtime.runtime import client_runtime
from holdfast.net.tls.contexts import client_context

E = TypeVar("E")
H = TypeVar("H", bound="ClientHandler")

_FIRST_PAUSE_SECONDS: Final = 0.1
_PAUSE_SECONDS_MAX: Final = 10.0
"""Between two connections, if the gateway asks for no longer pause."""
_RETRY_SECONDS_MAX: Final = 3_600.0
"""The longest pause that a gateway may ask for."""
_EVENTS_MAX: Final = 10_000
"""Events that wait to be read, at which no more are taken from the socket."""


class Offline(Struct, frozen=True):
    """The connection is lost; the next attempt is in `retry_seconds`."""

    reason: str
    retry_seconds: float


class Ended(Struct, frozen=True):
    """The last event: the session is not resumed by itself."""

    reason: str


LOST: Final = "the connection was lost"


class ClientHandler(Handler):
    """The protocol on one connection of a client."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.online_at: float | None = None
        """When it had a session first."""
        self.reason = LOST
        """Why it ended."""
        self.retry_seconds: float | None = 0.0
        """The delay that the gateway requested; `None`: do not reconnect."""
        self.elsewhere = False
        """Whether the gateway ended it for a reason that another gateway may not have."""

    @property
    def online(self) -> bool:
        """Whether it has had a session."""
        return self.online_at is not None

    def came_online(self) -> None:
        """The connection has a session."""
        self.online_at = self.connection.time()

    @property
    def lasted(self) -> float:
        """For how many seconds it has had a session."""
        return 0.0 if self.online_at is None else self.connection.time() - self.online_at

    def ended(self) -> None:
        self.connection.close()

    def writable(self) -> None:
        pass

    def expired(self, now: float) -> None:
        pass

    def overdue(self, reason: Reason) -> None:
        self.reason = reason.value
        self.connection.abort()

    def drain(self) -> None:
        self.connection.close()


Prepare = Callable[[], Awaitable[str]]
"""Called before each connection. Returns why there can be none now, or nothing."""


class Reconnector(Generic[E, H]):
    """One client's connections, one after the other, and the events of all of them."""

    def __init__(
        self,
        gateways: GatewayAddresses,
        make: Callable[[Connection], H],
        limits: Limits,
        tls: ssl.SSLContext | None,
        prepare: Prepare | None = None,
    ) -> None:
        self.handler: H | None = None
        """The protocol on the current connection, if there is one."""
        self._gateways = gateways
        self._make = make
        self._prepare = prepare
        self._limits = limits
        self._tls = tls or (client_context() if gateways.secure else None)
        self._runtime = client_runtime(asyncio.get_running_loop())
        self._events: deque[E | Offline | Ended] = deque()
        self._arrived = asyncio.Event()
        self._moved = asyncio.Event()
        self._lost = asyncio.Event()
        self._hurry = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._over = False

    # --- events

    def put(self, event: E | Offline | Ended) -> None:
        """Add an event to the queue."""
        self._events.append(event)
        self._arrived.set()
        if self.full:
            self._room.clear()
            if self.handler is not None:
                self.handler.connection.pause_reading()

    @property
    def full(self) -> bool:
        """Whether so many events wait that reading from the gateway is paused."""
        return len(self._events) >= _EVENTS_MAX

    async def receive(self) -> E | Offline | Ended:
        """The next event. Raises `ClosedError` after `Ended`."""
        while not self._events:
            if self._over:
                raise ClosedError("the session has ended")
            self._arrived.clear()
            await self._arrived.wait()
        event = self._events.popleft()
        if not self.full and not self._room.is_set():
            self._room.set()
            if self.handler is not None:
                self.handler.connection.resume_reading()
        return event

    def moved(self) -> None:
        """Something has been sent or acknowledged."""
        self._moved.set()

    async def wait_while(self, waits: Callable[[], bool]) -> None:
        """Wait until `waits`, asked at every `moved`, is false. Raises `ClosedError` at the end."""
        while waits():
            if self._over:
                raise ClosedError("the session has ended")
            self._moved.clear()
            await self._moved.wait()

    async def events(self) -> AsyncIterator[E | Offline | Ended]:
        """All events, to the last one."""
        with contextlib.suppress(ClosedError):
            while True:
                yield await self.receive()

    # --- connections

    def reconnect(self) -> None:
        """Try now, instead of after the pause; a connection that is open is dropped."""
        self._hurry.set()
        if self.handler is not None:
            self.handler.connection.abort()

    def lost(self) -> None:
        """The connection is lost."""
        self._lost.set()

    async def run(self) -> None:
        """Keep connected until the session ends."""
        self._runtime.hold()
        several = len(self._gateways)
        backoff = Backoff(_FIRST_PAUSE_SECONDS, _PAUSE_SECONDS_MAX, round_attempts=several)
        try:
            while True:
                await self._room.wait()
                reason, retry, lasted = await self._one_connection()
                if retry is None:
                    self.put(Ended(reason))
                    return
                pause = backoff.pause(random.random(), lasted)
                wait = max(min(retry, _RETRY_SECONDS_MAX), pause)
                self.put(Offline(reason, wait))
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(wait):
                        await self._hurry.wait()
                self._hurry.clear()
        finally:
            self._over = True
            self._arrived.set()
            self._moved.set()
            self._runtime.release()

    async def _one_connection(self) -> tuple[str, float | None, float]:
        """Dial, and wait for the end: returns its reason, the pause asked for, and its duration."""
        self._lost.clear()

        def make(connection: Connection) -> H:
            self.handler = self._make(connection)
            return self.handler

        if self._prepare is not None:
            fault = await self._prepare()
            if fault:
                return fault, 0.0, 0.0
        try:
            connection = await dial(
                self._gateways.current,
                make,
                clockwork=self._runtime,
                limits=self._limits.connection,
                tls=self._tls,
            )
        except DialError as error:
            self.handler = None
            self._gateways.move_on()
            return str(error), 0.0, 0.0
        try:
            await self._lost.wait()
        finally:
            connection.abort()
        handler, self.handler = self.handler, None
        assert handler is not None
        if handler.elsewhere or not handler.online:
            self._gateways.move_on()
        return handler.reason, handler.retry_seconds, handler.lasted
