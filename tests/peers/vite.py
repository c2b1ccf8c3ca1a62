"""The packed client in a project of Vite and React: `./dev npm --try`, which needs a registry.

The project is `examples/react`.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from msgspec import structs
from playwright.async_api import Page
from tests.gateway.running import SECONDS, Stage, configured, port, staged
from tests.peers.chromium import chromium
from tests.peers.test_npm import package, run
from tests.programs import ROOT

from holdfast.core.limits import Limits
from holdfast.gateway.gateway import Gateway

__all__ = ["package"]  # a fixture

EXAMPLE = ROOT / "examples" / "react"


@pytest.fixture(scope="module")
def built(package: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pages of the project, with the packed client."""
    folder = tmp_path_factory.mktemp("project")
    for path in EXAMPLE.iterdir():
        if path.is_file():
            shutil.copy(path, folder)
    quiet = ("--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts")
    run("npm", "install", *quiet, package, folder=folder)
    run("npm", "run", "build", folder=folder)
    return folder / "dist"


@asynccontextmanager
async def page_of(folder: Path, pages: Path) -> AsyncIterator[tuple[Gateway, Stage, Page]]:
    """The page in Chromium, with its session."""
    patient = Limits().but(connection={"handshake_seconds_max": SECONDS})
    config = configured(folder, ["ws://127.0.0.1:0/live"], pages=str(pages), limits=patient)
    listener = structs.replace(config.listener[0], origins=("self",))
    async with (
        staged(structs.replace(config, listener=(listener,))) as (gateway, stage),
        chromium() as browser,
    ):
        page = await browser.new_page()
        page.set_default_timeout(SECONDS * 1000)
        await page.goto(f"http://127.0.0.1:{port(gateway, 'ws')}/")
        await page.wait_for_selector("output:text('online')")
        yield gateway, stage, page


async def shows(page: Page, *orders: str) -> None:
    await page.wait_for_function(
        "orders => JSON.stringify([...document.querySelectorAll('li')]"
        ".map((one) => one.textContent)) === orders",
        arg=json.dumps(list(orders), separators=(",", ":")),
    )


async def test_the_hook_in_a_build_of_vite(tmp_path: Path, built: Path) -> None:
    async with page_of(tmp_path, built) as (gateway, stage, page):
        await stage.noted("open")
        assert len(gateway.manager.sessions) == 1, "the effect has run twice, with one session"
        await stage.session.data("Order", {"state": "packed"})
        await shows(page, "packed")

        for connection in list(gateway.listeners.clients.connections):
            connection.abort()
        await page.click("button")
        await stage.noted("text", "order")
        await stage.session.data("Order", {"state": "sent"})
        await shows(page, "packed", "sent")

        await page.uncheck("input")  # the component is not shown any more
        await stage.until(lambda: not stage.session.attached)
        await page.check("input")  # it is shown again, with nothing on it
        await stage.noted("resync", "fresh")
        await stage.session.data("Order", {"state": "paid"})
        await shows(page, "paid")
        await page.click("button")
        await stage.noted("text", "order")
        assert len(gateway.manager.sessions) == 1
