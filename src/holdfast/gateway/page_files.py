"""The files of one of the gateway's own pages, which are in the package."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.resources.abc import Traversable
from typing import Final

from aiohttp import web

INDEX: Final = "index.html"


class PageFiles:
    """The files `kinds` (by name: the MIME type) of `folder`, at `path`, which ends with a slash.

    `headers` gives the headers of a file's answer.
    """

    def __init__(
        self,
        path: str,
        folder: Traversable,
        kinds: Mapping[str, str],
        headers: Callable[[str], Mapping[str, str]],
    ) -> None:
        self._path = path
        self._folder = folder
        self._kinds = kinds
        self._headers = headers

    def add_to(self, router: web.UrlDispatcher) -> None:
        """Serve them there; the path without its slash leads to it."""
        router.add_get(self._path.rstrip("/"), self._redirect)
        router.add_get(self._path, self._file)
        for name in self._kinds:
            router.add_get(f"{self._path}{{name:{name}}}", self._file)

    async def _redirect(self, request: web.Request) -> web.StreamResponse:
        return web.Response(status=308, headers={"Location": self._path})

    async def _file(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info.get("name", INDEX)
        file = self._folder.joinpath(name)
        if not file.is_file():
            raise web.HTTPNotFound
        return web.Response(
            text=file.read_text(),
            content_type=self._kinds[name],
            charset="utf-8",
            headers=self._headers(name),
        )
