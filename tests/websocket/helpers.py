"""A raw client on a socket, for tests of the server with bytes of their own."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Final

from tests.net.helpers import Caller, call
from tests.protocols.websocket.wire import frame

from holdfast.net.addresses import Address
from holdfast.websocket import Server, ServerWebSocket

SECONDS: Final = 10.0
"""How long a test waits for what must come; far more than it takes."""
BOUNDARY: Final = b"\r\n\r\n"
REQUEST: Final = (
    b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


def patience() -> asyncio.Timeout:
    return asyncio.timeout(SECONDS)


async def until(condition: Callable[[], bool]) -> None:
    """Wait until `condition` is true."""
    async with patience():
        while not condition():  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.001)


def url(server: Server, path: str = "/") -> str:
    address = server.addresses[0]
    return f"{address.scheme}://{address.host}:{address.port}{path}"


def with_headers(*lines: bytes) -> bytes:
    return REQUEST[:-2] + b"".join(line + b"\r\n" for line in lines) + b"\r\n"


async def echo(ws: ServerWebSocket) -> None:
    async for message in ws:
        await ws.send(message)


@contextlib.asynccontextmanager
async def raw(server: Server, *, request: bytes = REQUEST) -> AsyncIterator[Caller]:
    """A client that has sent its request and read nothing."""
    address = server.addresses[0]
    async with call(Address("tcp", address.host, address.port, "")) as caller:
        await caller.write(request)
        yield caller


@contextlib.asynccontextmanager
async def opened(server: Server, *, request: bytes = REQUEST) -> AsyncIterator[Caller]:
    """A client whose WebSocket is open."""
    async with raw(server, request=request) as caller, patience():
        head = await caller.reader.readuntil(BOUNDARY)
        assert head.startswith(b"HTTP/1.1 101 ")
        yield caller


def close_frame(code: int, reason: bytes = b"") -> bytes:
    """As a server sends it."""
    return frame(8, code.to_bytes(2, "big") + reason, key=None)
