"""Data that is sent and taken past asyncssh, against asyncssh's server.

This depends on what asyncssh's connection has inside: it fails where that has changed.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncssh
import pytest
from msgspec import Struct
from tests.backends.ssh.servers import logged_in, scripted
from tests.gateway.running import SECONDS, eventually

from holdfast.backends.ssh import algorithms as algorithms  # which registers AES-GCM
from holdfast.backends.ssh import channel_data
from holdfast.backends.ssh.channel_data import DATA, DataReceiver, DataSender
from holdfast.backends.ssh.gcm import AesGcm
from holdfast.core.limits import KIB

GCM = "aes128-gcm@openssh.com"
WINDOW_BYTES = 64 * KIB


class End(Struct):
    """A channel's two ends."""

    connection: Any
    channel: Any
    sender: DataSender
    other: Any
    """The server's connection."""
    heard: bytearray
    """What the server has read."""
    reads: asyncio.Event
    """It reads from then on."""

    def write(self, data: bytes) -> bool:
        """As a terminal does. Whether asyncssh had no part in it."""
        if self.sender.send(data):
            return True
        self.channel.write(data)
        return False

    async def hears(self, data: bytes) -> None:
        self.reads.set()
        await eventually(lambda: len(self.heard) >= len(data))
        assert self.heard == data
        # Each has counted the packets as the other one has.
        await eventually(lambda: self.connection._send_seq == self.other._recv_seq)


@asynccontextmanager
async def opened(folder: Path, cipher: str = GCM, **options: Any) -> AsyncIterator[End]:
    """A channel to a server that reads; `options` are of the client."""
    heard, reads, ends = bytearray(), asyncio.Event(), asyncio.Queue[Any]()

    async def hears(process: asyncssh.SSHServerProcess[bytes]) -> None:
        ends.put_nowait(process.channel.get_connection())
        await reads.wait()
        while True:
            try:
                data = await process.stdin.read(WINDOW_BYTES)
            except asyncssh.TerminalSizeChanged:
                continue
            if not data:
                break
            heard.extend(data)
        process.exit(0)

    async with (
        scripted(folder, hears, window=WINDOW_BYTES) as server,
        await logged_in(server.port, cipher, **options) as connection,
    ):
        channel, _ = await connection.create_session(
            asyncssh.SSHClientSession, encoding=None, term_type="xterm"
        )
        async with asyncio.timeout(SECONDS):
            other = await ends.get()
        sender = DataSender(connection, channel)
        yield End(connection, channel, sender, other, heard, reads)
        channel.write_eof()


async def test_keys_go_past_asyncssh(tmp_path: Path) -> None:
    async with opened(tmp_path) as end:
        typed = [os.urandom(size) for size in (*range(1, 40), 32 * KIB)]
        window = end.channel._send_window
        assert all(end.write(data) for data in typed)
        assert end.channel._send_window == window - len(b"".join(typed))
        assert not end.write(b""), "nothing is no packet"
        await end.hears(b"".join(typed))


async def test_the_padding_is_never_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packets: list[bytes] = []
    sealed = AesGcm.sealed

    def seal(cipher: AesGcm, header: bytes, packet: bytes) -> bytes:
        packets.append(packet)
        return sealed(cipher, header, packet)

    async with opened(tmp_path) as end:
        monkeypatch.setattr(AesGcm, "sealed", seal)
        assert all(end.write(b"x") for _ in range(300))
        await end.hears(b"x" * 300)
        monkeypatch.undo()
    keys = [packet for packet in packets if packet[1] == DATA]
    assert {packet[0] for packet in keys} == {5}
    assert len({packet[-5:] for packet in keys}) == 300


async def test_asyncssh_sends_between(tmp_path: Path) -> None:
    async with opened(tmp_path) as end:
        for data in (b"one", b"two", b"three"):
            assert end.write(data)
            end.channel.change_terminal_size(100, 30)
        await end.hears(b"onetwothree")


