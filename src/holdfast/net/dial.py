"""Dialling: an outgoing connection with the same shell as an accepted one."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl

from holdfast.core.errors import HoldfastError, Source
from holdfast.core.limits import ConnectionLimits
from holdfast.net.addresses import Address
from holdfast.net.clockwork import Clockwork
from holdfast.net.connection import Connection, Owner
from holdfast.net.race import connect, connect_first
from holdfast.net.server import HandlerFactory
from holdfast.net.tls import client_context


class DialError(HoldfastError):
    """The other end could not be reached. Names the address and the cause."""

    source = Source.REMOTE
    retryable = True


class _Nobody:
    """The owner of a dialled connection that nobody counts: it refuses nothing."""

    def opened(self, connection: Connection) -> bool:
        return True

    def closed(self, connection: Connection) -> None:
        pass


async def dial(
    address: Address,
    factory: HandlerFactory,
    *,
    clockwork: Clockwork,
    limits: ConnectionLimits,
    tls: ssl.SSLContext | None = None,
    owner: Owner | None = None,
    header: bytes = b"",
) -> Connection:
    """Connect to `address` within the handshake's limit of time. Raises `DialError`.

    Of a name's addresses the first that answers is taken. Without `tls`, a
    secure address is checked against the system's authorities. `header` goes
    first, before TLS: a PROXY header that says for whom we speak.
    """
    made: list[Connection] = []

    def open_() -> Connection:
        connection = Connection(clockwork, limits, owner or _Nobody())
        connection.attach(factory(connection))
        made.append(connection)
        return connection

    loop = clockwork.loop
    if address.secure and tls is None:
        tls = client_context()
    try:
        async with asyncio.timeout(limits.handshake_seconds_max):
            sock = await _socket(loop, address, header)
            _, connection = await loop.create_connection(
                open_,
                sock=sock,
                ssl=tls if address.secure else None,
                server_hostname=address.host if address.secure else None,
            )
    except (asyncio.CancelledError, TimeoutError) as error:
        for connection in made:
            connection.disown()
        if isinstance(error, asyncio.CancelledError):
            raise
        raise DialError(f"{address}: no answer within {limits.handshake_seconds_max:g} s") from None
    except OSError as error:
        raise DialError(f"{address}: {_cause(error)}") from error
    return connection


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
