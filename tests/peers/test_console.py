"""The console in a real browser, in front of real gateways."""

from __future__ import annotations

import os
import re
import socket
from pathlib import Path
from typing import Any, Final

import pytest
from msgspec import structs
from playwright.async_api import Browser, expect
from tests.backends.pty.running import config as shell
from tests.backends.terminal.client import term_client
from tests.backends.test_upstreams import at, bridged
from tests.gateway.admin.asking import ANYWHERE, TOKEN, administered
from tests.gateway.clients import v1
from tests.gateway.running import TCP, WS, configured, eventually, serving, staged
from tests.gateway.servers import mud
from tests.gateway.test_postgresql import Place
from tests.peers.console_page import ConsolePage, console_of, url_of
from tests.peers.looks import legible
from tests.ports import free_port
from tests.postgresql import Cluster

from holdfast.core.limits import Limits
from holdfast.gateway.admin.guard import AdminConfig
from holdfast.gateway.config import Config

pytestmark = pytest.mark.asyncio(loop_scope="session")

HOSTILE: Final = "<img src=x onerror=\"document.title='taken'\">"
NODES_MS: Final = 10_000
"""How often the page asks for the nodes."""
DESK: Final[dict[str, Any]] = {"viewport": {"width": 1200, "height": 850}}
PHONE: Final[dict[str, Any]] = {
    "viewport": {"width": 390, "height": 780},
    "is_mobile": True,
    "has_touch": True,
}
SCREENS: Final[dict[str, dict[str, Any]]] = {
    "desk-light": {**DESK, "color_scheme": "light"},
    "desk-dark": {**DESK, "color_scheme": "dark"},
    "phone-light": {**PHONE, "color_scheme": "light"},
    "phone-dark": {**PHONE, "color_scheme": "dark"},
}


def guarded(config: Config, folder: Path) -> Config:
    """With an admin listener that has a token."""
    path = folder / "token"
    path.write_text(TOKEN)
    return administered(config, AdminConfig(listen="tcp://127.0.0.1:0", token_file=str(path)))


async def test_an_operator_sees_and_acts(tmp_path: Path, browser: Browser) -> None:
    limits = Limits().but(admin={"wrong_token_burst_max": 1})
    config = guarded(configured(tmp_path, [WS, TCP], limits=limits), tmp_path)
    async with (
        staged(config) as (gateway, stage),
        v1(gateway) as client,
        console_of(browser, url_of(gateway), **DESK) as page,
    ):
        await client.expect("welcome")
        await stage.noted("open")
        await stage.session.identify(HOSTILE)
        await stage.session.text("one")
        await client.texts("one")
        (session,) = gateway.manager.sessions.values()

        await page.enters("wrong-wrong-wrong-wrong")
        await expect(page.page.get_by_role("alert")).to_have_text("The token is wrong.")
        await page.enters("another-that-is-wrong-too")
        await expect(page.page.get_by_role("alert")).to_contain_text("Too many wrong tokens")
        await page.enters(TOKEN)
        await page.comes("ready")
        assert all(TOKEN not in url for url in page.requests)
        figure = page.page.locator("[data-figure=connections]")
        await expect(figure).to_have_text("1")
        (row,) = await page.rows("Linked instances of applications").all()
        await expect(row).to_contain_text("stage")
        await expect(row).to_contain_text("serving")
        await expect(page.rows("Listeners")).to_have_count(3)

        await page.goes("Sessions")
        await expect(page.rows("Sessions")).to_have_count(1)
        await expect(page.rows("Sessions")).to_contain_text(HOSTILE)
        await page.page.get_by_label("State").select_option("detached_active")
        await expect(page.page.get_by_text("No session fits.")).to_be_visible()
        await page.page.get_by_label("State").select_option("active")
        await page.page.get_by_label("Search").fill("nobody")
        await expect(page.page.get_by_text("No session fits.")).to_be_visible()
        await page.page.get_by_label("Search").fill(f"…{session.sid[-12:]}")  # as it is listed
        await expect(page.rows("Sessions")).to_have_count(1)
        await page.page.get_by_label("Search").fill("ONERROR")
        await expect(page.page).to_have_url(re.compile("search=ONERROR"))
        await expect(page.rows("Sessions")).to_have_count(1)
        await page.page.reload()  # the tab keeps the token, and the address the filters
        await expect(page.page.get_by_label("Search")).to_have_value("ONERROR")
        await page.rows("Sessions").get_by_role("link").click()
        await expect(page.page.locator(".id")).to_have_text(session.sid)
        await expect(page.page.get_by_text("Outputs 1 to 1 exist")).to_be_visible()
        await expect(page.rows("Events of the session")).to_contain_text("session opened")

        await page.page.get_by_role("button", name="Send a notice").click()
        await page.page.get_by_label("Its client sees this line").fill("Tea at five.")
        await page.page.keyboard.press("Enter")
        await page.has_said("The notice was shown.")
        assert (await client.expect("notice"))["d"] == "Tea at five."
        await page.page.get_by_role("button", name="Kick").click()
        await page.page.keyboard.press("Escape")
        await expect(page.page.get_by_role("dialog")).to_have_count(0)
        assert session.sid in gateway.manager.sessions
        await page.does("Kick", "Kick")
        await page.has_said("The session was kicked.")
        await expect(page.page.locator(".none[role=status]")).to_contain_text("ended at")
        await expect(page.page.get_by_role("heading", level=1)).to_be_focused()
        await client.closed()
        assert "taken" not in await page.page.title()

        async with v1(gateway) as another:
            await another.expect("welcome")
            await page.goes("Connections")
            await expect(page.page.locator("#said")).to_be_empty()
            await expect(page.rows("Connections")).to_have_count(1)
            await page.does("End connection", "End it")
            await page.has_said("was ended")
            await another.closed()
            await expect(page.rows("Connections")).to_have_count(0)
            await expect(page.page.get_by_role("heading", level=1)).to_be_focused()
        await page.page.get_by_role("button", name="Log out").click()
        await expect(page.page.get_by_label("Admin token")).to_be_focused()
        await page.page.reload()
        await expect(page.page.get_by_label("Admin token")).to_be_visible()


