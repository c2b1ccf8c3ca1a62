"""Links between pages and files of the repository, as links of the site.

The same pages are read in the repository, where `../examples/parrot.py` is a file. On the site, a
page shows that file.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Final

_LINK: Final = re.compile(r"(\]\()([^)\s#]+)((?:#[^)\s]*)?\))")
_CODE: Final = re.compile(r"(^```.*?^```$)", re.DOTALL | re.MULTILINE)
_PAGES: Final = {
    "ARCHITECTURE.md": "architecture.md",
    "CHANGELOG.md": "changelog.md",
    "README.md": "index.md",
}
_LANGUAGES: Final = {
    ".js": "js",
    ".json": "json",
    ".mjs": "js",
    ".py": "python",
    ".toml": "toml",
    ".yaml": "yaml",
    ".yml": "yaml",
    ".service": "ini",
    ".socket": "ini",
}


def site_path(path: str) -> str:
    """Where a file of the repository is on the site."""
    if path in _PAGES:
        return _PAGES[path]
    if path.startswith("docs/"):
        return path.removeprefix("docs/")
    return f"files/{path}.md"


def found_in(markdown: str, origin: str) -> set[str]:
    """The files and folders outside docs/ that a page links to. `origin` is the page's path."""
    targets = {_target(match[2], origin) for match in _LINK.finditer(_prose(markdown))}
    return {path for path in targets if path and site_path(path).startswith("files/")}


def moved(markdown: str, origin: str, uri: str) -> str:
    """The page with its links as the site needs them. `uri` is the page's path on the site."""

    def lead(match: re.Match[str]) -> str:
        path = _target(match[2], origin)
        if not path:
            return match[0]
        return match[1] + posixpath.relpath(site_path(path), posixpath.dirname(uri)) + match[3]

    parts = _CODE.split(markdown)
    return "".join(
        part if number % 2 else _LINK.sub(lead, part) for number, part in enumerate(parts)
    )


def page_of(root: Path, path: str) -> str:
    """A page that shows a file, or each file of a folder."""
    target = root / path
    files = sorted(target.rglob("*")) if target.is_dir() else [target]
    shown = [file for file in files if file.is_file() and "__pycache__" not in file.parts]
    lines = [f"# `{path}`", ""]
    for file in shown:
        if target.is_dir():
            lines += [f"## `{file.relative_to(target)}`", ""]
        lines += [_block(file), ""]
    return "\n".join(lines)


def _block(file: Path) -> str:
    text = file.read_text().rstrip("\n")
    fence = "````" if "```" in text else "```"
    return f"{fence}{_LANGUAGES.get(file.suffix, 'text')}\n{text}\n{fence}"


def _prose(markdown: str) -> str:
    return _CODE.sub("", markdown)


def _target(link: str, origin: str) -> str:
    """The path in the repository that a link leads to, or nothing for one that leaves it."""
    if "://" in link or link.startswith("mailto:"):
        return ""
    return posixpath.normpath(posixpath.join(posixpath.dirname(origin), link))
