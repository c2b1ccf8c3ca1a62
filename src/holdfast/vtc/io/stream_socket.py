"""A connection of a test: exact reads, bounded waits.

A test controls the peer's view of its socket. Nothing is read before a command requests it:
unread bytes are still in the socket when it is closed, so the peer gets the same reset as from
the reference. To find the end of a header without reading beyond it, `peek` looks at the bytes
and `take` reads the parsed ones.
"""

from __future__ import annotations

import asyncio
import errno
import os
import select
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from holdfast.net.transport.reset import reset_on_close
from holdfast.vtc.io.socket_address import SocketAddress, own_address, peer_address

PEEK_BYTES_MAX = 65536
CONNECT_SECONDS_MAX = 10.0

_Switch = Callable[..., Any]
Prepare = Callable[["StreamSocket"], Awaitable["StreamSocket"]]
"""Prepares an accepted connection before it is used: a TLS handshake."""


class StreamSocket:
    """A connected stream socket."""

    def __init__(self, sock: socket.socket, peer: SocketAddress) -> None:
        """Owns `sock` from here on."""
        sock.setblocking(False)
        if sock.family != socket.AF_UNIX:
            # Else two small writes in a row wait for the peer's delayed acknowledgement.
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._sock = sock
        self._held = False
        """Whether the kernel may hold back the last sent bytes, to join them with later ones."""
        self.peer = peer

    @property
    def fd(self) -> int:
        """The file descriptor, -1 when closed. It identifies the connection in the log."""
        return self._sock.fileno()

    @property
    def own(self) -> SocketAddress:
        """Our end of the connection."""
        return own_address(self._sock)

    async def peek(self, seconds: float) -> bytes:
        """Return the available bytes without reading them, at least one; `b""` at the end of
        the stream.

        Raises `TimeoutError` when nothing comes, and `OSError`.
        """
        return await self._recv(PEEK_BYTES_MAX, socket.MSG_PEEK, seconds)

    def take(self, count: int) -> bytes:
        """Read what `peek` has shown."""
        return self._sock.recv(count)

    async def recv(self, count: int, seconds: float | None) -> bytes:
        """Read up to `count` bytes, at least one; `b""` at the end. Raises as `peek` does."""
        return await self._recv(count, 0, seconds)

    def recv_now(self, count: int) -> bytes | None:
        """Read the available bytes; `b""` at the end, `None` if there are none."""
        try:
            return self._sock.recv(count)
        except (BlockingIOError, InterruptedError):
            return None

    async def ready(self) -> None:
        """Wait until there is something to read, or the end."""
        await readable(self._sock)

    async def _recv(self, count: int, flags: int, seconds: float | None) -> bytes:
        while True:
            try:
                return self._sock.recv(count, flags)
            except (BlockingIOError, InterruptedError):
                await readable(self._sock, seconds)

    async def send(self, data: bytes, *, urgent: bool = False, more: bool = False) -> None:
        """Write all of `data`. Raises `OSError`.

        `urgent` is TCP's urgent data. `more` is for data that the next `send` follows
        at once: TCP then puts both into one segment.
        """
        flags = (socket.MSG_OOB if urgent else 0) | (socket.MSG_MORE if more else 0)
        view = memoryview(data)
        while view:
            try:
                view = view[self._sock.send(view, flags) :]
            except (BlockingIOError, InterruptedError):
                await writable(self._sock)
        if self._held and not data and not more:
            # Nothing was sent that would flush the held bytes; this does.
            self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._held = more and self._sock.family != socket.AF_UNIX

    def send_now(self, data: bytes) -> None:
        """Write `data` if that is possible without waiting; else it is lost."""
        with suppress(OSError):
            self._sock.send(data)

    def shutdown(self, how: int) -> None:
        """End one direction or both. Raises `OSError`."""
        self._sock.shutdown(how)

    def close(self) -> None:
        """Close the socket. May be called again."""
        self._sock.close()

    def reset(self) -> None:
        """Close with a reset: the peer sees a connection that broke."""
        reset_on_close(self._sock)
        self._sock.close()

    def tls_value(self, word: str) -> str | None:
        """What `expect tls.…` sees: nothing on a plain connection."""
        return None

    def set_receive_buffer(self, size: int) -> tuple[int, int]:
        """Ask for a receive buffer of `size` bytes; gives its size before and after."""
        before = self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, size)
        return before, self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)


