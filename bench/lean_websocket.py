"""A client for WebSockets that does little, so that the time from a key to its echo is that of the
server: a whole client takes half as long itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from bench.harness import Missing

_READ_BYTES: Final = 1 << 20
_LAST: Final = 0x80
_MASKED: Final = 0x80
_NO_MASK: Final = bytes(4)
_TEXT, _BINARY, _CLOSE, _PING, _PONG = 1, 2, 8, 9, 10
_LENGTH_16, _LENGTH_64 = 126, 127


class LeanWebSocket:
    """Messages over a stream after its handshake."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def send(self, message: str | bytes) -> None:
        data = message.encode() if isinstance(message, str) else message
        self._send(_TEXT if isinstance(message, str) else _BINARY, data)
        await self._writer.drain()

    def _send(self, code: int, data: bytes) -> None:
        size = len(data)
        if size < _LENGTH_16:
            head = bytes((_LAST | code, _MASKED | size))
        elif size < 1 << 16:
            head = bytes((_LAST | code, _MASKED | _LENGTH_16)) + size.to_bytes(2, "big")
        else:
            head = bytes((_LAST | code, _MASKED | _LENGTH_64)) + size.to_bytes(8, "big")
        self._writer.write(head + _NO_MASK + data)

    async def recv(self) -> str | bytes:
        """The next message. Raises `Missing` at the end."""
        whole, kind = b"", 0
        while True:
            last, code, data = await self._frame()
            if code == _PING:
                self._send(_PONG, data)
            elif code == _CLOSE:
                raise Missing(f"the server has closed the WebSocket: {data!r}")
            elif code != _PONG:
                whole, kind = whole + data if whole else data, kind or code
                if last:
                    return whole.decode() if kind == _TEXT else whole

    async def _frame(self) -> tuple[bool, int, bytes]:
        read = self._reader.readexactly
        first, size = await read(2)
        if size == _LENGTH_16:
            size = int.from_bytes(await read(2), "big")
        elif size == _LENGTH_64:
            size = int.from_bytes(await read(8), "big")
        return bool(first & _LAST), first & 15, await read(size)


@asynccontextmanager
async def lean_websocket(
    port: int, path: str = "/", subprotocol: str = ""
) -> AsyncIterator[LeanWebSocket]:
    """A WebSocket to a server of this machine."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=_READ_BYTES)
    try:
        lines = [
            f"GET {path} HTTP/1.1",
            f"Host: 127.0.0.1:{port}",
            "Upgrade: websocket",
            "Connection: Upgrade",
            "Sec-WebSocket-Version: 13",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
            *([f"Sec-WebSocket-Protocol: {subprotocol}"] if subprotocol else ()),
        ]
        writer.write("\r\n".join([*lines, "", ""]).encode())
        answer = await reader.readuntil(b"\r\n\r\n")
        if b" 101 " not in answer.partition(b"\r\n")[0]:
            raise Missing(f"no WebSocket at {path}: {answer!r}")
        yield LeanWebSocket(reader, writer)
    finally:
        writer.close()
