"""Dialling: an outgoing connection with the same shell as an accepted one."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from collections.abc import Callable

from holdfast.core.errors import HoldfastError, Source
from holdfast.core.limits import ConnectionLimits
from holdfast.net.addresses import Address
from holdfast.net.connection.connection import Connection, ConnectionOwner
from holdfast.net.dial.happy_eyeballs import connect, connect_first
from holdfast.net.runtime.runtime import Runtime
from holdfast.net.server.acceptor import HandlerFactory
from holdfast.net.tls.contexts import client_context
from holdfast.net.transport.tls import TlsTransport


class DialError(HoldfastError):
    """The other end could not be reached. Names the address and the cause."""

    source = Source.REMOTE
    retryable = True


class _NoOwner:
    """The owner of a dialled connection that nobody counts: it refuses nothing."""

    def opened(self, connection: Connection) -> bool:
        return True

    def closed(self, connection: Connection) -> None:
        pass


async def dial(
    address: Address,
    factory: HandlerFactory,
    *,
    clockwork: Runtime,
    limits: ConnectionLimits,
    tls: ssl.SSLContext | None = None,
    owner: ConnectionOwner | None = None,
    header: bytes = b"",
) -> Connection:
    """Connect to `address` within the handshake's limit of time. Raises `DialError`.

    Of a name's addresses the first that answers is taken. Without `tls`, a
    secure address is checked against the system's authorities. `header` goes
    first, before TLS: a PROXY header with the client's address.
    """
    loop = clockwork.loop
    if address.secure and tls is None:
        tls = client_context()

    def open_() -> Connection:
        connection = Connection(clockwork, limits, owner or _NoOwner())
        connection.attach(factory(connection))
        return connection

    attempt = _DialAttempt(loop, open_, tls if address.secure else None, address.tls_name)
    try:
        async with asyncio.timeout(limits.handshake_seconds_max):
            clockwork.sockets.adopt(attempt, await _socket(loop, address, header))
            return await attempt.answered
    except BaseException as error:
        attempt.cancel()
        if isinstance(error, TimeoutError):
            limit = f"{limits.handshake_seconds_max:g} s"
            raise DialError(f"{address}: no answer within {limit}") from None
        if isinstance(error, OSError):
            raise DialError(f"{address}: {_cause(error)}") from error
        raise


class _DialAttempt(asyncio.Protocol):
    """A dialled socket on its way to a connection, through TLS where there is a `context`."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        open_: Callable[[], Connection],
        context: ssl.SSLContext | None,
        name: str,
    ) -> None:
        self.answered: asyncio.Future[Connection] = loop.create_future()
        self._open = open_
        self._context = context
        self._name = name
        self._raw: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._raw = transport
        if self.answered.done():
            transport.abort()
        elif self._context is None:
            self._connect(transport)
        else:
            TlsTransport(
                transport,
                self._context,
                self._secured,
                server_side=False,
                server_hostname=self._name,
            ).start()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.answered.done():
            self.answered.set_exception(exc or ConnectionError("the peer hung up"))

    def cancel(self) -> None:
        """Nobody waits any more: drop what has come of it."""
        if not self.answered.cancel() and not self.answered.cancelled():
            self.answered.exception()  # it may have come too late for whom it was
        if self._raw is not None:
            self._raw.abort()

    def _secured(self, tls: TlsTransport, error: Exception | None) -> None:
        if error is None and not self.answered.done():
            self._connect(tls)
        elif not self.answered.done():
            self.answered.set_exception(error or ConnectionError("the peer hung up"))

    def _connect(self, transport: asyncio.Transport) -> None:
        connection = self._open()
        transport.set_protocol(connection)
        connection.connection_made(transport)
        self.answered.set_result(connection)


def _cause(error: OSError) -> str:
    """The system's words: asyncio has its own for what a socket says."""
    if error.errno and not isinstance(error, ssl.SSLError | socket.gaierror):
        return os.strerror(error.errno)
    return error.strerror or str(error) or type(error).__name__


async def _socket(
    loop: asyncio.AbstractEventLoop, address: Address, header: bytes
) -> socket.socket:
    """A connected socket on which `header` has been sent."""
    if address.scheme == "unix":
        # uvloop itself takes an abstract name to end at its leading zero.
        sock = await connect(loop, (socket.AF_UNIX, socket.SOCK_STREAM, 0, "", address.socket_path))
    else:
        sock = await connect_first(loop, address.host, address.port)
    try:
        if header:
            await loop.sock_sendall(sock, header)
    except BaseException:
        sock.close()
        raise
    return sock
