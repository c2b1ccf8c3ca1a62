"""An echo server on `holdfast.websocket.serve`: websocket_echo.py PORT [-z]"""

from __future__ import annotations

import sys

from holdfast.core.limits import Limits
from holdfast.net.runtime.loop import calm_collector, run
from holdfast.websocket import ServerWebSocket, serve


async def echo(ws: ServerWebSocket) -> None:
    async for message in ws:
        await ws.send(message)


async def main(port: int, *, compressed: bool) -> None:
    limits = Limits().but(connection={"connections_per_address_max": 20_000})
    compression = "deflate" if compressed else None
    async with serve(echo, "127.0.0.1", port, limits=limits, compression=compression) as server:  # type: ignore[arg-type]
        calm_collector()
        await server.serve_forever()


run(main(int(sys.argv[1]), compressed="-z" in sys.argv))
