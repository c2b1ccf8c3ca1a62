"""Everybody in one room: three Telnet clients, netcat, three terminals of ours and a browser."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.async_api import Browser
from tests.peers.chromium import chat_page
from tests.peers.clients import ALL, SCHEMES, come, person, typed
from tests.peers.gateways import demo
from tests.peers.tmux import Tmux

pytestmark = pytest.mark.asyncio(loop_scope="session")

PROTOCOLS = {**SCHEMES, "page": "ws"}


async def test_all_talk_with_each_other(tmp_path: Path, terminals: Tmux, browser: Browser) -> None:
    async with demo(tmp_path) as gateway, chat_page(browser, gateway.page) as page:
        panes = await come(terminals, ALL, gateway.ports, tmp_path)
        await page.shows("#prompt", "Your name: ")
        await page.types(person("page"))
        await page.sees("You are in lobby.")

        # What one says, all see.
        for name, pane in panes.items():
            await pane.types(f"Hello from {name}!")
        await page.types("Hello from page!")
        for name in PROTOCOLS:
            said = f"<{person(name)}> Hello from {name}!"
            await page.sees(said)
            for pane in panes.values():
                await pane.sees(said)

        # Who is there: in each client, and beside the page's log.
        await page.has_here(*map(person, PROTOCOLS))
        for name, pane in panes.items():
            await pane.types(typed(name, "/who"))
            for other, scheme in PROTOCOLS.items():
                protocol = "websocket" if scheme == "ws" else scheme
                await pane.sees(f"{person(other):20} lobby                {protocol}")

        # What is said to one, nobody else sees.
        for name, pane in panes.items():
            await page.types(f"/tell {person(name)} Psst, {name}!")
            await page.sees(f"You tell {person(name)}: Psst, {name}!")
            await pane.sees(f"{person('page')} tells you: Psst, {name}!")
            await pane.types(typed(name, f"/tell {person('page')} Yes, {name} here."))
            await page.sees(f"{person(name)} tells you: Yes, {name} here.")
        for name, pane in panes.items():
            screen = await pane.screen()
            assert screen.count("tells you: ") == 1, (name, screen)
            assert screen.count("Psst") == 1, (name, screen)


async def test_everybody_leaves(tmp_path: Path, terminals: Tmux, browser: Browser) -> None:
    async with demo(tmp_path) as gateway, chat_page(browser, gateway.page) as page:
        await page.types("page")
        await page.sees("You are in lobby.")
        panes = await come(terminals, ALL, gateway.ports, tmp_path)
        for name, pane in panes.items():
            await pane.types(typed(name, "/quit"))
            await pane.sees("Goodbye.")
            await page.sees(f"* {person(name)} has left")
        await page.has_here("page")
        await page.types("/quit")
        await page.sees("Goodbye.")
        assert await page.comes("ended") == "goodbye"