async def test_a_gateway_is_reloaded_drained_and_started_again(
    tmp_path: Path, browser: Browser
) -> None:
    """The page says what becomes of the gateway, and goes on with the next run."""
    async with mud() as server:
        config = administered(
            bridged(tmp_path, at(server, "telnet"), urls=(TCP,)),
            AdminConfig(listen=f"tcp://127.0.0.1:{free_port()}"),
        )
        async with serving(config) as gateway, console_of(browser, url_of(gateway)) as page:
            await page.comes("ready")  # on loopback, without a token
            await expect(page.page.get_by_role("button", name="Log out")).to_be_hidden()
            await expect(page.rows("Servers of upstreams")).to_contain_text("closed")
            (pool,) = (each.pool for each in gateway.upstreams.values())
            for _ in range(pool.limits.failures_max):
                pool.targets[0].breaker.failed(gateway.context.runtime.timers.now, 1.0)
            await expect(page.rows("Servers of upstreams")).to_contain_text("open")

            reload = page.page.get_by_role("button", name="Reload")
            await reload.click()
            await expect(page.page.locator("#alarm")).to_contain_text("without a configuration")
            await page.page.get_by_role("button", name="Close").click()
            changed = structs.replace(config, node="elsewhere")
            gateway._source = lambda: changed
            await reload.click()
            await expect(page.rows("Changes of the configuration")).to_have_count(1)
            (row,) = await page.rows("Changes of the configuration").all()
            await expect(row).to_contain_text("at a restart")

            await page.does("Drain", "Cancel")
            assert not gateway._stop.is_set()
            await page.does("Drain", "Drain")
            await eventually(gateway._stop.is_set)
            await page.comes("silent")
            await expect(page.page.locator("#trouble")).to_contain_text("does not answer")
            async with serving(config):
                await page.comes("ready")
                await page.has_said("The gateway was restarted.")
                await expect(page.page.locator("#trouble")).to_be_hidden()


@pytest.mark.parametrize("screen", SCREENS)
async def test_every_view_is_legible_and_fits(
    tmp_path: Path, browser: Browser, screen: str
) -> None:
    config = guarded(configured(tmp_path, [WS, TCP]), tmp_path)
    async with (
        staged(config) as (gateway, stage),
        v1(gateway) as client,
        console_of(browser, url_of(gateway), **SCREENS[screen]) as page,
    ):
        await client.expect("welcome")
        await stage.noted("open")
        await stage.session.identify("ada")
        await expect(page.page.get_by_label("Admin token")).to_be_focused()
        await looks_well(page, f"{screen}-login")
        await page.enters(TOKEN)
        await page.comes("ready")
        await looks_well(page, f"{screen}-overview")
        await goes_by_keyboard(page, "Sessions")
        await expect(page.rows("Sessions")).to_have_count(1)
        await looks_well(page, f"{screen}-sessions")
        link = page.rows("Sessions").get_by_role("link")
        await link.focus()
        await page.page.keyboard.press("Enter")
        await expect(page.rows("Events of the session")).not_to_have_count(0)
        await looks_well(page, f"{screen}-session")
        kick = page.page.get_by_role("button", name="Kick")
        await kick.focus()
        await page.page.keyboard.press("Enter")
        await expect(page.page.get_by_role("button", name="Cancel")).to_be_focused()
        await looks_well(page, f"{screen}-question")
        await page.page.keyboard.press("Enter")
        await expect(kick).to_be_focused()
        await goes_by_keyboard(page, "Connections")
        await expect(page.rows("Connections")).to_have_count(1)
        await looks_well(page, f"{screen}-connections")


