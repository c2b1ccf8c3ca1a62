"""asyncssh's connection on a socket of ours, with its input in small pieces. Hot path.

asyncssh copies all input that is left for each packet that it takes from it. An event loop gives
it up to 256 KiB at once, and the packets of a pseudo-terminal have 4 KiB: most of its time would
go into copies.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Final

import asyncssh

from holdfast.core.limits import KIB

_PIECE_BYTES: Final = 16 * KIB


class SocketTunnel:
    """What asyncssh connects through (its option `tunnel`): a connected socket."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock

    async def create_connection(
        self,
        session_factory: Callable[[], asyncssh.SSHClientConnection],
        remote_host: str,
        remote_port: int,
    ) -> tuple[asyncio.Transport, asyncssh.SSHClientConnection]:
        """Called by asyncssh, once."""
        connection = session_factory()
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_connection(lambda: _Pieces(connection), sock=self._sock)
        return transport, connection


class _Pieces(asyncio.Protocol):
    """The protocol of the socket: all that it is told goes to asyncssh's connection."""

    def __init__(self, connection: asyncssh.SSHClientConnection) -> None:
        self._connection = connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._connection.connection_made(transport)

    def data_received(self, data: bytes) -> None:
        connection = self._connection
        if len(data) <= _PIECE_BYTES:
            connection.data_received(data)
            return
        for start in range(0, len(data), _PIECE_BYTES):
            connection.data_received(data[start : start + _PIECE_BYTES])
            if connection.get_extra_info("socket") is None:  # it has closed, because of an error
                break

    def eof_received(self) -> None:
        self._connection.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        self._connection.connection_lost(exc)

    def pause_writing(self) -> None:
        self._connection.pause_writing()

    def resume_writing(self) -> None:
        self._connection.resume_writing()
