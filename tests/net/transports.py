"""Transports (ours, the event loop's own, TLS on top) between a protocol and a peer."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import sys
from collections.abc import AsyncIterator, Callable
from typing import cast

import pytest
from tests.net.certificates import contexts
from tests.net.helpers import patience, until
from tests.net.tls_peer import TlsPeer

from holdfast.net.transport import transports as sockets
from holdfast.net.transport.tls import TlsTransport
from holdfast.net.transport.transports import COMPILED, Sockets

Adopt = Callable[[asyncio.Protocol, socket.socket], None]
Peer = socket.socket | TlsPeer
MIB = 1024 * 1024
FILLING = 4 * MIB
"""More than the kernel takes between a transport and a peer that does not read."""


def by_us(protocol: asyncio.Protocol, sock: socket.socket) -> None:
    Sockets(asyncio.get_running_loop()).adopt(protocol, sock)


def by_the_loop(protocol: asyncio.Protocol, sock: socket.socket) -> None:
    sock.setblocking(False)
    sockets._adopt_by_loop(asyncio.get_running_loop(), protocol, sock)


_SERVER, _CLIENT = contexts()
_SERVER.num_tickets = 0  # a peer that closes with unread tickets would reset the connection


def by_tls(protocol: asyncio.Protocol, sock: socket.socket) -> None:
    """With TLS 1.3 on a transport of ours, or the loop's if ours were not built."""

    def done(transport: TlsTransport, error: Exception | None) -> None:
        assert error is None
        transport.set_protocol(protocol)
        protocol.connection_made(transport)

    class Raw(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            raw = cast(asyncio.Transport, transport)
            TlsTransport(raw, _SERVER, done, server_side=True).start()

    by_us(Raw(), sock)


def spare_asyncio(adopt: Adopt, *, on_asyncio: bool) -> None:
    """Skip what the transports of asyncio itself do wrong."""
    on_the_loop_s = adopt is by_the_loop or (adopt is by_tls and not COMPILED)
    if on_the_loop_s and on_asyncio and sys.version_info >= (3, 12):
        pytest.skip("asyncio's transports, from Python 3.12 on, do not get over this")


needs_ours = pytest.mark.skipif(not COMPILED, reason="the compiled sockets were not built")
BOTH = [pytest.param(by_us, id="ours", marks=needs_ours), pytest.param(by_the_loop, id="loop-s")]
FAMILIES = ["tcp", "unix"]
plain_transports = pytest.mark.parametrize("adopt", BOTH)
"""For what TLS has not: urgent bytes, files beside the bytes."""
every_transport = pytest.mark.parametrize("adopt", [*BOTH, pytest.param(by_tls, id="tls")])
every_family = pytest.mark.parametrize("family", FAMILIES)


def connected_pair(family: str) -> tuple[socket.socket, socket.socket]:
    """Two ends of a connection; the second never blocks."""
    if family == "unix":
        ends = socket.socketpair()
    else:
        with socket.create_server(("127.0.0.1", 0)) as listening:
            peer = socket.create_connection(listening.getsockname())
            ends = listening.accept()[0], peer
        # Where the kernel sizes them itself, it takes nearly all, or stalls for long.
        ends[0].setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 256 * 1024)
        ends[1].setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 256 * 1024)
    ends[1].setblocking(False)
    return ends


async def adopted(adopt: Adopt, family: str, heard: Heard) -> Peer:
    """Put a transport under `heard`. Returns the peer's end."""
    ours, sock = connected_pair(family)
    adopt(heard, ours)
    if adopt is not by_tls:
        return sock
    peer = TlsPeer(sock, _CLIENT)
    await peer.shake_hands()
    return peer


def reset(peer: Peer) -> None:
    """Close it with a RST."""
    sock = peer.sock if isinstance(peer, TlsPeer) else peer
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
    sock.close()


class Heard(asyncio.Protocol):
    """A protocol that writes down what it hears."""

    transport: asyncio.Transport

    def __init__(self, *, half_open: bool = False) -> None:
        self.calls: list[str] = []
        self.data = bytearray()
        self.cause: Exception | None = None
        self._half_open = half_open

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.calls.append("made")

    def data_received(self, data: bytes) -> None:
        self.data += data

    def eof_received(self) -> bool:
        self.calls.append("eof")
        return self._half_open

    def pause_writing(self) -> None:
        self.calls.append("pause")

    def resume_writing(self) -> None:
        self.calls.append("resume")

    def connection_lost(self, exc: Exception | None) -> None:
        self.calls.append("lost")
        self.cause = exc

    @property
    def lost(self) -> bool:
        return "lost" in self.calls


@contextlib.asynccontextmanager
async def standing(adopt: Adopt, family: str, heard: Heard) -> AsyncIterator[Peer]:
    """A transport under `heard`; the block is given the peer's end. All ends with the block."""
    peer = await adopted(adopt, family, heard)
    try:
        await until(lambda: heard.calls)
        yield peer
    finally:
        peer.close()
        if not heard.lost:
            heard.transport.abort()
        await until_lost(heard)
    assert heard.calls.count("lost") == 1
    assert heard.calls[-1] == "lost"


async def until_heard(size: int, *crowd: Heard) -> None:
    """Wait until each has heard so many bytes."""
    await until(lambda: all(len(heard.data) >= size for heard in crowd))


async def until_lost(*crowd: Heard) -> None:
    await until(lambda: all(heard.lost for heard in crowd))


async def receive(peer: Peer, size: int = MIB) -> bytes:
    """What comes next, at most `size`; nothing at the end."""
    async with patience():
        while True:
            try:
                return peer.recv(size)
            except BlockingIOError:
                await asyncio.sleep(0)


async def read_all(peer: Peer) -> bytes:
    """All up to the end."""
    data = bytearray()
    while piece := await receive(peer):
        data += piece
    return bytes(data)


async def send_all(peer: Peer, data: bytes) -> None:
    async with patience():
        while data:
            try:
                data = data[peer.send(data[: 64 * 1024]) :]
            except BlockingIOError:
                await asyncio.sleep(0)
        while True:
            try:
                peer.send(b"")
                return
            except BlockingIOError:
                await asyncio.sleep(0)


def fill(heard: Heard) -> bytes:
    """Write until the kernel takes no more, and far more than that."""
    data = random.Random(1).randbytes(FILLING)
    heard.transport.write(data)
    return data
