"""Two clients with one token: the older is told and closed first, and gets nothing more.

Tabs of one browser do not come to that: each has a session of its own.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import pytest
from playwright.async_api import Browser
from tests.gateway.clients import person_at
from tests.peers.chromium import ChatPage, chat_page
from tests.peers.clients import LINE_CLIENTS, person, start
from tests.peers.cutter import cutter
from tests.peers.gateways import demo, running
from tests.peers.test_resume import COUNTING, numbers
from tests.peers.tmux import Tmux

pytestmark = pytest.mark.asyncio(loop_scope="session")

TAKEN: Final = "your session was taken over by a newer connection"


@asynccontextmanager
async def duplicate(page: ChatPage) -> AsyncIterator[ChatPage]:
    """A window that a page opens begins with a copy of its sessionStorage, as a duplicated tab
    does, and so with its token."""
    async with page.page.expect_popup() as opened:
        await page.page.evaluate("open(location.href)")
    self = ChatPage(await opened.value)
    yield self
    assert self.faults == []


async def test_a_tab_that_is_duplicated_has_a_session_of_its_own(
    tmp_path: Path, browser: Browser
) -> None:
    async with demo(tmp_path) as gateway, chat_page(browser, gateway.page) as old:
        await old.types("older")
        await old.sees("You are in lobby.")
        async with duplicate(old) as new:
            await new.sees("Welcome to the chat.")
            await new.types("younger")
            await old.sees("* younger has come")
            await old.types("Hello.")
            for first, second in ((old, new), (new, old)):
                await first.page.reload()
                await first.comes("online")
                await first.sees("<older> Hello.")
                assert await second.text_of("#state") == "online"
            await old.types("I am the older.")
            await new.types("I am the younger.")
            await old.sees("<younger> I am the younger.")
            await new.sees("<older> I am the older.")
            await new.has_here("older", "younger")


async def test_also_where_the_older_tab_is_cut_off(tmp_path: Path, browser: Browser) -> None:
    async with demo(tmp_path) as gateway, cutter(gateway.ports["ws"]) as cable:
        url = f"http://127.0.0.1:{cable.port}/"
        async with chat_page(browser, url) as old:
            await old.types("older")
            await old.sees("You are in lobby.")
            cable.cut()
            await old.comes("offline")
            await old.types("Said meanwhile.")
            await old.page.route("**/healthz", lambda route: route.fulfill(body=""))
            async with old.page.expect_popup() as opened:
                await old.page.evaluate("open('/healthz')")
            new = await opened.value
            await cable.mend()
            await new.goto(url)
            await old.sees("<older> Said meanwhile.")
            page = ChatPage(new)
            await page.sees("Welcome to the chat.")
            assert "Said meanwhile." not in "".join(await page.lines())
            assert await old.text_of("#state") == "online · resumed"


async def test_a_tab_whose_session_was_taken_over_begins_another(
    tmp_path: Path, browser: Browser
) -> None:
    """Loaded anew it shows no token, which would be taken for a stolen one."""
    async with demo(tmp_path) as gateway, chat_page(browser, gateway.page) as old:
        await old.types("page")
        await old.sees("You are in lobby.")
        # Where tabs cannot talk to each other, the younger one takes the session over.
        await old.page.context.add_init_script("delete globalThis.BroadcastChannel")
        async with duplicate(old) as new:
            await new.comes("online")
            assert await old.comes("ended") == TAKEN
            await new.types("I am here.")  # with that, the older one's token is void
            await new.sees("<page> I am here.")
            await old.page.click("#send")  # which says "Begin again" now
            await old.sees("Welcome to the chat.")
            assert await old.comes("online") == "online"
            await new.types("I am still here.")
            await new.sees("<page> I am still here.")
            assert await new.text_of("#state") == "online"


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
    async with running(COUNTING, tmp_path) as gateway, await browser.new_context() as context:
        page = await context.new_page()
        await page.goto(f"{gateway.page}healthz")
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
        demo(tmp_path) as gateway,
        person_at(gateway.ports["tcp"], telnet=False) as speaker,
    ):
        speaker.types("speaker")
        await speaker.sees("[lobby] ")
        for name in LINE_CLIENTS:
            old = await start(terminals, name, gateway.ports, tmp_path)
            code = await old.code()
            await old.types(person(name))
            await old.sees("You are in lobby.")
            new = await start(terminals, name, gateway.ports, tmp_path)
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
