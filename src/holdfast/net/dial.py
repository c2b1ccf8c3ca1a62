"""Dialling: an outgoing connection with the same shell as an accepted one."""

from __future__ import annotations

import asyncio
import socket
import ssl

from holdfast.core.errors import HoldfastError, Source
from holdfast.core.limits import ConnectionLimits
from holdfast.net.addresses import Address
from holdfast.net.clockwork import Clockwork
from holdfast.net.connection import Connection, Owner
from holdfast.net.race import connect_first
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
) -> Connection:
    """Connect to `address` within the handshake's limit of time. Raises `DialError`.

    Of a name's addresses the first that answers is taken. Without `tls`, a
    secure address is checked against the system's authorities.
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
            if address.socket_path.startswith("\0"):
                sock = await _abstract_socket(loop, address.socket_path)
                _, connection = await loop.create_unix_connection(open_, sock=sock)
            elif address.scheme == "unix":
                _, connection = await loop.create_unix_connection(open_, address.socket_path)
            else:
                sock = await connect_first(loop, address.host, address.port)
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
        cause = error.strerror or str(error) or type(error).__name__
        raise DialError(f"{address}: {cause}") from error
    return connection


async def _abstract_socket(loop: asyncio.AbstractEventLoop, path: str) -> socket.socket:
    """A connected socket, because uvloop takes the name to end at its leading zero."""
    sock = socket.socket(socket.AF_UNIX)
    try:
        sock.setblocking(False)
        await loop.sock_connect(sock, path)
    except BaseException:
        sock.close()
        raise
    return sock
