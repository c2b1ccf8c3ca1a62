"""Connections as streams: a coroutine for each client.

There is one task for a connection, none for a message. `serve` is the whole server in one call.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Final

from holdfast.core.errors import ClosedError, ConfigurationError, LimitExceededError, Reason
from holdfast.core.limits import ConnectionLimits, DrainLimits
from holdfast.net.addresses import Address, InvalidAddressError, parse_address
from holdfast.net.connection.connection import Connection
from holdfast.net.connection.handler import Handler, Phase
from holdfast.net.connection.observer import Observer
from holdfast.net.log import RateLimitedLogger
from holdfast.net.runtime.loop import unwrapped
from holdfast.net.runtime.runtime import Runtime
from holdfast.net.runtime.tasks import consists_of
from holdfast.net.server.inherited import Inherited
from holdfast.net.server.server import DEFAULT, ListenOptions, Server
from holdfast.net.server.service import serve_until_stopped
from holdfast.net.tls.certificates import ServerTls
from holdfast.net.tls.describe import TlsInfo
from holdfast.net.tls.options import TlsOptions
from holdfast.protocols.frames import Framing

_log: Final = RateLimitedLogger("holdfast.net")

_BURST_BYTES: Final = 64 * 1024
"""Written before the transport gets it, within one tick."""


class InvalidHandlerError(ConfigurationError):
    """The object to serve clients with is not callable."""


class StreamClosedError(ClosedError):
    """The connection has ended early. `partial` has the bytes so far."""

    retryable = True

    def __init__(self, message: str, partial: bytes = b"") -> None:
        super().__init__(message)
        self.partial = partial


class IdleTimeoutError(StreamClosedError):
    """The client was silent, or connected, for longer than the limits allow."""


class Stream:
    """One connection, read and written by a coroutine."""

    def __init__(self, connection: Connection, limits: ConnectionLimits) -> None:
        self.connection = connection
        self.draining = asyncio.Event()
        self._limits = limits
        self._data = bytearray()
        self._ended = False
        self._overdue: Reason | None = None
        self._cause: Exception | None = None
        self._changed = asyncio.Event()
        self._burst = 0
        self._writable = asyncio.Event()
        self._writable.set()

    # --- what there is to know

    @property
    def peer(self) -> str:
        """The client's address, as a trusted proxy reported it if there is one."""
        return self.connection.peer

    @property
    def tls(self) -> TlsInfo | None:
        """The TLS parameters and the client's identity; `None` without TLS."""
        return self.connection.tls

    @property
    def state(self) -> Phase:
        """The phase of the connection."""
        return self.connection.phase

    # --- reading

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._chunks()

    async def _chunks(self) -> AsyncIterator[bytes]:
        while data := await self.read(self._limits.read_buffer_bytes_max):
            yield data

    async def read(self, bytes_max: int) -> bytes:
        """Return the available bytes, at least one; empty at the end."""
        while not self._data and not self._over:
            await self._wait()
        if not self._data and self._overdue is not None:
            raise IdleTimeoutError("the client was silent or connected for too long")
        if not self._data and self._cause is not None:
            raise StreamClosedError(f"the connection broke: {self._cause}") from self._cause
        return self._take(min(bytes_max, len(self._data)))

    async def read_exactly(self, count: int) -> bytes:
        """`count` bytes. Raises `StreamClosedError` when the end comes first."""
        self._check(count)
        while len(self._data) < count:
            await self._wait_for(f"{count} bytes")
        return self._take(count)

    async def read_until(self, delimiter: bytes, bytes_max: int) -> bytes:
        """Up to and with `delimiter`.

        Raises `StreamClosedError` when the end comes first, `LimitExceededError`
        when it is not among the next `bytes_max` bytes.
        """
        self._check(bytes_max)
        while (at := self._data.find(delimiter, 0, bytes_max)) < 0:
            if len(self._data) >= bytes_max:
                raise LimitExceededError(f"expected {delimiter!r} within {bytes_max} bytes")
            await self._wait_for(repr(delimiter))
        return self._take(at + len(delimiter))

    async def frames(self, framing: Framing) -> AsyncIterator[bytes]:
        """The frames of the stream, to its end. Raises `FrameError`, or as `read` does."""
        while data := await self.read(self._limits.read_buffer_bytes_max):
            for frame in framing.receive_data(data):
                yield frame
        framing.receive_eof()

    def _check(self, count: int) -> None:
        if count > self._limits.read_buffer_bytes_max:
            raise LimitExceededError(
                f"expected at most read_buffer_bytes_max = {self._limits.read_buffer_bytes_max}"
                f" bytes, found {count}"
            )

    @property
    def _over(self) -> bool:
        return self._ended or self.draining.is_set() or self._overdue is not None

    async def _wait_for(self, what: str) -> None:
        if not self._over:
            await self._wait()
            return
        partial = bytes(self._data)
        if self._overdue is not None:
            raise IdleTimeoutError(f"expected {what}, found silence", partial)
        raise StreamClosedError(
            f"expected {what}, found the end after {len(partial)} bytes", partial
        ) from self._cause

    async def _wait(self) -> None:
        self._changed.clear()
        await self._changed.wait()

    def _take(self, count: int) -> bytes:
        data = bytes(self._data[:count])
        del self._data[:count]
        if len(self._data) < self._limits.read_buffer_bytes_max:
            self.connection.resume_reading()
        return data

    # --- writing

    async def write(self, data: bytes) -> None:
        """Write `data`; wait while the client is behind. Raises `StreamClosedError`."""
        self._check_open()
        connection = self.connection
        connection.write(data)
        self._burst += len(data)
        if self._burst >= _BURST_BYTES:
            self._burst = 0
            connection.flush()  # the transport reports that it is full only once it has the bytes
            if not connection.full:
                await asyncio.sleep(0)  # a writer must not keep all others waiting
        if connection.full:
            self._writable.clear()
            await self._writable.wait()
            self._check_open()

    def _check_open(self) -> None:
        if self.connection.phase is Phase.LOST or self.connection.broken:
            raise StreamClosedError("the connection is gone") from self._cause

    def close(self) -> None:
        """Send the written data, and close. A client that still sends gets to read it."""
        self.connection.close_on()

    def hand_over(self, handler: Handler) -> None:
        """Put another handler on the connection, which gets the input that was not read.

        This stream hears nothing more.
        """
        connection = self.connection
        if connection.phase is Phase.LOST:
            handler.lost(self._cause)
            return
        data = self._take(len(self._data))
        connection.attach(handler)
        if data:
            handler.received(data)
        if self._ended:
            handler.ended()
        if not connection.full:
            handler.writable()

    # --- Handler of the connection

    def connected(self) -> None:
        """The transport is there."""
        self.connection.established()

    def received(self, data: bytes) -> None:
        """Keep input for the reader."""
        self._data += data
        if len(self._data) >= self._limits.read_buffer_bytes_max:
            self.connection.pause_reading()
        self._changed.set()

    def ended(self) -> None:
        """The client sends nothing more."""
        self._ended = True
        self._changed.set()

    def writable(self) -> None:
        """Wake the waiting writer."""
        self._writable.set()

    def expired(self, now: float) -> None:
        """A stream asks for no time."""

    def overdue(self, reason: Reason) -> None:
        """Let reading end with `IdleTimeoutError`; a client that takes nothing is dropped."""
        self._overdue = reason
        self._changed.set()
        if reason is Reason.SLOW_CONSUMER:
            self.connection.abort()

    def drain(self) -> None:
        """Let reading end after the bytes that have arrived."""
        self.draining.set()
        self._changed.set()

    def lost(self, cause: Exception | None) -> None:
        """Wake all waiting calls: the connection is lost."""
        self._ended = True
        self._cause = cause
        self._changed.set()
        self._writable.set()


