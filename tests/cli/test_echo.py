"""`holdfast echo`: every engine, bare."""

from __future__ import annotations

import asyncio
import os
import signal
import ssl
import sys
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

import pytest
from tests.cli.process import SECONDS, program, run
from tests.gateway.certificates import certificate
from tests.net.helpers import pusher
from tests.protocols.websocket.wire import frame
from tests.websocket.helpers import REQUEST
from websockets.asyncio.client import connect

from holdfast.net.addresses import parse_address

CROWD: Final = 50


async def test_everything_comes_back(tmp_path: Path) -> None:
    pair = certificate(tmp_path)
    trusted = ssl.create_default_context(cafile=pair.cert)
    urls = [
        f"{scheme}://127.0.0.1:0" for scheme in ("ws", "wss", "tcp", "tls", "telnet", "telnets")
    ]
    urls.append(f"unix:{tmp_path / 'echo'}")
    async with program("echo", *urls, "--cert", pair.cert, "--key", pair.key) as echo:
        ports: dict[str, int] = {}
        for url in urls[:-1]:
            line = await echo.says("listening at ")
            ports[url.partition(":")[0]] = int(line.rpartition(":")[2].strip("/"))
        assert await echo.says("unix:") == f"listening at unix:{tmp_path / 'echo'}"
        async with asyncio.timeout(SECONDS):
            for scheme in ("ws", "wss"):
                tls = trusted if scheme == "wss" else None
                url = f"{scheme}://localhost:{ports[scheme]}/"
                async with connect(url, ssl=tls, proxy=None) as ws:
                    for message in ("look ☃", b"\0\xff", "x" * 100_000):
                        await ws.send(message)
                        assert await ws.recv() == message
            for scheme in ("tcp", "tls", "telnet", "telnets"):
                tls = trusted if scheme.endswith("s") else None
                name = "localhost" if tls else None
                where = ports[scheme]
                reader, writer = await asyncio.open_connection(
                    "127.0.0.1", where, ssl=tls, server_hostname=name
                )
                writer.write(b"look\r\n")
                assert (await reader.readuntil(b"look\r\n")).endswith(b"look\r\n")
                writer.close()
            reader, writer = await asyncio.open_unix_connection(str(tmp_path / "echo"))
            writer.write(b"\0\xff" * 100_000)
            assert await reader.readexactly(200_000) == b"\0\xff" * 100_000
            writer.write_eof()
            assert await reader.read() == b""
            writer.close()
        echo.send(signal.SIGTERM)
        assert await echo.ends() == 0
        assert echo.err == ""


async def test_a_websocket_echo_says_goodbye() -> None:
    async with program("echo", "ws://127.0.0.1:0") as echo:
        url = (await echo.says("listening at ")).partition(" at ")[2]
        async with connect(url, proxy=None) as ws:
            echo.send(signal.SIGTERM)
            await ws.wait_closed()
            assert ws.close_code == 1001
        assert await echo.ends() == 0


WRONG: dict[str, tuple[list[str], int, str]] = {
    "no-certificate": (
        ["tls://127.0.0.1:0"],
        2,
        "holdfast: tls://127.0.0.1:0: expected --cert and --key, found neither\n",
    ),
    "half-a-pair": (
        ["tls://127.0.0.1:0", "--cert", "c.pem"],
        2,
        "holdfast: --cert and --key: expected both or neither, found one\n",
    ),
    "no-such-file": (
        ["tls://127.0.0.1:0", "--cert", "c.pem", "--key", "k.pem"],
        2,
        "holdfast: c.pem: expected a PEM file, found none\n",
    ),
    "no-address": (
        ["127.0.0.1:1"],
        2,
        "holdfast: '127.0.0.1:1': expected one of tcp, tls, unix, ws, wss, telnet, telnets before"
        " the first colon\n",
    ),
}


@pytest.mark.parametrize(("arguments", "code", "error"), WRONG.values(), ids=WRONG)
async def test_what_is_wrong_is_one_line(
    tmp_path: Path, arguments: list[str], code: int, error: str
) -> None:
    assert await run("echo", *arguments, folder=tmp_path) == (code, "", error)


@pytest.mark.parametrize("options", [[], ["--deflate"]])
async def test_messages_are_compressed_where_it_is_asked_for(options: list[str]) -> None:
    async with program("echo", *options, "ws://127.0.0.1:0") as echo:
        url = (await echo.says("listening at ")).partition(" at ")[2]
        async with asyncio.timeout(SECONDS), connect(url, proxy=None) as ws:
            assert bool(ws.protocol.extensions) is bool(options)
            for message in ("again and " * 1000, b"\0" * 200_000, "tiny"):
                await ws.send(message)
                assert await ws.recv() == message


def rss_bytes(pid: int) -> int:
    """The memory of a process that is in RAM."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux's kernel")
async def test_clients_that_never_read_cost_little_memory() -> None:
    async with program("echo", "ws://127.0.0.1:0") as echo, AsyncExitStack() as stack:
        where = parse_address((await echo.says("listening at ")).partition(" at ")[2])
        clients = [await stack.enter_async_context(pusher(where)) for _ in range(CROWD)]
        for client in clients:
            await client.push(REQUEST, len(REQUEST))
        before = rss_bytes(echo.pid)
        message = frame(2, bytes(4_000))
        async with asyncio.TaskGroup() as tasks:
            for client in clients:
                tasks.create_task(client.push(message * 16, 12_000_000))
        # Some 30 kB each; several hundred without the hold on who does not read.
        assert rss_bytes(echo.pid) - before < CROWD * 150_000
