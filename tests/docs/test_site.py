"""The site is built without a fault, and has a page for every public name."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Final

import pytest
from playwright.async_api import expect
from tests.docs.pages import ROOT
from tests.peers.chromium import chromium
from tests.shared import shared
from website.generated import PAGES as GENERATED

_MODULES: Final = ("app", "client", "publish", "tcp", "telnet", "websocket")
_FETCHED: Final = re.compile(
    r"<(?:script|link|img|iframe)\b[^>]*?(?:src|href)=\"?(https?:)?//[^>]*"
)
pytestmark = pytest.mark.timeout(900)
"""The first test builds the site, in 20 s of processor time."""
_VARIABLE: Final = re.compile(r"HOLDFAST_[A-Z_]+")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site as `./dev docs` builds it: a warning is a failure."""
    with shared(tmp_path_factory, "site") as folder:
        if not (folder / "index.html").exists():
            done = subprocess.run(
                [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)],
                cwd=ROOT,
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, done.stderr
        return folder


@pytest.mark.parametrize("name", _MODULES)
def test_every_public_name_has_a_place(name: str, site: Path) -> None:
    page = (site / "reference" / f"{name}.html").read_text()
    public = import_module(f"holdfast.{name}").__all__
    missing = [one for one in public if f'id="holdfast.{name}.{one}"' not in page]
    assert missing == []


def test_every_handler_and_call_of_an_application_is_described(site: Path) -> None:
    page = (site / "reference" / "app.html").read_text()
    app, session = import_module("holdfast.app").App, import_module("holdfast.app").Session
    for owner in (app, session):
        names = [name for name in dir(owner) if not name.startswith("_")]
        assert len(names) > 10
        missing = [
            name for name in names if f'id="holdfast.app.{owner.__name__}.{name}"' not in page
        ]
        assert missing == []


def test_nothing_comes_from_another_site(site: Path) -> None:
    found = {
        str(page.relative_to(site)): match[0]
        for page in site.rglob("*.html")
        for match in _FETCHED.finditer(page.read_text())
    }
    assert found == {}


def test_every_page_is_in_the_navigation() -> None:
    named = set(re.findall(r"^ +- (\S+\.md)$", (ROOT / "mkdocs.yml").read_text(), re.MULTILINE))
    pages = {str(page.relative_to(ROOT / "docs")) for page in (ROOT / "docs").rglob("*.md")}
    assert named == pages | set(GENERATED) | {"architecture.md", "changelog.md"}


async def test_the_search_finds_a_handler(site: Path) -> None:
    index = json.loads((site / "search" / "search_index.json").read_text())
    assert any("on_remember" in entry["text"] for entry in index["docs"])
    async with chromium() as browser:
        page = await browser.new_page()
        page.set_default_timeout(60_000)
        await page.route("**/*", lambda route: route.fulfill(path=_file(site, route.request.url)))
        await page.goto("http://site.test/index.html")
        await page.locator("input[name=query]").fill("on_remember")
        found = page.locator(".md-search-result__link").first
        await expect(found).to_be_visible(timeout=60_000)


def _file(site: Path, url: str) -> Path:
    return site / url.removeprefix("http://site.test/").partition("?")[0].partition("#")[0]


def test_every_variable_is_described() -> None:
    sources = "".join(file.read_text() for file in (ROOT / "src").rglob("*.py"))
    page = (ROOT / "docs" / "reference" / "environment.md").read_text()
    assert set(_VARIABLE.findall(sources)) == set(_VARIABLE.findall(page))
