"""A bare echo on uvloop's transports, the least that Python can do: uvloop_echo.py PORT."""

from __future__ import annotations

import asyncio
import sys

import uvloop


class Echo(asyncio.Protocol):
    """Bytes as they are."""

    __slots__ = ("_transport",)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._transport.write(data)


async def main() -> None:
    loop = asyncio.get_running_loop()
    await loop.create_server(Echo, "127.0.0.1", int(sys.argv[1]), backlog=4096)
    await asyncio.Event().wait()


uvloop.run(main())
