"""HTTP beside the WebSocket: pages, the JavaScript client, health. Served by aiohttp."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from importlib import resources
from pathlib import Path
from typing import Final

from aiohttp import web

from holdfast.core.limits import PageLimits
from holdfast.gateway.play import PlayPage
from holdfast.net.http.handover import HttpHost, error_page
from holdfast.protocols.websocket import Request
from holdfast.protocols.websocket.handshake import is_upgrade

CLIENT_PATH = "/holdfast.js"
_SHARED: Final = {
    CLIENT_PATH: ("holdfast.js", "text/javascript"),
    "/holdfast-ansi.js": ("ansi.js", "text/javascript"),
    "/holdfast-ansi.css": ("ansi.css", "text/css"),
    "/holdfast-log.js": ("log.js", "text/javascript"),
}
"""Files that any page may import."""
HEADERS: Final = {
    "Cache-Control": "no-cache",
    "Content-Security-Policy": (
        "frame-ancestors 'self'; object-src 'none'; base-uri 'self'; form-action 'self'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}
"""Header fields of each answer, unless the configuration replaces them. Pages may have inline
scripts and styles, so a stricter policy for these is left to the configuration."""
_INDEX: Final = "index.html"
_NOT_FOUND: Final = "404.html"
_WELL_KNOWN: Final = ".well-known"
"""The only name with a leading dot that is public (RFC 8615)."""

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class HttpPages(HttpHost):
    """The pages of a listener. `healthy` says whether the gateway can keep its promises now.

    `headers` are added to `HEADERS`, or take their place; an empty one is left out. `play` is the
    MUD client, if there is to be one. Below `prefix`, the listener's path, the shared files are
    served, too: a proxy may forward nothing else. `others` are the requests that are for the
    gateway's sessions.
    """

    def __init__(
        self,
        pages: Path | None,
        healthy: Callable[[], bool],
        headers: Mapping[str, str],
        limits: PageLimits,
        play: PlayPage | None = None,
        prefix: str = "",
        others: Callable[[Request], bool] = is_upgrade,
    ) -> None:
        self._pages = pages.resolve() if pages is not None else None
        self._healthy = healthy
        app = web.Application(middlewares=[self._around])
        app.router.add_get("/healthz", self._health)
        for below in {"", prefix.rstrip("/")}:
            for path in _SHARED:
                app.router.add_get(below + path, self._share)
        if play is not None:
            play.add_to(app.router, first=self._pages is None)
        if self._pages is not None:
            app.router.add_get("/{name:.*}", self._page)
        told = HEADERS | dict(headers)
        super().__init__(
            app, {name: value for name, value in told.items() if value}, limits, others
        )

    @web.middleware
    async def _around(self, request: web.Request, handler: _Handler) -> web.StreamResponse:
        try:
            if any(_is_hidden(part) for part in request.path.split("/")):
                raise web.HTTPNotFound
            return await handler(request)
        except web.HTTPException as error:
            answer = self._missing() if error.status == 404 else error_page(error.status)
            if allow := error.headers.get("Allow"):
                answer.headers["Allow"] = allow
            return answer

    def _missing(self) -> web.Response:
        own = self._pages / _NOT_FOUND if self._pages is not None else None
        if own is not None and own.is_file():
            return web.Response(status=404, body=own.read_bytes(), content_type="text/html")
        return error_page(404)

    async def _health(self, request: web.Request) -> web.Response:
        healthy = self._healthy()
        return web.json_response(
            {"status": "ok" if healthy else "the store cannot be written to"},
            status=200 if healthy else 503,
        )

    async def _share(self, request: web.Request) -> web.Response:
        name, kind = _SHARED[f"/{request.path.rpartition('/')[2]}"]
        text = resources.files("holdfast.web").joinpath(name).read_text()
        return web.Response(text=text, content_type=kind, charset="utf-8")

    async def _page(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["name"] or _INDEX
        loop = asyncio.get_running_loop()
        return web.FileResponse(await loop.run_in_executor(None, self._find, name))

    def _find(self, name: str) -> Path:
        """The file of that name in the folder, wherever links lead. Raises `HTTPException`."""
        assert self._pages is not None
        try:
            path = (self._pages / name).resolve()
            if path.is_relative_to(self._pages):
                if path.is_file():
                    return path
                if path.is_dir():
                    raise web.HTTPForbidden  # what is in it is not listed
        except (OSError, ValueError, RuntimeError):
            pass  # a name that no file has: too long, with a null, or a link to itself
        raise web.HTTPNotFound


def _is_hidden(part: str) -> bool:
    return part.startswith(".") and part != _WELL_KNOWN
