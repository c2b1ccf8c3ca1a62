"""HTTP beside the WebSocket: pages, the JavaScript client, health. Served by aiohttp."""

from __future__ import annotations

from collections.abc import Callable
from importlib import resources
from pathlib import Path

from aiohttp import web

from holdfast.net.connection import Connection

CLIENT_PATH = "/holdfast.js"


class HttpHost:
    """An aiohttp application that takes over accepted connections."""

    def __init__(self, app: web.Application) -> None:
        self._runner = web.AppRunner(app, handle_signals=False, access_log=None)

    async def start(self) -> None:
        """Make ready to serve."""
        await self._runner.setup()

    async def stop(self) -> None:
        """Close what is open."""
        await self._runner.cleanup()

    def take_over(self, connection: Connection, data: bytes) -> None:
        """Serve `connection` from here on; `data` has come already."""
        server = self._runner.server
        assert server is not None, "the pages are not started"
        connection.hand_over(server(), data)


class HttpPages(HttpHost):
    """The pages of a listener. `healthy` says whether the gateway can keep its promises now."""

    def __init__(self, pages: Path | None, healthy: Callable[[], bool]) -> None:
        self._pages = pages.resolve() if pages is not None else None
        self._healthy = healthy
        app = web.Application(middlewares=[_headers])
        app.router.add_get("/healthz", self._health)
        app.router.add_get(CLIENT_PATH, self._client)
        if self._pages is not None:
            app.router.add_get("/", self._index)
            app.router.add_static("/", self._pages)
        super().__init__(app)

    async def _health(self, request: web.Request) -> web.Response:
        healthy = self._healthy()
        return web.json_response(
            {"status": "ok" if healthy else "the store cannot be written to"},
            status=200 if healthy else 503,
        )

    async def _client(self, request: web.Request) -> web.Response:
        script = resources.files("holdfast.web").joinpath("holdfast.js").read_text()
        return web.Response(text=script, content_type="text/javascript", charset="utf-8")

    async def _index(self, request: web.Request) -> web.FileResponse:
        assert self._pages is not None
        return web.FileResponse(self._pages / "index.html")


@web.middleware
async def _headers(request: web.Request, handler: Callable[..., object]) -> web.StreamResponse:
    response = await handler(request)  # type: ignore[misc]
    assert isinstance(response, web.StreamResponse)
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Cache-Control"] = "no-cache"
    response.headers["Server"] = "holdfast"
    return response
