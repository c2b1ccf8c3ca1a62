"""The console: the pages at `/console/`, through which an operator sees and uses the API.

They are built from `frontend/src/console/`. The files are public; all that they show comes from
the API, for which the page asks the operator's token.
"""

from __future__ import annotations

from importlib import resources
from importlib.resources.abc import Traversable
from typing import Final

from aiohttp import web

PATH: Final = "/console/"
_INDEX: Final = "index.html"
_SCREEN: Final = "screen.html"
"""The screen of a watched terminal: a frame of the page."""
_KINDS: Final = {
    _INDEX: "text/html",
    "console.js": "text/javascript",
    "console.css": "text/css",
    _SCREEN: "text/html",
    "screen.js": "text/javascript",
    "screen.css": "text/css",
}
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:;"
    " connect-src 'self'; frame-src 'self'; base-uri 'none'; form-action 'none';"
    " frame-ancestors 'none'"
)
"""The page runs its own script, and asks its own gateway."""
_SCREEN_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:;"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)
"""The terminal's program sets styles. The frame connects to nobody."""
_SECURITY: Final = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
}


def is_console(path: str) -> bool:
    """Whether a path is one of the console's files, which need no token."""
    return path.startswith(PATH) or path == PATH.rstrip("/")


class ConsolePages:
    """The files of the console; where they were not built, a page that names what is missing."""

    def __init__(self) -> None:
        self._folder = _folder()

    def add_to(self, router: web.UrlDispatcher) -> None:
        """Serve them there."""
        router.add_get(PATH.rstrip("/"), self._redirect)
        router.add_get(PATH, self._file)
        for name in _KINDS:
            router.add_get(f"{PATH}{{name:{name}}}", self._file)

    async def _redirect(self, request: web.Request) -> web.StreamResponse:
        return web.Response(status=308, headers={"Location": PATH})

    async def _file(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info.get("name", _INDEX)
        file = self._folder.joinpath(name)
        if not file.is_file():
            raise web.HTTPNotFound
        policy = _SCREEN_POLICY if name == _SCREEN else _POLICY
        return web.Response(
            text=file.read_text(),
            content_type=_KINDS[name],
            charset="utf-8",
            headers={"Content-Security-Policy": policy, **_SECURITY},
        )


def _folder() -> Traversable:
    files = resources.files("holdfast.web")
    built = files.joinpath("console")
    return built if built.joinpath("console.js").is_file() else files.joinpath("console_missing")