StreamHandler = Callable[[Stream], Awaitable[None]]


@asynccontextmanager
async def serve(
    handler: StreamHandler,
    *urls: str,
    tls: TlsOptions | ServerTls | None = None,
    limits: ConnectionLimits | None = None,
    options: ListenOptions = DEFAULT,
    observer: Observer | None = None,
    inherited: Inherited | None = None,
    drain_seconds: float | None = None,
) -> AsyncIterator[Server]:
    """Serve clients with `handler` for the duration of the block, and drain at its end.

    `tls` is for the addresses `tls://`; as a `ServerTls`, it can be replaced meanwhile.
    """
    if not callable(handler):
        raise InvalidHandlerError(f"handler: expected a coroutine function, found {handler!r}")
    limits = limits or ConnectionLimits()
    runtime = Runtime(asyncio.get_running_loop())
    server = Server(limits, runtime, observer=observer, inherited=inherited)
    runtime.timers.start()
    try:
        with unwrapped():
            async with asyncio.TaskGroup() as tasks:
                starter = _Starter(handler, limits, tasks)
                try:
                    await _listen(server, urls, starter, tls, options)
                    yield server
                    await server.drain(_drain_seconds(drain_seconds))
                finally:
                    await server.close()
                    starter.cancel()
    finally:
        runtime.timers.stop()


