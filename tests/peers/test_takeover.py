"""Two clients with one token: the older is told and closed first, and gets nothing more."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest
from playwright.async_api import Browser
from tests.gateway.clients import person_at
from tests.peers.chromium import ChatPage, chat_page
from tests.peers.clients import LINE_CLIENTS, person, start
from tests.peers.houses import demo, running
from tests.peers.test_resume import COUNTING, numbers
from tests.peers.tmux import Tmux

pytestmark = pytest.mark.asyncio(loop_scope="module")

TAKEN: Final = "your session was taken over by a newer connection"


async def test_a_page_that_is_opened_twice(tmp_path: Path, browser: Browser) -> None:
    async with (
        demo(tmp_path) as house,
        chat_page(browser, house.page) as old,
        person_at(house.ports["tcp"], telnet=False) as speaker,
    ):
        speaker.types("speaker")
        await speaker.sees("[lobby] ")
        await old.types("page")
        await old.sees("You are in lobby.")
        # A window that a page opens begins with a copy of its sessionStorage, and so the token.
        async with old.page.expect_popup() as opened:
            await old.page.evaluate("open(location.href)")
        new = ChatPage(await opened.value)
        await new.comes("online")
        assert await old.comes("ended") == TAKEN
        await speaker.sees("* page has come")
        for number in range(1, 21):
            speaker.types(f"Later {number}")
            await new.sees(f"<speaker> Later {number}")
        assert "Later" not in "".join(await old.lines())
        await new.types("I am here.")
        await new.sees("<page> I am here.")
        assert await new.people() == ["page", "speaker"]
        assert await old.text_of("#state") == TAKEN  # and it does not come back by itself
        assert new.faults == []


RACE: Final = """
async () => {
    const { Session } = await import("/holdfast.js");
    const url = `${location.origin.replace(/^http/, "ws")}/`;
    const kept = new Map();
    const storage = { getItem: (key) => kept.get(key) ?? null, setItem: (k, v) => kept.set(k, v) };
    globalThis.told = [];
    const begin = (who) => {
        const session = new Session(url, { storage });
        session.on("text", ({ d }) => told.push([who, d]));
        session.on("bye", ({ code, reason }) => told.push([who, `bye ${code} ${reason}`]));
        session.on("state", ({ name }) => told.push([who, name]));
        return session;
    };
    const until = async (who, what) => {
        while (!told.some(([w, d]) => w === who && d === what)) {
            await new Promise((done) => setTimeout(done, 5));
        }
    };
    const old = begin("old");
    old.command("count 400");
    await until("old", "Number 50.");
    const young = begin("young");
    await until("young", "Number 150.");
    return told;
}
"""


async def test_in_mid_stream(tmp_path: Path, browser: Browser) -> None:
    async with running(COUNTING, tmp_path) as house, await browser.new_context() as context:
        page = await context.new_page()
        await page.goto(f"{house.page}healthz")
        told = await page.evaluate(RACE)
    ended = told.index(["old", "ended"])
    bye = told.index(["old", "bye 4001 superseded"])
    assert bye < ended
    last = max(n for n, (who, what) in enumerate(told) if who == "old" and "Number" in what)
    assert last < bye
    # The younger begins with an empty screen, behind all that went to the older.
    assert max(counted(told, "old")) < min(counted(told, "young"))


def counted(told: list[list[str]], by: str) -> list[int]:
    """What one of the two was told of the count."""
    return numbers(" ".join(what for who, what in told if who == by))


async def test_at_a_terminal(tmp_path: Path, terminals: Tmux) -> None:
    async with (
        demo(tmp_path) as house,
        person_at(house.ports["tcp"], telnet=False) as speaker,
    ):
        speaker.types("speaker")
        await speaker.sees("[lobby] ")
        for name in LINE_CLIENTS:
            old = await start(terminals, name, house.ports, tmp_path)
            code = await old.code()
            await old.types(person(name))
            await old.sees("You are in lobby.")
            new = await start(terminals, name, house.ports, tmp_path)
            await new.code()
            await new.types(f"resume {code}")
            await new.sees("[lobby]")
            await old.sees("Your session was taken over by a newer connection.")
            speaker.types(f"Later than {name}.")
            await new.sees(f"<speaker> Later than {name}.")
            screen = await old.screen()
            assert "Later than" not in screen.partition("taken over")[2]
            assert f"Later than {name}." not in screen
            assert "Connect again" not in screen  # the code is the newer one's
