"""A server on picows that sends each message to all: picows_room.py PORT"""

from __future__ import annotations

import asyncio
import sys

import uvloop
from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_create_server

ROOM: set[WSTransport] = set()


class Member(WSListener):
    """One of all."""

    def on_ws_connected(self, transport: WSTransport) -> None:
        ROOM.add(transport)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        ROOM.discard(transport)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.TEXT:
            text = frame.get_payload_as_bytes()
            for member in ROOM:
                member.send(WSMsgType.TEXT, text)


async def main() -> None:
    server = await ws_create_server(
        lambda request: Member(), "127.0.0.1", int(sys.argv[1]), backlog=4096
    )
    async with server:
        await asyncio.get_running_loop().create_future()


uvloop.run(main())
