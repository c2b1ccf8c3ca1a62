"""Hooks of MkDocs: they add the generated pages, and lead links to where files are on the site."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from mkdocs.structure.files import File, Files

from website.generated import PAGES
from website.links import found_in, moved, page_of

ROOT: Final = Path(__file__).parents[1]
_MOVED: Final = {"architecture.md": "ARCHITECTURE.md", "changelog.md": "CHANGELOG.md"}
"""Pages of the site that are files of the repository, beside docs/."""


def on_files(files: Files, config: Any) -> Files:
    """Add the pages that are no files of docs/."""
    for page, make in PAGES.items():
        files.append(File.generated(config, page, content=make()))
    for page, name in _MOVED.items():
        files.append(File.generated(config, page, content=(ROOT / name).read_text()))
    shown: set[str] = set()
    for path in [repository_path(file.src_uri) for file in files if file.src_uri.endswith(".md")]:
        if (ROOT / path).is_file():
            shown |= found_in((ROOT / path).read_text(), path)
    for path in sorted(shown):
        files.append(File.generated(config, f"files/{path}.md", content=page_of(ROOT, path)))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Lead each link to where its target is on the site."""
    uri = page.file.src_uri
    return moved(markdown, repository_path(uri), uri)


def repository_path(uri: str) -> str:
    """Where a page of the site comes from."""
    return _MOVED.get(uri, f"docs/{uri}")
