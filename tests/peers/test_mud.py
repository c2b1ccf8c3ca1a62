"""`examples/mud`, played through with each kind of client."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import msgspec
import pytest
from playwright.async_api import Browser, expect
from tests.cli.process import program
from tests.examples.mud import MUD, play
from tests.gateway.clients import GMCP, person_at
from tests.peers.clients import TELNET_CLIENTS, start
from tests.peers.gateways import SCHEMES, RunningGateway, running, url
from tests.peers.looks import at_the_end, fits, legible
from tests.peers.screens import until
from tests.peers.test_play import SCREENS, PlayPage
from tests.peers.tmux import Tmux

from holdfast.client import Client, Data, Formatted, Login, Profiles, Prompt, Text, connect

AFTER: Final = """
(node) => {
    let told = "";
    while ((node = node.nextSibling)) told += node.textContent;
    return told;
}
"""
"""What stands behind a line of the log."""

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_by_telnet(tmp_path: Path) -> None:
    async with (
        running(MUD, tmp_path) as gateway,
        person_at(gateway.ports["telnet"], telnet=True, options=[GMCP]) as someone,
    ):
        await someone.sees("Name:")
        someone.types("frodo")
        await someone.sees("Password:")
        someone.types("short")
        await someone.sees("You are new here: choose a password of at least 6 characters.")
        await someone.sees("Name:")
        someone.types("frodo")
        await someone.sees("Password:")
        someone.types("mellon-1")
        someone.types("Frodo")
        await someone.sees("Welcome to the small world, Frodo.")
        assert await someone.told("Room.Info") == {
            "num": 0,
            "name": "The square",
            "exits": {"north": "bridge", "east": "smithy"},
        }
        assert await someone.told("Char.Vitals") == {"hp": 20, "maxhp": 20}
        await someone.sees("20hp> ")

        async def types(line: str) -> None:
            someone.types(line)

        await play(types, someone.sees)


async def test_by_websocket(tmp_path: Path) -> None:
    async with running(MUD, tmp_path) as gateway, connect(gateway.url("ws")) as client:
        seen = ""

        async def sees(text: str) -> None:
            nonlocal seen
            while text not in seen:
                seen += await _shown(client)
            seen = seen.partition(text)[2]

        async def types(line: str) -> None:
            client.command(line)

        await play(types, sees)


async def _shown(client: Client) -> str:
    """What the next event shows; who asks who one is has an answer."""
    match await client.receive():
        case Text(d=text) | Formatted(d=text) | Prompt(d=text):
            return f"{text}\n"
        case Login():
            client.login("frodo", "mellon-1")
        case Profiles():
            client.choose(name="Frodo")
        case Data(p="Char.Vitals", d=value):
            assert msgspec.json.decode(value)["maxhp"] == 20
        case _:
            pass
    return ""


@asynccontextmanager
async def at_home(folder: Path) -> AsyncIterator[RunningGateway]:
    """The game as its README starts it."""
    listen = [f"--listen={url(scheme, 0)}" for scheme in SCHEMES]
    async with program("run", MUD, *listen, folder=folder) as it:
        ports = await it.ports(len(SCHEMES))
        (started,) = await it.logged("application started")
        await it.logged("linked")
        yield RunningGateway(it, ports, started["process"])


@pytest.mark.parametrize("screen", ["desk", "phone"])
async def test_in_the_page(tmp_path: Path, browser: Browser, screen: str) -> None:
    async with (
        at_home(tmp_path) as gateway,
        await browser.new_context(**SCREENS[screen]) as context,
    ):
        page = PlayPage(await context.new_page())
        await page.page.goto(f"{gateway.page}play/")
        await expect(page.page).to_have_title("mud")
        await page.page.fill("#username", "frodo")
        await page.page.fill("#password", "short")
        await page.page.press("#password", "Enter")
        await page.shows(
            "#login-error", "You are new here: choose a password of at least 6 characters."
        )
        await legible(page)
        await fits(page)
        await page.page.fill("#username", "frodo")
        await page.page.fill("#password", "mellon-1")
        await page.page.press("#password", "Enter")
        await page.page.fill("#new-profile", "Frodo")
        await legible(page)
        await page.page.press("#new-profile", "Enter")
        await page.shows("#prompt", "20hp> ")
        await page.shows("#facts div", "Place\nThe square", "Exits\nnorth, east")

        async def sees(text: str) -> None:
            last = page.page.locator("#log .echo").last

            async def is_there() -> bool:
                return text in await last.evaluate(AFTER)

            await until(is_there, lambda: f"{text!r} never came")

        await play(page.types, sees)
        await page.shows(".gauge > span", "Health\n20 / 20")
        await page.shows("#facts div", "Place\nThe tower", "Exits\nsouth")
        os.kill(gateway.application, signal.SIGKILL)
        await page.types("look")
        await sees("A sword lies here.")
        await page.page.locator("#log button.send", has_text="south").last.click()
        await sees("Old stones over a river")
        assert await page.page.evaluate("document.activeElement.id") == "line"
        assert await page.text_of("#state") == "online"
        await legible(page)
        await fits(page)
        await at_the_end(page)
        await page.types("quit")
        assert await page.comes("ended") == "goodbye"
        assert [fault for fault in page.faults if "404" not in fault] == []


async def test_at_the_terminals(tmp_path: Path, terminals: Tmux) -> None:
    async with running(MUD, tmp_path) as gateway:
        for number, name in enumerate(TELNET_CLIENTS):
            pane = await start(terminals, name, gateway.ports, tmp_path)
            await pane.sees("Name:")
            await pane.types(f"player{'abcd'[number]}")
            await pane.sees("Password:")
            await pane.types("mellon-1")
            await pane.types(f"Hero{'abcd'[number]}")
            await pane.sees("Welcome to the small world")
            for line, answer in (
                ("e", "the anvil still warm"),
                ("get sword", "You take the sword."),
            ):
                await pane.types(line)
                await pane.sees(answer)
            await pane.types("drop sword")
            screen = await pane.sees("You drop the sword.")
            assert "mellon" not in screen
            assert "\x1b" not in screen