async def serve_forever(
    handler: StreamHandler,
    *urls: str,
    tls: TlsOptions | ServerTls | None = None,
    limits: ConnectionLimits | None = None,
    options: ListenOptions = DEFAULT,
    observer: Observer | None = None,
    drain_seconds: float | None = None,
    started: Callable[[Sequence[Address]], None] = lambda _: None,
) -> None:
    """As `serve`, as a service: until SIGTERM, with inherited sockets and notifications.

    A second SIGTERM closes at once; SIGHUP reads certificates again. `drain_seconds` is how long
    clients may take to finish: `DrainLimits.drain_seconds_max` if not given, 0 for no time.
    """
    seconds = _drain_seconds(drain_seconds)
    inherited = Inherited()
    async with serve(
        handler,
        *urls,
        tls=tls,
        limits=limits,
        options=options,
        observer=observer,
        inherited=inherited,
        drain_seconds=seconds,
    ) as server:
        inherited.finish()
        where = server.addresses
        await serve_until_stopped(server, seconds, lambda: started(where))


def _drain_seconds(given: float | None) -> float:
    return DrainLimits().drain_seconds_max if given is None else given


async def _listen(
    server: Server,
    urls: tuple[str, ...],
    factory: _Starter,
    tls: TlsOptions | ServerTls | None,
    options: ListenOptions,
) -> None:
    server.start()
    contexts = ServerTls(tls) if isinstance(tls, TlsOptions) else tls
    for url in urls:
        address = parse_address(url)
        if address.scheme not in ("tcp", "tls", "unix"):
            raise InvalidAddressError(f"{url!r}: expected tcp, tls or unix for a stream")
        if address.secure and contexts is None:
            raise ConfigurationError(f"{url!r}: expected tls=TlsOptions(...), found none")
        await server.listen(address, factory, contexts if address.secure else None, options)


class _Starter:
    """Makes a stream for each connection, and a task that serves it."""

    def __init__(
        self, handler: StreamHandler, limits: ConnectionLimits, tasks: asyncio.TaskGroup
    ) -> None:
        self._handler = handler
        self._limits = limits
        self._tasks = tasks
        self._running: set[asyncio.Task[None]] = set()

    def __call__(self, connection: Connection) -> Stream:
        return _Served(connection, self._limits, self._start)

    def cancel(self) -> None:
        """End the handlers that go on although their connections are gone."""
        for task in self._running:
            task.cancel()
        if self._running:
            _log.warning("handlers were cancelled", count=len(self._running))

    def _start(self, stream: Stream) -> None:
        task = self._tasks.create_task(self._run(stream))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _run(self, stream: Stream) -> None:
        """The root of one client's failure domain."""
        try:
            await self._handler(stream)
        except Exception as error:
            if consists_of(error, StreamClosedError):  # for which the handler need not care
                _log.debug("stream ended", peer=stream.peer, why=str(error))
            else:
                stream.connection.fail(error, "a handler failed")
        finally:
            stream.close()


class _Served(Stream):
    """A stream whose handler begins when the connection is up."""

    def __init__(
        self,
        connection: Connection,
        limits: ConnectionLimits,
        start: Callable[[Stream], None],
    ) -> None:
        super().__init__(connection, limits)
        self._start = start

    def connected(self) -> None:
        super().connected()
        self._start(self)