async def _until(sock: socket.socket, on: _Switch, off: _Switch, seconds: float | None) -> None:
    ready = asyncio.get_running_loop().create_future()
    fd = sock.fileno()
    on(fd, _set, ready)
    try:
        async with asyncio.timeout(seconds):
            await ready
    finally:
        off(fd)


def _set(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)


async def readable(sock: socket.socket, seconds: float | None = None) -> None:
    """Wait until there is something to read. Raises `TimeoutError`."""
    loop = asyncio.get_running_loop()
    await _until(sock, loop.add_reader, loop.remove_reader, seconds)


async def writable(sock: socket.socket, seconds: float | None = None) -> None:
    """Wait until the socket is writable. Raises `TimeoutError`."""
    loop = asyncio.get_running_loop()
    await _until(sock, loop.add_writer, loop.remove_writer, seconds)


def _writable_now(sock: socket.socket) -> bool:
    poll = select.poll()
    poll.register(sock, select.POLLOUT)
    return bool(poll.poll(0))


def listen(address: SocketAddress, backlog: int) -> socket.socket:
    """A listening socket that does not block. Raises `OSError`."""
    sock = socket.socket(address.family, socket.SOCK_STREAM)
    try:
        if address.family != socket.AF_UNIX:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if address.family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(address.sockaddr)
        sock.listen(backlog)
        sock.setblocking(False)
    except BaseException:
        sock.close()
        raise
    return sock


class Listener:
    """A listening socket, and the preparation of its connections."""

    def __init__(self, sock: socket.socket) -> None:
        """Owns `sock` from here on."""
        self._sock = sock
        self.prepare: Prepare | None = None
        self.address = own_address(sock)

    @property
    def fd(self) -> int:
        """For the log, -1 when closed."""
        return self._sock.fileno()

    async def accept(self) -> StreamSocket:
        """The next connection, ready to use. Raises `OSError`."""
        sock = await self._accept()
        if self.prepare is None:
            return sock
        try:
            return await self.prepare(sock)
        except BaseException:
            sock.close()
            raise

    async def _accept(self) -> StreamSocket:
        while True:
            try:
                return self._accepted(self._sock.accept()[0])
            except (BlockingIOError, InterruptedError):
                await readable(self._sock)

    def _accepted(self, sock: socket.socket) -> StreamSocket:
        if self.address.path is not None:  # a client of a path has no address
            return StreamSocket(sock, self.address)
        try:
            peer = peer_address(sock)
        except OSError:  # it was reset while it waited
            peer = SocketAddress(self.address.family, ("0.0.0.0", 0))
        return StreamSocket(sock, peer)

    def close(self) -> None:
        """Stop listening. May be called again."""
        self._sock.close()


async def connect(addresses: list[SocketAddress]) -> StreamSocket:
    """A connection to the first address that answers. Raises `OSError`."""
    error: OSError = OSError("no address")
    for address in addresses:
        try:
            return await _connect(address)
        except TimeoutError:
            error = TimeoutError("Connection timed out")
        except OSError as found:
            error = found
    raise error


async def _connect(address: SocketAddress) -> StreamSocket:
    sock = socket.socket(address.family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        error = sock.connect_ex(address.sockaddr)
        if error == errno.EINPROGRESS:
            if not _writable_now(sock):  # on this machine it is connected already
                await writable(sock, CONNECT_SECONDS_MAX)
            error = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if error:
            raise OSError(error, os.strerror(error))
    except BaseException:
        sock.close()
        raise
    return StreamSocket(sock, address)