async def test_what_does_not_fit_the_window_is_asyncsshs(tmp_path: Path) -> None:
    """And what comes behind it, so that nothing overtakes it."""
    async with opened(tmp_path) as end:
        large, more = os.urandom(WINDOW_BYTES - 1), os.urandom(20)
        part = 32 * KIB
        parts = [large[at : at + part] for at in range(0, len(large), part)]
        past = [end.write(data) for data in [*parts, more, b"x", b"y"]]
        assert past == [True, True, False, False, False]
        await end.hears(large + more + b"xy")
        await eventually(lambda: not end.channel._send_buf)
        assert end.write(b"z"), "there is room again"
        await end.hears(large + more + b"xyz")


@pytest.mark.parametrize("size", [32 * KIB + 1, WINDOW_BYTES])
async def test_what_is_too_large_for_a_packet_is_asyncsshs(tmp_path: Path, size: int) -> None:
    async with opened(tmp_path) as end:
        data = os.urandom(size)
        assert not end.write(data)
        await end.hears(data)


@pytest.mark.parametrize("limit", [{"rekey_bytes": 1_000}, {"rekey_seconds": 1}])
async def test_new_keys_are_not_put_off(tmp_path: Path, limit: dict[str, Any]) -> None:
    async with opened(tmp_path, **limit) as end:
        end.connection._rekey_time = 0.0  # long ago
        first, typed = end.connection._send_encryption, b""
        while end.connection._send_encryption is first:
            data = os.urandom(100)
            end.write(data)
            typed += data
            await end.hears(typed)
        assert end.write(b"x"), "and past asyncssh with the new ones"
        await end.hears(typed + b"x")


@pytest.mark.parametrize("cipher", ["chacha20-poly1305@openssh.com", "aes128-ctr"])
async def test_other_ciphers_are_asyncsshs(tmp_path: Path, cipher: str) -> None:
    async with opened(tmp_path, cipher) as end:
        assert not end.write(b"ls")
        await end.hears(b"ls")


@pytest.mark.parametrize(
    "gone", ["_send_seq", "_rekey_bytes_sent", "_send_buf", "_send_window", "_recv_seq"]
)
def test_another_version_of_asyncssh(gone: str) -> None:
    """One that has something of what is used no more does all itself."""

    class Has:
        def __init__(self, names: list[str]) -> None:
            vars(self).update(dict.fromkeys(names, 1))

    of_connection = [*channel_data._SENDING[0], *channel_data._RECEIVING[0]]
    of_channel = [*channel_data._SENDING[1], *channel_data._RECEIVING[1]]
    connection: Any = Has([name for name in of_connection if name != gone])
    channel: Any = Has([name for name in of_channel if name != gone])
    assert not DataSender(connection, channel).send(b"x")
    assert not DataReceiver(connection).take(b"\0\0\0\0", b"x", 1) or gone.startswith("_send")


class Heard(asyncssh.SSHClientSession[bytes]):
    def __init__(self) -> None:
        self.data = b""
        self.error: Exception | None = None
        self.lost = asyncio.Event()

    def data_received(self, data: bytes, datatype: asyncssh.DataType) -> None:
        self.data += data

    def connection_lost(self, exc: Exception | None) -> None:
        self.error = exc
        self.lost.set()


async def test_a_server_that_ignores_the_window(tmp_path: Path) -> None:
    """asyncssh gets what is too much, and says what is wrong with it."""

    async def floods(process: asyncssh.SSHServerProcess[bytes]) -> None:
        channel: Any = process.channel
        channel._send_window = 1 << 30
        process.stdout.write(bytes(1_000_000))
        await process.wait_closed()

    async with scripted(tmp_path, floods) as server:
        connection = await logged_in(server.port, GCM)
        channel, heard = await connection.create_session(
            Heard, encoding=None, window=WINDOW_BYTES, max_pktsize=32 * KIB
        )
        assert isinstance(heard, Heard)
        channel.pause_reading()  # no more window is given
        async with asyncio.timeout(SECONDS):
            await heard.lost.wait()
        assert "Window exceeded" in str(heard.error)
        assert len(heard.data) <= WINDOW_BYTES
