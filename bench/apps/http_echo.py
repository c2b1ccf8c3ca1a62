"""An application that is a URL, at the port that it is given: it echoes."""

from __future__ import annotations

import sys

import msgspec
from aiohttp import web
from msgspec import Struct


class Event(Struct):
    text: str = ""


class Request(Struct):
    events: list[Event]


_read = msgspec.json.Decoder(Request).decode
_write = msgspec.json.Encoder().encode


async def handle(request: web.Request) -> web.Response:
    events = _read(await request.read()).events
    items = [event.text for event in events if event.text]
    return web.Response(body=_write({"items": items}), content_type="application/json")


app = web.Application()
app.router.add_post("/", handle)
web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), print=None, access_log=None)
