"""A listening socket, its file where it has one, and errors that name the address."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import ssl
import stat
from collections.abc import Callable

from msgspec import structs

from holdfast.core.errors import BusyError, ConfigurationError
from holdfast.core.limits import ConnectionLimits
from holdfast.net.addresses import Address


class AddressInUseError(BusyError):
    """Another process listens there."""


class Listener:
    """An open listener. `address` has the port that was taken."""

    __slots__ = ("_server", "address")

    def __init__(self, address: Address, server: asyncio.AbstractServer) -> None:
        self.address = address
        self._server = server

    def close(self) -> None:
        """Accept no more; a Unix socket's file is removed."""
        self._server.close()
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
    try:
        if address.scheme == "unix":
            _remove_stale_file(address)
            unix = await loop.create_unix_server(
                accept, address.socket_path, backlog=limits.backlog_max
            )
            return Listener(address, unix)
        server = await loop.create_server(
            accept,
            address.host,
            address.port,
            ssl=tls,
            ssl_handshake_timeout=limits.handshake_seconds_max if tls is not None else None,
            backlog=limits.backlog_max,
            reuse_address=True,
        )
    except OSError as error:
        raise _explain(address, error) from error
    return Listener(structs.replace(address, port=server.sockets[0].getsockname()[1]), server)


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
