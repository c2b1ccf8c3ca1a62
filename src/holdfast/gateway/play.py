"""The page `/play/`: a MUD client in the browser, from the files in `holdfast.web.play`."""

from __future__ import annotations

from importlib import resources
from typing import Final

import msgspec
from aiohttp import web

from holdfast.gateway.page_files import INDEX, PageFiles
from holdfast.gateway.play_config import PlayConfig

PATH: Final = "/play/"
_KINDS: Final = {
    INDEX: "text/html",
    "play.js": "text/javascript",
    "figures.js": "text/javascript",
    "play.css": "text/css",
    "icon.svg": "image/svg+xml",
}
_SECURITY: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self';"
        " connect-src 'self'; form-action 'self'; frame-ancestors 'self'; base-uri 'none'"
    )
}
"""The page has no scripts or styles in line and asks nobody else for anything."""


class PlayPage:
    """The page of one listener, whose WebSocket is at `path`."""

    def __init__(self, config: PlayConfig, path: str) -> None:
        settings = {**msgspec.to_builtins(config), "path": path or "/"}
        self._settings = msgspec.json.encode(settings)

    def add_to(self, router: web.UrlDispatcher, *, first: bool) -> None:
        """Serve it there. `first` is whether `/` leads to it."""
        if first:
            router.add_get("/", self._lead)
        router.add_get(f"{PATH}settings.json", self._tell_settings)
        folder = resources.files("holdfast.web").joinpath("play")
        PageFiles(PATH, folder, _KINDS, lambda name: _SECURITY).add_to(router)

    async def _lead(self, request: web.Request) -> web.StreamResponse:
        return web.Response(status=307, headers={"Location": PATH})

    async def _tell_settings(self, request: web.Request) -> web.StreamResponse:
        return web.Response(body=self._settings, content_type="application/json", headers=_SECURITY)
