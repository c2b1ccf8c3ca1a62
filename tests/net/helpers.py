"""Servers and clients on real sockets, for tests of the shell."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from holdfast.core.errors import Reason
from holdfast.core.limits import ConnectionLimits
from holdfast.net.addresses import Address, parse_address
from holdfast.net.connection.connection import Connection
from holdfast.net.runtime.runtime import Runtime
from holdfast.net.server.server import Server
from holdfast.net.transport.tcp_info import Delivery

PATIENCE_SECONDS = 10.0
"""How long a test waits for what must come; far more than it takes."""


def patience() -> asyncio.Timeout:
    return asyncio.timeout(PATIENCE_SECONDS)


async def until(condition: Callable[[], object]) -> None:
    """Wait until `condition` is true of something that tells nobody when it changes."""
    async with patience():
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.001)


class Stand:
    """A handler that writes down what it hears, and lets a test wait for it."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.data = b""
        self.calls: list[str] = []
        self.reasons: list[Reason] = []
        self.cause: Exception | None = None
        self.delivery: Delivery | None = None
        self._changed = asyncio.Event()

    async def until(self, condition: Callable[[Stand], object]) -> None:
        """Wait until `condition` is true of this handler."""
        async with patience():
            while not condition(self):
                self._changed.clear()
                await self._changed.wait()

    async def until_lost(self) -> None:
        await self.until(lambda stand: "lost" in stand.calls)

    def _heard(self, call: str) -> None:
        self.calls.append(call)
        self._changed.set()

    def connected(self) -> None:
        self._heard("connected")

    def received(self, data: bytes) -> None:
        self.data += data
        self._heard("received")

    def ended(self) -> None:
        self._heard("ended")
        self.connection.close()

    def writable(self) -> None:
        self._heard("writable")

    def expired(self, now: float) -> None:
        self._heard("expired")

    def overdue(self, reason: Reason) -> None:
        self.reasons.append(reason)
        self._heard("overdue")
        self.connection.close()

    def drain(self) -> None:
        self._heard("drain")
        self.connection.close()

    def lost(self, cause: Exception | None) -> None:
        self.cause = cause
        self.delivery = self.connection.delivery()
        self._heard("lost")


class Serving:
    """A running server, and the handlers of its connections in their order."""

    def __init__(self, server: Server, make: Callable[[Connection], Stand]) -> None:
        self.server = server
        self.stands: list[Stand] = []
        self._make = make
        self._came = asyncio.Event()

    def factory(self, connection: Connection) -> Stand:
        stand = self._make(connection)
        self.stands.append(stand)
        self._came.set()
        return stand

    async def listen(self, url: str, tls: Any = None) -> Address:
        return await self.server.listen(parse_address(url), self.factory, tls)

    async def stand(self, number: int = 0) -> Stand:
        """The handler of a connection, once that is connected."""
        async with patience():
            while len(self.stands) <= number:
                self._came.clear()
                await self._came.wait()
        stand = self.stands[number]
        await stand.until(lambda stand: "connected" in stand.calls)
        return stand


@contextlib.asynccontextmanager
async def serving(
    limits: ConnectionLimits | None = None, make: Callable[[Connection], Stand] = Stand
) -> AsyncIterator[Serving]:
    """A server that admits connections while the block runs."""
    runtime = Runtime(asyncio.get_running_loop())
    runtime.timers.start()
    server = Server(limits or ConnectionLimits(), runtime)
    server.start()
    try:
        yield Serving(server, make)
    finally:
        await server.close()
        runtime.timers.stop()


class Caller:
    """A client on asyncio's streams."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def read(self, size: int) -> bytes:
        async with patience():
            return await self.reader.readexactly(size)

    async def read_all(self, within: float = PATIENCE_SECONDS) -> bytes:
        """Everything up to the server's end.

        Raises `TimeoutError` after `within` seconds.
        """
        async with asyncio.timeout(within):
            return await self.reader.read()

    async def dropped(self, within: float = PATIENCE_SECONDS) -> None:
        """Wait until the server has ended the connection without a word, softly or not.

        Raises `TimeoutError` after `within` seconds.
        """
        async with asyncio.timeout(within):
            with contextlib.suppress(ConnectionResetError):
                assert await self.read_all() == b""

    async def write(self, data: bytes) -> None:
        self.writer.write(data)
        async with patience():
            await self.writer.drain()

    def reset(self) -> None:
        """Drop the connection with a RST, whatever is unread."""
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        self.writer.transport.abort()


@contextlib.asynccontextmanager
async def call(address: Address, **options: Any) -> AsyncIterator[Caller]:
    """A connection to `address`, open while the block runs."""
    async with patience():
        if address.scheme == "unix":
            sock = socket.socket(socket.AF_UNIX)
            sock.setblocking(False)
            try:  # uvloop cannot dial an abstract name itself
                await asyncio.get_running_loop().sock_connect(sock, address.socket_path)
            except OSError:
                sock.close()
                raise
            reader, writer = await asyncio.open_unix_connection(sock=sock, **options)
        else:
            reader, writer = await asyncio.open_connection(address.host, address.port, **options)
    try:
        yield Caller(reader, writer)
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


READ_BYTES_MAX = 256 * 1024
"""What an event loop takes from a socket at once."""


class Pusher:
    """A client that sends whatever it is let, and reads nothing until it is told to."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.pushed = 0

    async def push(self, data: bytes, most: int) -> None:
        """Send `data` again and again, `most` bytes in all, or until none are taken any more."""
        rest = memoryview(data)
        refused = 0
        while refused < 60 and self.pushed < most:
            try:
                size = self.sock.send(rest[: most - self.pushed])
            except BlockingIOError:
                refused += 1
                await asyncio.sleep(0.002)
                continue
            refused = 0
            self.pushed += size
            rest = rest[size:] or memoryview(data)
            await asyncio.sleep(0)  # the server's turn

    async def read_on(self, size: int) -> bytes:
        """As `read`; from here on the window is a usual one."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        return await self.read(size)

    async def read(self, size: int) -> bytes:
        """The next `size` bytes."""
        got = bytearray()
        async with patience():
            while len(got) < size:
                data = await asyncio.get_running_loop().sock_recv(self.sock, size - len(got))
                assert data, "the server ended the connection"
                got += data
        return bytes(got)


@contextlib.asynccontextmanager
async def pusher(address: Address) -> AsyncIterator[Pusher]:
    """A client that takes few bytes before its window closes."""
    unix = address.scheme == "unix"
    sock = socket.socket(socket.AF_UNIX if unix else socket.AF_INET)
    with sock:
        if not unix:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.setblocking(False)
        where = address.socket_path if unix else (address.host, address.port)
        await asyncio.get_running_loop().sock_connect(sock, where)
        yield Pusher(sock)


def has_ipv6() -> bool:
    """Whether this machine has `::1`."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET6) as sock:
        sock.bind(("::1", 0))
        return True
    return False


def unix(folder: Path, name: str = "s") -> str:
    return f"unix:{folder / name}"
