"""The console: the pages at `/console/`, through which an operator sees and uses the API.

They are built from `frontend/src/console/`. The files are public; all that they show comes from
the API, for which the page asks the operator's token.
"""

from __future__ import annotations

from importlib import resources
from importlib.resources.abc import Traversable
from typing import Final

from holdfast.gateway.page_files import INDEX, PageFiles

PATH: Final = "/console/"
_SCREEN: Final = "screen.html"
"""The screen of a watched terminal: a frame of the page."""
_KINDS: Final = {
    INDEX: "text/html",
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


def console_files() -> PageFiles:
    """The files of the console; where they were not built, a page that names what is missing."""
    return PageFiles(PATH, _folder(), _KINDS, _headers)


def _headers(name: str) -> dict[str, str]:
    policy = _SCREEN_POLICY if name == _SCREEN else _POLICY
    return {"Content-Security-Policy": policy, **_SECURITY}


def _folder() -> Traversable:
    files = resources.files("holdfast.web")
    built = files.joinpath("console")
    return built if built.joinpath("console.js").is_file() else files.joinpath("console_missing")
