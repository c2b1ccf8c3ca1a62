"""Other people's WebSockets: each as a client of ours and as a server for ours."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import websockets.asyncio.client as websockets_client
import websockets.asyncio.server as websockets_server
from aiohttp import web
from playwright.async_api import Browser
from tests.peers.websocket.programs import (
    HERE,
    LARGE_BYTES,
    SECONDS,
    go,
    node,
    run,
    running,
)
from tests.ports import free_port
from tests.programs import need

from holdfast.websocket import ClientWebSocket, Server, ServerWebSocket, connect, serve
from holdfast.websocket.options import Compression

LARGE = (b"0123456789abcdef" * (LARGE_BYTES // 16))[:LARGE_BYTES]
MESSAGES: tuple[str | bytes, ...] = (
    "",
    "grüß 😀",
    "again and " * 5_000,
    b"",
    b"\0",
    LARGE[:126],
    LARGE[:65_536],
    LARGE,
)
SIZE_MAX = 2 * LARGE_BYTES

with_and_without = pytest.mark.parametrize("compressed", [False, True], ids=["plain", "deflate"])


async def echo(ws: ServerWebSocket) -> None:
    async for message in ws:
        await ws.send(message)


@contextlib.asynccontextmanager
async def ours(compressed: bool) -> AsyncIterator[tuple[Server, str]]:
    """Our echo server, and its URL."""
    compression: Compression = "deflate" if compressed else None
    async with serve(echo, compression=compression, max_size=SIZE_MAX) as server:
        yield server, f"ws://127.0.0.1:{server.port}/"


async def talk(url: str, compressed: bool, *, answer: int = 4321) -> None:
    """Our client's part with an echo server of somebody else, which answers 4321 with `answer`."""
    compression: Compression = "deflate" if compressed else None
    async with (
        asyncio.timeout(SECONDS),
        connect(url, compression=compression, max_size=SIZE_MAX) as ws,
    ):
        assert isinstance(ws, ClientWebSocket)
        assert (ws._core.deflate is not None) is compressed
        for message in MESSAGES:
            await ws.send(message)
            assert await ws.recv() == message
        await ws.send(["one ", "two ", "three"])
        assert await ws.recv() == "one two three"
        assert await (await ws.ping()) > 0
        await ws.close(4321, "bye")
        assert ws.close_code == answer


# --- the websockets library


@with_and_without
async def test_a_client_of_websockets(compressed: bool) -> None:
    async with ours(compressed) as (_, url), asyncio.timeout(SECONDS):
        compression = "deflate" if compressed else None
        async with websockets_client.connect(
            url, compression=compression, max_size=SIZE_MAX
        ) as peer:
            assert bool(peer.protocol.extensions) is compressed
            for message in MESSAGES:
                await peer.send(message)
                assert await peer.recv() == message
            await peer.send(["one ", "two ", "three"])
            assert await peer.recv() == "one two three"
            await (await peer.ping())
            await peer.close(4321, "bye")
            assert peer.close_code == 4321


@with_and_without
async def test_a_server_of_websockets(compressed: bool) -> None:
    async def say_back(peer: websockets_server.ServerConnection) -> None:
        async for message in peer:
            await peer.send(message)

    compression = "deflate" if compressed else None
    async with websockets_server.serve(
        say_back, "127.0.0.1", 0, compression=compression, max_size=SIZE_MAX
    ) as server:
        (listening,) = server.sockets
        await talk(f"ws://127.0.0.1:{listening.getsockname()[1]}/", compressed)


# --- aiohttp


@with_and_without
async def test_a_client_of_aiohttp(compressed: bool) -> None:
    compress = 15 if compressed else 0
    async with (
        ours(compressed) as (_, url),
        asyncio.timeout(SECONDS),
        aiohttp.ClientSession() as session,
        session.ws_connect(url, compress=compress, max_msg_size=SIZE_MAX) as peer,
    ):
        assert bool(peer.compress) is compressed
        for message in MESSAGES:
            if isinstance(message, str):
                await peer.send_str(message)
                assert await peer.receive_str() == message
            else:
                await peer.send_bytes(message)
                assert await peer.receive_bytes() == message
        await peer.close(code=4321)
        assert peer.close_code == 4321


@with_and_without
async def test_a_server_of_aiohttp(compressed: bool) -> None:
    async def say_back(request: web.Request) -> web.WebSocketResponse:
        peer = web.WebSocketResponse(compress=compressed, max_msg_size=SIZE_MAX)
        await peer.prepare(request)
        async for message in peer:
            if message.type is aiohttp.WSMsgType.TEXT:
                await peer.send_str(message.data)
            else:
                await peer.send_bytes(message.data)
        return peer

    app = web.Application()
    app.router.add_get("/", say_back)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        await talk(f"ws://127.0.0.1:{runner.addresses[0][1]}/", compressed, answer=1000)
    finally:
        await runner.cleanup()


