"""How asyncssh is given its input."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncssh
import pytest
from tests.backends.ssh.servers import logged_in, scripted
from tests.gateway.running import SECONDS, eventually

from holdfast.backends.ssh import algorithms as algorithms  # which registers AES-GCM
from holdfast.backends.ssh import tunnel
from holdfast.backends.ssh.packets import PacketReader
from holdfast.backends.ssh.tunnel import SocketTunnel
from holdfast.core.limits import KIB

PACKET_BYTES_MAX = 32 * KIB
"""Of a server: what comes in larger parts was joined."""
GCM = "aes128-gcm@openssh.com"


# --- as it is


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


class Transport:
    """In place of the socket's: whether it is read."""

    reads = True

    def pause_reading(self) -> None:
        self.reads = False

    def resume_reading(self) -> None:
        self.reads = True

    def get_extra_info(self, name: str) -> str:
        return name


def test_the_read_after_a_large_one_waits() -> None:
    timers: list[tuple[float, Callable[[], None]]] = []
    connection, transport = Connection(), Transport()
    reader = PacketReader(connection, lambda *timer: timers.append(timer))  # type: ignore[arg-type]
    reader.connection_made(transport)  # type: ignore[arg-type]
    reader.data_received(bytes(KIB - 1))
    assert transport.reads
    assert not timers
    reader.data_received(bytes(KIB))
    assert len(b"".join(connection.pieces)) == 2 * KIB - 1, "what was read does not wait"
    assert not transport.reads
    ((seconds, resume),) = timers
    assert seconds == 0.002
    resume()
    assert transport.reads


def test_a_closed_connection_is_read_no_more() -> None:
    timers: list[object] = []
    connection = Connection()
    reader = PacketReader(connection, lambda *timer: timers.append(timer))  # type: ignore[arg-type]
    connection.get_extra_info = lambda name: None  # type: ignore[method-assign]
    for size in (1, 60 * KIB):
        reader.data_received(bytes(size))
    assert not connection.pieces
    assert not timers


# --- decrypted, and joined


Split = Callable[["Reader", bytes], Iterator[bytes]]


class Reader(PacketReader):
    """It gets what comes from the server in the parts that `split` makes of it."""

    split: Split

    def data_received(self, data: bytes) -> None:
        for part in type(self).split(self, data):
            super().data_received(part)

    @property
    def holds(self) -> bool:
        return bool(self._held)


class Session(asyncssh.SSHClientSession[bytes]):
    """What a channel puts out."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []
        self.lost = asyncio.Event()
        self.error: Exception | None = None

    @property
    def largest(self) -> int:
        return max(map(len, self.parts))

    @property
    def output(self) -> bytes:
        return b"".join(self.parts)

    def data_received(self, data: bytes, datatype: asyncssh.DataType) -> None:
        self.parts.append(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self.error = exc
        self.lost.set()

    async def ends(self) -> None:
        async with asyncio.timeout(SECONDS):
            await self.lost.wait()


@asynccontextmanager
async def opened(
    folder: Path, data: bytes, cipher: str = GCM, **options: Any
) -> AsyncIterator[Session]:
    """A channel on a server that has put `data` out, after its end."""
    ends: list[asyncssh.connection.SSHConnection] = []

    async def puts_out(process: asyncssh.SSHServerProcess[bytes]) -> None:
        ends.append(process.channel.get_connection())
        process.stdout.write(data)
        await process.stdout.drain()
        process.exit(0)

    async with (
        scripted(folder, puts_out, **options) as server,
        await logged_in(server.port, cipher) as connection,
    ):
        _, session = await connection.create_session(
            Session, encoding=None, window=256 * KIB, max_pktsize=PACKET_BYTES_MAX
        )
        assert isinstance(session, Session)
        await session.ends()
        yield session
        if session.error is None:
            (other,) = ends
            # Each has counted the packets as the other one has.
            await eventually(lambda: connection._recv_seq == other._send_seq)


def in_bytes(reader: Reader, data: bytes) -> Iterator[bytes]:
    return (data[at : at + 1] for at in range(len(data)))


def in_thousands(reader: Reader, data: bytes) -> Iterator[bytes]:
    return (data[at : at + 1_001] for at in range(0, len(data), 1_001))


def behind_lengths(reader: Reader, data: bytes) -> Iterator[bytes]:
    yield data[:2]
    yield data[2:5]
    yield data[5:]


def read_in(split: Split, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Reader, "split", staticmethod(split), raising=False)
    patch.setattr(tunnel, "PacketReader", Reader)


async def test_much_output_is_joined(tmp_path: Path) -> None:
    """This depends on what asyncssh's connection has inside: it fails where that has changed."""
    data = os.urandom(3_000_000)
    async with opened(tmp_path, data) as session:
        assert session.output == data
        assert session.largest > PACKET_BYTES_MAX


@pytest.mark.parametrize("split", [in_bytes, in_thousands, behind_lengths])
async def test_packets_come_in_any_parts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, split: Split
) -> None:
    read_in(split, monkeypatch)
    data = os.urandom(40_000)
    async with opened(tmp_path, data) as session:
        assert session.output == data


@pytest.mark.parametrize(
    "cipher", ["aes256-gcm@openssh.com", "chacha20-poly1305@openssh.com", "aes128-ctr"]
)
async def test_other_ciphers(tmp_path: Path, cipher: str) -> None:
    data = os.urandom(1_000_000)
    async with opened(tmp_path, data, cipher) as session:
        assert session.output == data
        assert (session.largest > PACKET_BYTES_MAX) == ("gcm" in cipher)


async def test_new_keys_in_the_middle(tmp_path: Path) -> None:
    """Output is joined after them, too."""
    data = os.urandom(3_000_000)
    async with opened(tmp_path, data, rekey_bytes=1_000_000) as session:
        assert session.output == data
        assert max(map(len, session.parts[-20:])) > PACKET_BYTES_MAX


async def test_a_packet_that_was_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All before it is shown, and nothing behind it; asyncssh says why."""
    seen = 0

    def changed(reader: Reader, data: bytes) -> Iterator[bytes]:
        nonlocal seen
        seen += len(data)
        if seen > 500_000:
            data = data[:-1] + bytes([data[-1] ^ 1])
        yield data

    read_in(changed, monkeypatch)
    data = os.urandom(3_000_000)
    async with opened(tmp_path, data) as session:
        assert isinstance(session.error, asyncssh.MACError)
        assert data.startswith(session.output)
        assert session.output


async def test_a_packet_that_is_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = 0

    def forged(reader: Reader, data: bytes) -> Iterator[bytes]:
        nonlocal seen
        seen += len(data)
        yield data
        if seen > 500_000 and not reader.holds:
            yield b"\x7f" + bytes(100)

    read_in(forged, monkeypatch)
    async with opened(tmp_path, os.urandom(3_000_000)) as session:
        assert isinstance(session.error, asyncssh.MACError | asyncssh.ProtocolError)
        assert "Max packet size" in str(session.error)
