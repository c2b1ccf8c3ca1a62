"""An echo server on picows: picows_echo.py PORT"""

from __future__ import annotations

import asyncio
import sys

import uvloop
from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_create_server


class Echo(WSListener):
    """Frames as they are."""

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.CLOSE:
            transport.send_close(frame.get_close_code())
            transport.disconnect()
        else:
            transport.send(frame.msg_type, frame.get_payload_as_bytes())


async def main() -> None:
    server = await ws_create_server(
        lambda request: Echo(), "127.0.0.1", int(sys.argv[1]), backlog=4096
    )
    async with server:
        await asyncio.get_running_loop().create_future()


uvloop.run(main())
