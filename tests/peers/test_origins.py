"""Pages of another origin import the client and have sessions, where that is allowed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from msgspec import structs
from playwright.async_api import Browser, Page
from tests.gateway.running import SECONDS, WS, Stage, configured, staged
from tests.ports import free_port

from holdfast.gateway.gateway import Gateway

pytestmark = pytest.mark.asyncio(loop_scope="session")

PAGE = """
<!doctype html>
<script type="module">
  window.texts = [];
  window.states = [];
  try {
    const { Session, EventStream } = await import("http://127.0.0.1:PORT/live/holdfast.js");
    const url = "ws://127.0.0.1:PORT/live";
    window.session = new Session(url, OPTIONS);
    window.session.on("text", ({ d }) => window.texts.push(d));
    window.session.on("state", ({ name }) => window.states.push(name));
  } catch (error) {
    window.failed = String(error);
  }
</script>
"""
OPTIONS = {"websocket": "{}", "stream": "{ WebSocket: EventStream }"}


@asynccontextmanager
async def two_origins(
    folder: Path, browser: Browser, options: str = "{}", *, importable: bool, connects: bool
) -> AsyncIterator[tuple[Gateway, Stage, Page]]:
    """A page, and a gateway at another origin."""
    page_port, live_port = free_port(), free_port()
    site = folder / "site"
    site.mkdir()
    text = PAGE.replace("PORT", str(live_port)).replace("OPTIONS", options)
    (site / "index.html").write_text(text)
    origin = f"http://127.0.0.1:{page_port}"
    config = configured(folder, [f"ws://127.0.0.1:{live_port}/live", WS], pages=str(site))
    live, pages = config.listener
    live = structs.replace(
        live,
        pages="",
        page_headers={"Access-Control-Allow-Origin": origin} if importable else {},
        origins=(origin if connects else "https://shop.example",),
    )
    pages = structs.replace(pages, url=f"ws://127.0.0.1:{page_port}/")
    async with staged(structs.replace(config, listener=(live, pages))) as (gateway, stage):
        context = await browser.new_context()
        page = await context.new_page()
        page.set_default_timeout(SECONDS * 1000)
        await page.goto(f"{origin}/")
        yield gateway, stage, page
        await context.close()


@pytest.mark.parametrize(
    ("options", "protocol"),
    [(OPTIONS["websocket"], "websocket"), (OPTIONS["stream"], "sse")],
    ids=OPTIONS,
)
async def test_a_page_of_another_origin_has_a_session(
    tmp_path: Path, browser: Browser, options: str, protocol: str
) -> None:
    opened = two_origins(tmp_path, browser, options, importable=True, connects=True)
    async with opened as (gateway, stage, page):
        await page.wait_for_function("() => window.session?.state.name === 'online'")
        await stage.noted("open")
        (session,) = gateway.manager.sessions.values()
        assert session.row.protocol == protocol
        await stage.count(1, 5)
        await page.evaluate("for (const text of ['a', 'b']) window.session.command(text)")
        await stage.heard("a", "b")
        for connection in list(gateway.listeners.clients.connections):
            connection.abort()
        await stage.until(lambda: any(note[0] == "detach" for note in stage.notes))
        await stage.count(6, 9)
        await page.wait_for_function("() => window.texts.length >= 9")
        assert await page.evaluate("window.texts") == [str(number) for number in range(1, 10)]


async def test_without_a_header_the_client_is_not_imported(
    tmp_path: Path, browser: Browser
) -> None:
    opened = two_origins(tmp_path, browser, importable=False, connects=True)
    async with opened as (_, _, page):
        await page.wait_for_function("() => window.failed !== undefined")
        assert "Failed to fetch" in await page.evaluate("window.failed")


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
async def test_a_page_of_a_foreign_origin_has_no_session(
    tmp_path: Path, browser: Browser, options: str
) -> None:
    opened = two_origins(tmp_path, browser, options, importable=True, connects=False)
    async with opened as (gateway, _, page):
        await page.wait_for_function(
            "() => window.session?.attempts >= 3 || window.session?.state.reason"
        )
        assert gateway.manager.sessions == {}
