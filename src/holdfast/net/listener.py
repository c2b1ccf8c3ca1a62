"""A listening socket, its file where it has one, and errors that name the address."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import ssl
import stat
from collections.abc import Callable, Sequence

from msgspec import structs

from holdfast.core.errors import BusyError, ConfigurationError
from holdfast.core.limits import ConnectionLimits
from holdfast.net.addresses import Address


class AddressInUseError(BusyError):
    """Another process listens there."""


class Listener:
    """An open listener. `address` has the port that was taken."""

    __slots__ = ("_servers", "address")

    def __init__(self, address: Address, servers: Sequence[asyncio.AbstractServer]) -> None:
        self.address = address
        self._servers = servers

    def close(self) -> None:
        """Accept no more; a Unix socket's file is removed."""
        for server in self._servers:
            server.close()
        if _is_file(self.address) and os.path.exists(self.address.path):
            os.unlink(self.address.path)


async def open_listener(
    loop: asyncio.AbstractEventLoop,
    address: Address,
    accept: Callable[[], asyncio.Protocol],
    limits: ConnectionLimits,
    tls: ssl.SSLContext | None,
) -> Listener:
    """Listen at `address`; port 0 takes a free one.

    Raises `AddressInUseError`, or `ConfigurationError` for an address where
    this user or this machine cannot listen.
    """
    backlog = limits.backlog_max
    try:
        if address.scheme == "unix":
            _remove_stale_file(address)
            unix = await loop.create_unix_server(accept, address.socket_path, backlog=backlog)
            return Listener(address, [unix])
        sockets = _bind(address)
    except OSError as error:
        raise _explain(address, error) from error
    handshake_seconds = limits.handshake_seconds_max if tls is not None else None
    servers = [
        await loop.create_server(
            accept, sock=sock, ssl=tls, ssl_handshake_timeout=handshake_seconds, backlog=backlog
        )
        for sock in sockets
    ]
    return Listener(structs.replace(address, port=sockets[0].getsockname()[1]), servers)


def _bind(address: Address) -> list[socket.socket]:
    """A socket for each address that the host's name stands for, all on one port."""
    found = socket.getaddrinfo(
        address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )
    sockets: list[socket.socket] = []
    port = address.port
    try:
        for family, kind, protocol, _, where in dict.fromkeys(found):
            sock = socket.socket(family, kind, protocol)
            sockets.append(sock)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            # Telnet's SYNCH sends its command as urgent data (RFC 854): keep it in its place.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_OOBINLINE, 1)
            if family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            sock.setblocking(False)
            sock.bind((where[0], port, *where[2:]))
            port = sock.getsockname()[1]
    except BaseException:
        for sock in sockets:
            sock.close()
        raise
    return sockets


def _is_file(address: Address) -> bool:
    return address.scheme == "unix" and not address.path.startswith("@")


def _remove_stale_file(address: Address) -> None:
    """Remove the socket of a process that is gone; leave one that is alive alone."""
    if not _is_file(address):
        return
    try:
        is_socket = stat.S_ISSOCK(os.stat(address.path).st_mode)
    except FileNotFoundError:
        return
    if not is_socket:
        raise ConfigurationError(f"{address}: expected a socket or nothing, found a file")
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(address.path)
        except ConnectionRefusedError:
            os.unlink(address.path)
            return
    raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))


def _explain(address: Address, error: OSError) -> BusyError | ConfigurationError:
    if error.errno == errno.EADDRINUSE:
        return AddressInUseError(f"{address}: another process listens there already")
    if error.errno == errno.EACCES:
        return ConfigurationError(f"{address}: this user may not listen there")
    return ConfigurationError(f"{address}: cannot listen there: {error.strerror or error}")
