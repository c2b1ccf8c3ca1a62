"""Pages that were away: in the back/forward cache, and on a phone that slept."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page
from tests.gateway.running import SECONDS, WS, Stage, configured, port, staged
from tests.peers.chromium import caching_chromium
from tests.peers.cutter import Cutter, cutter

from holdfast.gateway.gateway import Gateway

pytestmark = pytest.mark.asyncio(loop_scope="session")

PAGE = """
<!doctype html>
<script type="module">
  import { Session } from "/holdfast.js";
  const session = new Session(location.href.replace(/^http/, "ws"));
  window.texts = [];
  window.states = [];
  window.shown = 0;
  session.on("text", ({ d }) => window.texts.push(d));
  session.on("state", ({ name }) => window.states.push(name));
  addEventListener("pageshow", ({ persisted }) => { window.shown += persisted; });
  window.session = session;
</script>
"""
ONLINE = "window.session?.state.name === 'online'"


@asynccontextmanager
async def shown(
    folder: Path, browser: Browser
) -> AsyncIterator[tuple[Gateway, Stage, Page, Cutter]]:
    """A page with a session, and five lines on it. Its network is a cable."""
    site = folder / "site"
    site.mkdir()
    (site / "index.html").write_text(PAGE)
    (site / "other.html").write_text("<h1>Another page</h1>")
    async with (
        staged(configured(folder, [WS], pages=str(site))) as (gateway, stage),
        cutter(port(gateway, "ws")) as cable,
    ):
        context = await browser.new_context()
        page = await context.new_page()
        page.set_default_timeout(SECONDS * 1000)
        await page.goto(f"http://127.0.0.1:{cable.port}/")
        await page.wait_for_function(f"() => {ONLINE}")
        await stage.noted("open")
        await stage.count(1, 5)
        await page.wait_for_function("() => window.texts.length === 5")
        yield gateway, stage, page, cable
        await context.close()


def loses_its_connections(gateway: Gateway) -> None:
    for connection in list(gateway.listeners.clients.connections):
        connection.abort()


async def sees_everything(page: Page, stage: Stage, last: int) -> None:
    await page.wait_for_function(f"() => {ONLINE} && window.texts.length >= {last}")
    assert await page.evaluate("window.texts") == [str(number) for number in range(1, last + 1)]
    await page.evaluate("window.session.command('back')")
    await stage.noted("text", "back")


async def test_a_page_from_the_back_forward_cache_goes_on_where_it_was(tmp_path: Path) -> None:
    async with (
        caching_chromium() as browser,
        shown(tmp_path, browser) as (gateway, stage, page, _),
    ):
        await page.goto(f"{page.url}other.html")
        loses_its_connections(gateway)
        await stage.until(lambda: any(note[0] == "detach" for note in stage.notes))
        await stage.count(6, 9)
        await page.go_back(wait_until="commit")
        await page.wait_for_function("() => window.shown !== undefined")
        assert await page.evaluate("window.shown") == 1, "the page was loaded anew"
        await sees_everything(page, stage, 9)


@pytest.mark.parametrize("network", ["back", "gone"])
async def test_a_page_on_a_phone_that_slept_goes_on_where_it_was(
    tmp_path: Path, browser: Browser, network: str
) -> None:
    """`network`: whether it is there again when the phone wakes."""
    async with shown(tmp_path, browser) as (gateway, stage, page, cable):
        phone = await page.context.new_cdp_session(page)
        await phone.send("Page.setWebLifecycleState", {"state": "frozen"})
        if network == "gone":
            cable.cut()
        loses_its_connections(gateway)
        await stage.until(lambda: any(note[0] == "detach" for note in stage.notes))
        await stage.count(6, 9)
        await phone.send("Page.setWebLifecycleState", {"state": "active"})
        if network == "gone":
            await page.wait_for_function(
                "() => window.states.lastIndexOf('offline') > window.states.indexOf('online')"
            )
            await page.evaluate("window.session.command('asleep')")
            await cable.mend()
            await stage.noted("text", "asleep")
        await sees_everything(page, stage, 9)
        assert (await page.evaluate("window.states")).count("online") == 2
