"""Sockets of an attacker: raw bytes, the WebSocket handshake, frames, crowds."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import socket
import ssl
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator
from typing import Any, Final, NamedTuple

import msgspec

from holdfast.net.runtime.loop import unwrapped

SOURCE: Final = "127.0.0.66"
"""The attacker's address: on Linux, all of 127.0.0.0/8 is this machine."""
_PAUSE_SECONDS: Final = 0.01
_PATIENCE_SECONDS: Final = 5.0

tries: Final = itertools.count()
"""How often something was tried: `next` counts one."""


class Target(NamedTuple):
    """The ports of the gateway under attack."""

    ws: int
    telnet: int
    tcp: int
    tls: int
    proxied: int
    """Line clients behind a proxy, which is believed."""
    login: int
    """WebSockets, with a login."""
    link: int
    admin: int


Attack = Callable[[Target], Coroutine[Any, Any, None]]


class Peer(NamedTuple):
    """One connection to the gateway."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def send(self, data: bytes, seconds: float = _PATIENCE_SECONDS) -> None:
        """Write, and wait until it may be more."""
        self.writer.write(data)
        async with asyncio.timeout(seconds):
            await self.writer.drain()

    async def read(self) -> bytes:
        """What comes next; an error at the end."""
        async with asyncio.timeout(_PATIENCE_SECONDS):
            data = await self.reader.read(65536)
        if not data:
            raise ConnectionError("closed")
        return data

    async def gone(self, seconds: float | None = None) -> None:
        """Read what comes, up to the end."""
        async with asyncio.timeout(seconds):
            while await self.reader.read(65536):
                pass

    async def pour(self, pieces: Iterable[bytes]) -> None:
        """Send all of it as fast as it is taken; what is answered is read."""
        with unwrapped():
            async with asyncio.TaskGroup() as tasks:
                reading = tasks.create_task(self.gone())
                for piece in pieces:
                    await self.send(piece)
                reading.cancel()


@contextlib.asynccontextmanager
async def dialled(port: int, tls: ssl.SSLContext | None = None, *, received_max: int = 0) -> Any:
    """A connection from the attacker's address while the block runs; then it is reset.

    The kernel takes `received_max` bytes that are not read, if that is given.
    """
    sock = socket.socket()
    try:
        if received_max:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, received_max)
        sock.bind((SOURCE, 0))
        sock.setblocking(False)
        async with asyncio.timeout(_PATIENCE_SECONDS):
            await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", port))
            name = "localhost" if tls is not None else None
            peer = Peer(*await asyncio.open_connection(sock=sock, ssl=tls, server_hostname=name))
    except BaseException:
        sock.close()
        raise
    try:
        yield peer
    finally:
        peer.writer.transport.abort()


def request(target: Target, *fields: str, port: int = 0) -> bytes:
    """The head of an opening handshake."""
    head = (
        "GET / HTTP/1.1",
        f"Host: 127.0.0.1:{port or target.ws}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Version: 13",
    )
    return "\r\n".join([*head, *fields, "", ""]).encode("latin-1")


V1: Final = "Sec-WebSocket-Protocol: holdfast.v1"


@contextlib.asynccontextmanager
async def websocket(target: Target, *fields: str, port: int = 0, received_max: int = 0) -> Any:
    """A WebSocket that is open, with these header fields in its request."""
    async with dialled(port or target.ws, received_max=received_max) as peer:
        await peer.send(request(target, *fields, port=port))
        async with asyncio.timeout(_PATIENCE_SECONDS):
            head = await peer.reader.readuntil(b"\r\n\r\n")
        if b" 101 " not in head:
            raise ConnectionError(head[:40].decode("latin-1"))
        yield peer


def frame(payload: bytes, first: int = 0x81) -> bytes:
    """A frame of a client; `first` is its first byte. The mask is zero, which masks nothing."""
    size = len(payload)
    if size < 126:
        head = bytes([first, 0x80 | size])
    elif size < 1 << 16:
        head = bytes([first, 0xFE]) + size.to_bytes(2, "big")
    else:
        head = bytes([first, 0xFF]) + size.to_bytes(8, "big")
    return head + bytes(4) + payload


def commands(text: str, step: int = 1) -> Iterator[bytes]:
    """Commands that say this, without end, with numbers so far apart."""
    for c in itertools.count(step, step):
        yield frame(msgspec.json.encode({"t": "cmd", "c": c, "d": text}))


HELLO: Final = frame(b'{"t":"hello"}')


async def crowd(step: Callable[[], Awaitable[None]], size: int) -> None:
    """`size` at once do `step` again and again, whatever comes of it."""

    async def one() -> None:
        while True:
            next(tries)
            try:
                await step()
            except (OSError, EOFError, TimeoutError, asyncio.LimitOverrunError):
                await asyncio.sleep(_PAUSE_SECONDS)

    async with asyncio.TaskGroup() as tasks:
        for _ in range(size):
            tasks.create_task(one())


def hexadecimal(size: int) -> str:
    """Random digits."""
    return os.urandom(size).hex()
