"""The tutorial docs/fastapi.md, followed line by line, with a browser in front of the shop."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from importlib.util import find_spec
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page
from tests.docs.pages import ROOT, blocks
from tests.peers.chromium import chromium
from tests.ports import free_port
from tests.programs import listens, missing, need, started

PAGE = ROOT / "docs" / "fastapi.md"
SHOP = ROOT / "examples" / "shop"
FILES = {
    "gateway.toml": "toml",
    "orders.py": "python",
    "shop.py": "python",
    "live.py": "python",
    "worker.py": "python",
    "page.html": "html",
    "nginx.conf": "nginx",
}
SECONDS = 60.0


def test_the_page_has_the_files_of_the_example() -> None:
    text = PAGE.read_text()
    for name, language in FILES.items():
        assert (SHOP / name).read_text() in blocks(PAGE, language), name
        assert f"`{name}`" in text
    others = {"live_http.py"}  # the same application as a URL: of the page on those
    assert {path.name for path in SHOP.iterdir() if path.is_file()} == {*FILES, *others}


def commands() -> list[str]:
    """The lines that the page tells the reader to run, in order."""
    return [line for block in blocks(PAGE, "sh") for line in block.splitlines()]


class Shop:
    """What the tutorial has the reader start."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder
        self.url = f"http://127.0.0.1:{port}/"
        self.log = folder / "log.txt"


@asynccontextmanager
async def running(folder: Path, command: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """A command of the page, until the block ends."""
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    with (folder / "log.txt").open("a") as log:
        options = {"cwd": folder, "env": environment, "stdout": log, "stderr": log}
        async with started(*command.split(), **options) as process:
            yield process


def moved(text: str, ports: dict[str, int]) -> str:
    """A file or a command of the page, at ports that are free."""
    return re.sub("|".join(ports), lambda match: str(ports[match[0]]), text)


@asynccontextmanager
async def followed(folder: Path) -> AsyncIterator[Shop]:
    """Follow the page up to its last command."""
    for module in ("fastapi", "uvicorn"):
        if find_spec(module) is None:
            missing(f"{module} is not installed (./dev setup)")
    need("openssl")
    ports = {name: free_port() for name in ("8000", "8081", "9181")}
    for name in FILES:
        (folder / name).write_text(moved((SHOP / name).read_text(), ports))
    async with AsyncExitStack() as stack:
        for command in commands():
            if command.startswith("pip "):
                continue
            if command.startswith("openssl "):
                shell = await asyncio.create_subprocess_shell(command, cwd=folder)
                assert await shell.wait() == 0
                continue
            process = await stack.enter_async_context(running(folder, moved(command, ports)))
            if command.startswith("holdfast "):
                await listens(ports["8081"], process)
            elif command.startswith("uvicorn "):
                await listens(ports["8000"], process)
        yield Shop(folder, ports["8000"])


def test_the_page_starts_four_programs() -> None:
    started = [line.partition(" ")[0] for line in commands()]
    assert started == ["pip", "openssl", "openssl", "holdfast", "uvicorn", "python", "python"]


async def log_in(page: Page, name: str, password: str) -> None:
    await page.fill("[name=name]", name)
    await page.fill("[name=password]", password)
    await page.click("#login button")
    await page.wait_for_function(
        "name => user.textContent === name && state.textContent === 'online'", arg=name
    )


async def orders(page: Page) -> list[str]:
    return await page.locator("#orders li").all_inner_texts()


async def sees(page: Page, expected: Sequence[str]) -> None:
    """Wait until these are the orders on the page."""
    await page.wait_for_function(
        "lines => JSON.stringify([...document.querySelectorAll('#orders li')]"
        ".map((one) => one.textContent)) === JSON.stringify(lines)",
        arg=list(expected),
    )


@asynccontextmanager
async def tab(browser: Browser, url: str) -> AsyncIterator[Page]:
    context = await browser.new_context()
    page = await context.new_page()
    page.set_default_timeout(SECONDS * 1000)
    await page.goto(url)
    yield page
    await context.close()


@pytest.mark.timeout(600)
async def test_the_tutorial(tmp_path: Path) -> None:
    async with followed(tmp_path) as shop, chromium() as browser:
        try:
            await in_browsers(shop, browser)
        except BaseException:
            print(shop.log.read_text())  # noqa: T201
            raise


async def in_browsers(shop: Shop, browser: Browser) -> None:
    async with tab(browser, shop.url) as anna, tab(browser, shop.url) as bert:
        await log_in(anna, "anna", "rose")
        await anna.fill("[name=item]", "Lamp")
        await anna.click("#order button")
        await sees(anna, ["Lamp: sent"])
        await log_in(bert, "bert", "tulip")
        await sees(bert, [])

        await anna.reload()
        await sees(anna, ["Lamp: sent"])

        second = await anna.context.new_page()  # the cookie is the same, the session another
        second.set_default_timeout(SECONDS * 1000)
        await second.goto(shop.url)
        await sees(second, ["Lamp: sent"])
        await second.fill("[name=item]", "Chair")
        await second.click("#order button")
        for page in (anna, second):
            await sees(page, ["Lamp: sent", "Chair: sent"])
        await sees(bert, [])

        await anna.click("#logout")  # which ends both
        for page in (anna, second):
            await page.wait_for_selector("#login:not([hidden])", state="visible")

        await log_in(anna, "bert", "tulip")  # in the same tab
        await sees(anna, [])
        kept = await anna.evaluate(
            "Object.keys(sessionStorage).filter((key) => key.includes('anna'))"
        )
        assert kept == []


def test_programs_of_the_page_are_there() -> None:
    assert shutil.which("holdfast", path=str(Path(sys.executable).parent))
