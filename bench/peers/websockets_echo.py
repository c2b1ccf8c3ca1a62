"""An echo server on the `websockets` library: websockets_echo.py PORT [-z]"""

from __future__ import annotations

import asyncio
import sys

import uvloop
from websockets.asyncio.server import ServerConnection, serve


async def echo(connection: ServerConnection) -> None:
    async for message in connection:
        await connection.send(message)


async def main() -> None:
    async with serve(
        echo, "127.0.0.1", int(sys.argv[1]), compression="deflate" if "-z" in sys.argv else None
    ):
        await asyncio.get_running_loop().create_future()


uvloop.run(main())
