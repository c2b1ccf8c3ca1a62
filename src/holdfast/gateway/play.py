"""The page `/play/`: a MUD client in the browser, from the files in `holdfast.web.play`."""

from __future__ import annotations

from importlib import resources
from typing import Final

import msgspec
from aiohttp import web

from holdfast.gateway.play_config import PlayConfig

PATH: Final = "/play/"
_INDEX: Final = "index.html"
_KINDS: Final = {
    _INDEX: "text/html",
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
        router.add_get(PATH.rstrip("/"), self._redirect)
        router.add_get(f"{PATH}settings.json", self._tell_settings)
        router.add_get(PATH, self._file)
        for name in _KINDS:
            router.add_get(f"{PATH}{{name:{name}}}", self._file)

    async def _lead(self, request: web.Request) -> web.StreamResponse:
        return web.Response(status=307, headers={"Location": PATH})

    async def _redirect(self, request: web.Request) -> web.StreamResponse:
        return web.Response(status=308, headers={"Location": PATH})

    async def _tell_settings(self, request: web.Request) -> web.StreamResponse:
        return web.Response(body=self._settings, content_type="application/json", headers=_SECURITY)

    async def _file(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info.get("name", _INDEX)
        text = resources.files("holdfast.web").joinpath("play", name).read_text()
        return web.Response(
            text=text, content_type=_KINDS[name], charset="utf-8", headers=_SECURITY
        )