# --- gorilla


@pytest.fixture(scope="session")
def gorilla(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """A client and a server on Debian's gorilla/websocket."""
    folder = tmp_path_factory.mktemp("gorilla")
    server = Path(__file__).parents[3] / "bench" / "peers" / "gorilla.go"
    return go(HERE / "gorilla_client.go", folder / "client"), go(server, folder / "server")


@with_and_without
async def test_a_client_of_gorilla(compressed: bool, gorilla: tuple[str, str]) -> None:
    async with ours(compressed) as (_, url):
        asked = [url, str(compressed).lower(), str(LARGE_BYTES)]
        assert await run([gorilla[0], *asked]) == "ok\n"


@with_and_without
async def test_a_server_of_gorilla(compressed: bool, gorilla: tuple[str, str]) -> None:
    port = free_port()
    async with running([gorilla[1], str(port)], port):
        await talk(f"ws://127.0.0.1:{port}/", compressed)


# --- Node's ws


@with_and_without
async def test_a_client_of_node(compressed: bool) -> None:
    command, variables = node("client.mjs")
    async with ours(compressed) as (_, url):
        asked = [url, str(compressed).lower(), str(LARGE_BYTES)]
        assert await run([*command, *asked], variables) == "ok\n"


@with_and_without
async def test_a_server_of_node(compressed: bool) -> None:
    command, variables = node("server.mjs")
    port = free_port()
    arguments = [str(port), str(compressed).lower()]
    async with running([*command, *arguments], port, variables):
        await talk(f"ws://127.0.0.1:{port}/", compressed)


# --- browsers

IN_THE_PAGE = """async ([url, size]) => {
  const ws = new WebSocket(url, ["a", "b"]);
  ws.binaryType = "arraybuffer";
  const heard = [];
  let wake = () => {};
  ws.onmessage = ({ data }) => (heard.push(data), wake());
  const hear = async () => {
    while (!heard.length) await new Promise((done) => (wake = done));
    return heard.shift();
  };
  await new Promise((done, failed) => ((ws.onopen = done), (ws.onerror = failed)));
  const large = new Uint8Array(size).map((_, i) => i % 251);
  const wrong = [];
  for (const text of ["", "grüß 😀", "again and ".repeat(5000)]) {
    ws.send(text);
    if ((await hear()) !== text) wrong.push(`text of ${text.length}`);
  }
  for (const length of [0, 1, 126, 65536, size]) {
    ws.send(large.subarray(0, length));
    const found = new Uint8Array(await hear());
    const same = found.length === length && found.every((byte, i) => byte === i % 251);
    if (!same) wrong.push(`${length} bytes`);
  }
  const closed = new Promise((done) => {
    ws.onclose = ({ code, wasClean }) => done([code, wasClean]);
  });
  ws.close(4321, "bye");
  return [wrong, ws.extensions, ws.protocol, await closed];
}"""


@with_and_without
@pytest.mark.asyncio(loop_scope="session")
async def test_chromium(compressed: bool, browser: Browser) -> None:
    compression: Compression = "deflate" if compressed else None
    async with (
        serve(echo, compression=compression, subprotocols=["b"], max_size=SIZE_MAX) as server,
        await browser.new_context() as context,
        asyncio.timeout(SECONDS),
    ):
        page = await context.new_page()
        url = f"ws://127.0.0.1:{server.port}/"
        found: Any = await page.evaluate(IN_THE_PAGE, [url, LARGE_BYTES])
        wrong, extensions, protocol, closed = found
        assert wrong == []
        assert extensions.startswith("permessage-deflate") is compressed
        assert protocol == "b"
        assert closed == [4321, True]


# --- curl


async def test_curl_upgrades() -> None:
    async def greet(ws: ServerWebSocket) -> None:
        await ws.send("hello")

    async with serve(greet, close_timeout=0.2) as server:
        headers = {
            "Connection": "Upgrade",
            "Upgrade": "websocket",
            "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
            "Sec-WebSocket-Version": "13",
        }
        options = [word for name, value in headers.items() for word in ("-H", f"{name}: {value}")]
        url = f"http://127.0.0.1:{server.port}/"
        said = await run([need("curl"), "-sS", "-i", "-N", "--http1.1", *options, url])
    head, _, body = said.partition("\r\n\r\n")
    assert head.startswith("HTTP/1.1 101 Switching Protocols\r\n")
    assert "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in head
    assert body.startswith("\ufffd\x05hello")
