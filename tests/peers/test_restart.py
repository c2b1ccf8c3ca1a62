"""The gateway ends, in an orderly way or not, while everybody is there; then it is back."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pytest
from playwright.async_api import Browser
from tests.cli.process import is_gone
from tests.gateway.clients import v1_at
from tests.peers.chromium import chat_page
from tests.peers.clients import ALL, LINE_CLIENTS, OURS, STAYING, come, person, start
from tests.peers.gateways import demo
from tests.peers.screens import Screen
from tests.peers.tmux import Tmux

pytestmark = pytest.mark.asyncio(loop_scope="session")


AWAY: Final = "The application is away. What you type is kept, and runs when it is back."


async def are_told(panes: Mapping[str, Screen], codes: Mapping[str, str]) -> None:
    """Everybody sees that the gateway goes, and how to come back."""
    for name, pane in panes.items():
        await pane.sees("he gateway is restarting; your session is kept")
        if name in LINE_CLIENTS:
            await pane.sees(f'Connect again and type "resume {codes[name]}".')


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL], ids=["term", "kill"])
async def test_everybody_comes_back(
    tmp_path: Path, terminals: Tmux, browser: Browser, how: signal.Signals
) -> None:
    async with demo(tmp_path) as gateway, chat_page(browser, gateway.page) as page:
        panes = await come(terminals, ALL, gateway.ports, tmp_path)
        await page.types("page")
        await page.sees("You are in lobby.")
        await page.types("Before.")
        for pane in panes.values():
            await pane.sees("<page> Before.")
        codes = {name: await panes[name].code() for name in LINE_CLIENTS}

        gateway.program.send(how)
        if how is signal.SIGTERM:
            await are_told(panes, codes)
            await page.has_said("restarting; your session is kept")
        assert await gateway.program.ends() == (0 if how is signal.SIGTERM else -how)
        await is_gone(gateway.process)

        async with demo(tmp_path, gateway.ports):
            for name in LINE_CLIENTS:
                if name in STAYING:
                    await panes[name].kill()
                panes[name] = await start(terminals, name, gateway.ports, tmp_path)
                await panes[name].code()
                await panes[name].types(f"resume {codes[name]}")
                await panes[name].sees("Your session goes on.")
                await panes[name].sees("[lobby]")
            for name in OURS:
                await panes[name].sees("--- connected", 2)
            await page.comes("online")

            await page.types("After.")
            for name, pane in panes.items():
                await pane.sees("<page> After.")
                await pane.types(f"From {name}.")
                await page.sees(f"<{person(name)}> From {name}.")
            await page.has_here(*map(person, panes), "page")
            lines = await page.lines()
            assert lines.count("<page> Before.") == lines.count("<page> After.") == 1
            assert "could not be kept" not in "".join(lines)


async def test_a_websocket_is_told_when_to_come_back(tmp_path: Path) -> None:
    async with demo(tmp_path) as gateway, v1_at(gateway.ports["ws"]) as client:
        await client.expect("text")
        gateway.program.send(signal.SIGTERM)
        bye = await client.expect("bye")
        assert (bye["code"], bye["reason"]) == (1012, "shutdown")
        assert 0 < bye["retry_ms"] <= 2000
        assert (await client.closed())[0] == 1012
        assert await gateway.program.ends() == 0


def command_line(process: int) -> str:
    return Path(f"/proc/{process}/cmdline").read_text()


async def test_the_chat_itself_is_killed(tmp_path: Path, terminals: Tmux, browser: Browser) -> None:
    async with demo(tmp_path) as gateway, chat_page(browser, gateway.page) as page:
        panes = await come(terminals, ALL, gateway.ports, tmp_path)
        await page.types("page")
        await page.sees("You are in lobby.")
        assert "holdfast.demo.chat" in command_line(gateway.application)  # as the README finds it
        os.kill(gateway.application, signal.SIGKILL)
        for pane in panes.values():
            # When it is back, it asks again.
            await pane.shows(lambda screen: "[lobby]" in screen.partition(AWAY)[2], "a prompt")
        again = await gateway.program.says("The chat itself is process ")

        os.kill(int(again.split()[-1].rstrip(".")), signal.SIGKILL)
        await page.page.wait_for_selector(f"#log :nth-match(li:text('{AWAY}'), 2)")
        await page.types("Typed meanwhile.")
        for name, pane in panes.items():
            await pane.sees(AWAY, 2)
            await pane.types(f"From {name}.")
        for name, pane in panes.items():
            await pane.sees("<page> Typed meanwhile.")
            await page.sees(f"<{person(name)}> From {name}.")
        for pane in panes.values():
            screen = await pane.screen()
            assert screen.count(AWAY) == 2  # one notice each time, and nobody was cut off
            assert screen.count("<page> Typed meanwhile.") == 1
            assert "cut off:" not in screen
        assert await page.text_of("#state") == "online"
        lines = await page.lines()
        assert len([line for line in lines if "From" in line]) == len(panes)
