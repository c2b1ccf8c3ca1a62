"""How much output is read: in large pieces where a server sends much, at once where it does not."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import asyncssh
from tests.backends.ssh.running import gateway_to
from tests.backends.ssh.servers import PASSWORD, scripted
from tests.backends.terminal.client import term_client
from tests.gateway.running import eventually

from holdfast.backends.ssh.channel import Gathering
from holdfast.core.limits import KIB


def least(sock: socket.socket) -> int:
    """How many bytes make the socket readable."""
    return sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT)


async def test_little_output_is_never_delayed() -> None:
    with socket.socket() as sock:
        gathering = Gathering(sock)
        for _ in range(8):
            gathering.received(1 * KIB)
            assert least(sock) == 1


async def test_much_output_is_gathered_until_it_is_little_again() -> None:
    with socket.socket() as sock:
        gathering = Gathering(sock)
        gathering.received(40 * KIB)
        assert least(sock) == 64 * KIB
        await eventually(lambda: least(sock) == 1)
        gathering.received(1)
        assert least(sock) == 64 * KIB, "it was much a moment ago"
        await eventually(lambda: least(sock) == 1)
        gathering.received(1)
        assert least(sock) == 1


async def test_a_socket_that_is_closed() -> None:
    sock = socket.socket()
    gathering = Gathering(sock)
    sock.close()
    gathering.received(40 * KIB)


async def test_the_last_of_much_output_comes(tmp_path: Path) -> None:
    async def says_much(process: asyncssh.SSHServerProcess[bytes]) -> None:
        for _ in range(30):
            process.stdout.write(b"x" * 10_000)
            await process.stdout.drain()
            await asyncio.sleep(0.001)
        process.stdout.write(b"THE END")
        await process.stdin.read()

    async with (
        scripted(tmp_path, says_much) as server,
        gateway_to(server) as gateway,
        term_client(gateway) as client,
    ):
        await client.logs_in(PASSWORD)
        assert await client.sees("THE END") == b"x" * 300_000 + b"THE END"
