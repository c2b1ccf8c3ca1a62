"""An application that is a URL, as a test plays it: a real HTTP server on loopback."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import web
from msgspec import structs
from tests.gateway.running import SECONDS, TCP, configured, eventually

from holdfast.backends.http import Config as HttpConfig
from holdfast.core.limits import Limits
from holdfast.gateway.config import Config

Answer = Callable[[dict[str, Any]], Any]
QUICK = Limits().but(
    http={"backoff_seconds_max": 0.05, "request_seconds_max": 20.0},
    upstream={"broken_seconds_max": 0.05},
)


class Endpoint:
    """Notes what it is sent, and answers with what `answer` gives for a request: a body, or
    a `web.Response`. It handles each event once."""

    def __init__(self) -> None:
        self.requests: list[dict[str, Any]] = []
        self.headers: list[Any] = []
        self.bodies: list[bytes] = []
        self.answer: Answer = lambda body: {
            "items": [f"you said {event['text']}" for event in body["events"] if "text" in event]
        }
        self.url = ""
        self.busy = self.busiest = 0
        """Requests under way of one session; the most that there ever were."""
        self._runner: web.AppRunner | None = None
        self._port = 0

    async def start(self) -> None:
        """Serve, at the same port each time."""
        app = web.Application(client_max_size=1 << 24)
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port, reuse_address=True)
        await site.start()
        self._port = self._runner.addresses[0][1]
        self.url = f"http://127.0.0.1:{self._port}/holdfast"

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        self.bodies.append(body)
        self.headers.append(request.headers)
        parsed = json.loads(body) if body else {"events": []}
        self.requests.append(parsed)
        self.busy += 1
        self.busiest = max(self.busy, self.busiest)
        try:
            answer = self.answer(parsed)
            if asyncio.iscoroutine(answer):
                answer = await answer
        finally:
            self.busy -= 1
        if isinstance(answer, web.StreamResponse):
            return answer
        return web.json_response(answer)

    @property
    def events(self) -> list[dict[str, Any]]:
        """All events of all requests."""
        return [event for request in self.requests for event in request["events"]]

    @property
    def told(self) -> list[str]:
        """All events: what was typed, or what has happened."""
        return [event.get("text", event["type"]) for event in self.events]

    async def until(self, *told: str) -> None:
        """Wait until these are the last events."""
        await eventually(lambda: self.told[-len(told) :] == list(told))


@asynccontextmanager
async def endpoint() -> AsyncIterator[Endpoint]:
    it = Endpoint()
    await it.start()
    try:
        yield it
    finally:
        await it.stop()


def behind(folder: Path, *urls: str, limits: Limits = QUICK, **keys: Any) -> Config:
    """A gateway with a TCP listener whose application is at these URLs."""
    config = configured(folder, [TCP], limits=limits)
    (listener,) = config.listener
    backend = HttpConfig(endpoint=urls, app="shop", **keys)
    return structs.replace(config, listener=(structs.replace(listener, backend=backend),))


class Person:
    """A client on TCP."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self.code = ""

    def types(self, *lines: str) -> None:
        self._writer.write("".join(f"{line}\n" for line in lines).encode())

    async def line(self) -> str:
        async with asyncio.timeout(SECONDS):
            return (await self._reader.readline()).decode().rstrip("\r\n")

    async def hears(self, *lines: str) -> None:
        for line in lines:
            assert await self.line() == line

    async def until(self, line: str) -> list[str]:
        """The lines up to this one."""
        lines = [await self.line()]
        while lines[-1] != line:
            lines.append(await self.line())
        return lines

    async def ends(self) -> bytes:
        async with asyncio.timeout(SECONDS):
            return await self._reader.read()


@asynccontextmanager
async def person(port: int) -> AsyncIterator[Person]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    it = Person(reader, writer)
    try:
        greeting = await it.line()
        it.code = greeting.partition('"resume ')[2].rstrip('".')
        yield it
    finally:
        writer.transport.abort()
