"""How asyncssh is given its input."""

from __future__ import annotations

import asyncio
import os
import socket
from typing import Any

import pytest
from tests.gateway.running import SECONDS

from holdfast.backends.ssh.tunnel import SocketTunnel
from holdfast.core.limits import KIB


class Connection(asyncio.Protocol):
    """In place of asyncssh's: it closes after `most` pieces, as that does at an error."""

    def __init__(self, most: int = 1_000_000) -> None:
        self.most = most
        self.pieces: list[bytes] = []
        self.transport: Any = None
        self.lost = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def get_extra_info(self, name: str) -> Any:
        assert name == "socket"
        return self.transport and self.transport.get_extra_info(name)

    def data_received(self, data: bytes) -> None:
        self.pieces.append(data)
        if len(self.pieces) >= self.most:
            self.transport.abort()
            self.transport = None

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost.set()


async def received(connection: Connection, data: bytes) -> None:
    """Have the connection given `data` in one read, and then the end."""
    ours, theirs = socket.socketpair()
    with theirs:
        for each in (ours, theirs):
            each.setblocking(False)
            each.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 * len(data))
        assert theirs.send(data) == len(data)
        theirs.shutdown(socket.SHUT_WR)
        factory: Any = lambda: connection  # noqa: E731
        await SocketTunnel(ours).create_connection(factory, "", 0)
        async with asyncio.timeout(SECONDS):
            await connection.lost.wait()


@pytest.mark.parametrize("size", [1, 16 * KIB, 16 * KIB + 1, 60 * KIB])
async def test_input_comes_whole_in_pieces(size: int) -> None:
    data = os.urandom(size)
    connection = Connection()
    await received(connection, data)
    assert b"".join(connection.pieces) == data
    assert max(len(piece) for piece in connection.pieces) <= 16 * KIB


async def test_nothing_comes_after_an_error() -> None:
    connection = Connection(most=2)
    await received(connection, bytes(60 * KIB))
    assert len(connection.pieces) == 2
