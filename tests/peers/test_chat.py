"""Everybody in one room: three Telnet clients, netcat, two terminals of ours and a browser."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.async_api import Browser
from tests.peers.chromium import chat_page
from tests.peers.clients import LINE_CLIENTS, PORTS, connect, start, typed
from tests.peers.houses import demo
from tests.peers.tmux import Pane, Tmux

pytestmark = pytest.mark.asyncio(loop_scope="module")

OURS = ("ws", "telnet", "tcp")
PROTOCOLS = {
    **PORTS,
    "connect-ws": "websocket",
    "connect-telnet": "telnet",
    "connect-tcp": "tcp",
    "page": "websocket",
}


def person(client: str) -> str:
    """The name that the person at this client goes by."""
    return "at-" + client.replace("++", "pp")


async def test_all_talk_with_each_other(tmp_path: Path, terminals: Tmux, browser: Browser) -> None:
    async with demo(tmp_path) as house, chat_page(browser, house.page) as page:
        panes: dict[str, Pane] = {
            name: await start(terminals, name, house.ports[PORTS[name]], tmp_path)
            for name in LINE_CLIENTS
        }
        for scheme in OURS:
            panes[f"connect-{scheme}"] = await connect(terminals, scheme, house.ports[scheme])
        for name, pane in panes.items():
            await pane.sees("Your name:")
            await pane.types(person(name))
            await pane.sees("You are in lobby.")
            await pane.sees("[lobby]")
        assert await page.text_of("#prompt") == "Your name: "
        await page.types(person("page"))
        await page.sees("You are in lobby.")
        everybody = sorted(map(person, PROTOCOLS))

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
        assert await page.people() == everybody
        for name, pane in panes.items():
            await pane.types(typed(name, "/who"))
            for other, protocol in PROTOCOLS.items():
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


async def test_a_goodbye(tmp_path: Path, terminals: Tmux, browser: Browser) -> None:
    async with demo(tmp_path) as house, chat_page(browser, house.page) as page:
        await page.types("page")
        await page.sees("You are in lobby.")
        for name in LINE_CLIENTS:
            pane = await start(terminals, name, house.ports[PORTS[name]], tmp_path)
            await pane.sees("Your name:")
            await pane.types(person(name))
            await pane.sees("You are in lobby.")
            await pane.types(typed(name, "/quit"))
            await pane.sees("Goodbye.")
            await page.sees(f"* {person(name)} has left")
        assert await page.people() == ["page"]
        await page.types("/quit")
        assert "goodbye" in (await page.comes("ended")).lower()