async def goes_by_keyboard(page: ConsolePage, view: str) -> None:
    """Show another view with the Tab key alone: each stop on the way has a visible outline."""
    heading = page.page.get_by_role("heading", level=1)
    await heading.focus()
    link = page.page.get_by_role("navigation").get_by_role("link", name=view)
    for _ in range(10):
        await page.page.keyboard.press("Shift+Tab")
        style = await page.page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert style != "none"
        if await link.evaluate("(node) => node === document.activeElement"):
            break
    await page.page.keyboard.press("Enter")
    await expect(heading).to_have_text(view)
    await expect(heading).to_be_focused()
    await expect(link).to_have_attribute("aria-current", "page")


async def looks_well(page: ConsolePage, name: str) -> None:
    """What is shown is legible and not wider than the screen. Keeps a screenshot, for people."""
    await legible(page, texts_min=3)
    sides = "[document.documentElement.scrollWidth, innerWidth]"
    wide, room = await page.page.evaluate(sides)
    assert wide <= room
    unnamed = "[...document.querySelectorAll('input, select, button')].filter(" + (
        "(one) => !one.labels?.length && !one.textContent.trim()).length"
    )
    assert await page.page.evaluate(unnamed) == 0
    if folder := os.environ.get("SCREENSHOTS"):
        await page.page.screenshot(path=Path(folder) / f"console-{name}.png", full_page=True)


async def test_a_session_and_a_terminal_are_watched(tmp_path: Path, browser: Browser) -> None:
    watched = structs.replace(ANYWHERE, watch=True)
    async with (
        staged(administered(configured(tmp_path, [WS]), watched)) as (gateway, stage),
        v1(gateway) as client,
        console_of(browser, url_of(gateway), **DESK) as page,
    ):
        await client.expect("welcome")
        await stage.noted("open")
        await stage.session.text(f"\x1b[31mred\x1b[0m {HOSTILE}")
        await page.goes("Sessions")
        await page.rows("Sessions").get_by_role("link").click()
        await page.page.get_by_role("link", name="Watch").click()
        log = page.page.get_by_role("log")
        await expect(log).to_have_text(f"red {HOSTILE}")
        await expect(log.locator(".fg-1")).to_have_text("red")
        await stage.session.data("Char.Vitals", {"hp": 3})
        await expect(log).to_contain_text('Char.Vitals {"hp":3}')
        await looks_well(page, "desk-watch")
        (session,) = gateway.manager.sessions.values()
        assert session.viewers is not None
        assert len(session.viewers) == 1
        await page.page.get_by_role("link", name="Stop watching").click()
        await eventually(lambda: session.viewers is not None and len(session.viewers) == 0)

    async with (
        serving(administered(shell(), watched)) as gateway,
        term_client(gateway) as owner,
        console_of(browser, url_of(gateway), **DESK) as page,
    ):
        await owner.told("opened")
        (sid,) = gateway.manager.sessions
        await page.comes("ready")
        await page.page.evaluate("(sid) => (location.hash = `#watch/${sid}`)", sid)
        await owner.types("echo SE''EN\r")
        rows = page.page.frame_locator("iframe").locator(".xterm-rows")
        await expect(rows).to_contain_text("SEEN")
        await page.page.locator("iframe").focus()
        await page.page.keyboard.type("typed")
        for _ in range(3):  # through the screen's own field, and out of it
            await page.page.keyboard.press("Shift+Tab")
        inside = "document.activeElement?.tagName === 'IFRAME'"
        assert not await page.page.evaluate(inside)
        await owner.types("exit 3\r")
        await expect(page.page.locator(".count")).to_contain_text("The watch has ended")
        await expect(rows).not_to_contain_text("typed")
        if folder := os.environ.get("SCREENSHOTS"):
            await page.page.screenshot(path=Path(folder) / "console-watch-terminal.png")


@pytest.mark.parametrize("screen", ["desk-light", "phone-dark"])
async def test_the_nodes_of_one_database(
    postgresql: Cluster, tmp_path: Path, browser: Browser, screen: str
) -> None:
    """Each gateway's console shows them all; one that ends is gone from it without a reload."""
    database = await postgresql.empty_database()
    place = Place(postgresql, database, tmp_path)
    async with (
        serving(guarded(place.config(node="harbour"), tmp_path)) as gateway,
        console_of(browser, url_of(gateway), **SCREENS[screen]) as page,
    ):
        await page.enters(TOKEN)
        await page.comes("ready")
        await page.page.clock.install()
        await page.page.reload()
        await page.comes("ready")
        nodes = page.rows("Nodes")
        await expect(nodes).to_have_count(1)
        await expect(nodes).to_contain_text("harbour (this one)")
        async with serving(structs.replace(place.config(node="other"), node=HOSTILE)):
            await page.page.clock.fast_forward(NODES_MS)
            await expect(nodes).to_have_count(2)
            await expect(nodes.filter(has_text="this one")).to_contain_text(socket.gethostname())
            other = nodes.filter(has_not_text="this one")
            await expect(other).to_contain_text(HOSTILE)
            await expect(other).to_contain_text(re.compile(r"\d\d:\d\d:\d\d"))
            await looks_well(page, f"{screen}-nodes")
        await page.page.clock.fast_forward(NODES_MS)
        await expect(nodes).to_have_count(1)
        assert "taken" not in await page.page.title()
    await postgresql.give_back(database)
