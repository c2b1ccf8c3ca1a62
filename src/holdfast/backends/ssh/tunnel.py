"""asyncssh's connection on a socket of ours."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

import asyncssh

from holdfast.backends.ssh.packets import PacketReader


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
        transport, _ = await loop.create_connection(
            lambda: PacketReader(connection, loop.call_later), sock=self._sock
        )
        return transport, connection
