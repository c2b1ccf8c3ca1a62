"""Clients that are cut off in mid-stream, and come back for the rest: exactly that, in order."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pytest
from playwright.async_api import Browser
from tests.cli.process import SECONDS
from tests.gateway.clients import person_at
from tests.peers.chromium import chat_page
from tests.peers.clients import LINE_CLIENTS, SCHEMES, STAYING, TELNET_CLIENTS, start
from tests.peers.cutter import Cutter, cutter
from tests.peers.gateways import demo, running
from tests.peers.screens import Screen, until
from tests.peers.tmux import Tmux

pytestmark = pytest.mark.asyncio(loop_scope="session")

COUNTING: Final = Path(__file__).with_name("counting.py")
LAST: Final = 1200
COUNT: Final = f"count {LAST}"
HELD: Final = f"{COUNT} 900"
"""However slow the test is, the last 300 come when `count_on` lets them: the client is gone."""
PROVEN: Final = b"\xff\xfa\x18\x00"
"""How the answer to a probe begins (TTYPE IS)."""
DONE: Final = f"Done: {COUNT}."
WRONG_NAME: Final = "A name has up to 20 letters, digits and hyphens."


def numbers(screen: str) -> list[int]:
    """What was counted on this screen."""
    return [int(found) for found in re.findall(r"Number (\d+)\.", screen)]


def seen_before(screen: str) -> list[int]:
    """What was counted on the screen of a connection that is gone.

    TinTin++ may show a line once more when its connection ends: the one whose beginning came alone.
    """
    found = numbers(screen)
    again = re.search(r"Number (\d+)\.#SESSION ", screen)
    return found[:-1] if again and found[-1] in found[:-1] else found


def is_missed(old: str, screen: str) -> None:
    """The new screen goes on where the old one ended.

    What is said again, the person was told to have perhaps seen; what was missed is new.
    """
    seen = seen_before(old)
    again, told, missed = screen.partition("You missed this:")
    assert told, screen
    assert seen == list(range(1, len(seen) + 1)), old
    if numbers(again):
        assert "You may have seen this:" in again.partition("Number ")[0]
    repeated = numbers(screen)
    assert repeated == list(range(repeated[0], LAST + 1))
    assert repeated[0] <= len(seen) + 1 <= numbers(missed)[0]


async def count_on(held: Path) -> None:
    """Let the count go on to its end that waits for this file."""
    await asyncio.to_thread(held.touch)

    async def is_over() -> bool:
        return not await asyncio.to_thread(held.exists)

    await until(is_over, lambda: "the count does not end")


# --- clients that come back by themselves


async def cut_off(pane: Screen, cable: Cutter, held: Path | None = None) -> str:
    """Cut a client of ours off, and let it come back; returns its screen between the two, without
    the line that tells of it: another takes its place.

    With `held`, what it misses is counted meanwhile.
    """
    before = await pane.screen()
    cable.cut()
    screen = await pane.sees("--- cut off: ", before.count("--- cut off: ") + 1)
    if held is not None:
        await count_on(held)
    await cable.mend()
    await pane.sees("--- connected", before.count("--- connected") + 1)
    return screen.rpartition("--- cut off: ")[0]


@pytest.mark.parametrize("scheme", ["ws", "telnet"])
async def test_a_terminal_of_ours(tmp_path: Path, terminals: Tmux, scheme: str) -> None:
    async with running(COUNTING, tmp_path) as gateway, cutter(gateway.ports[scheme]) as cable:
        pane = await start(terminals, f"connect-{scheme}", {scheme: cable.port}, tmp_path)
        await pane.sees("Ready.")
        await pane.types(COUNT)
        for number in (100, 200, 300):
            await pane.sees(f"Number {number}.")
            await cut_off(pane, cable)
        screen = await pane.sees(DONE)
        assert numbers(screen) == list(range(1, LAST + 1))
        assert "may have seen" not in screen
        assert cable.connections == 4


async def test_a_terminal_of_ours_over_bare_lines(tmp_path: Path, terminals: Tmux) -> None:
    async with running(COUNTING, tmp_path) as gateway, cutter(gateway.ports["tcp"]) as cable:
        pane = await start(terminals, "connect-tcp", {"tcp": cable.port}, tmp_path)
        await pane.sees("Ready.")
        await pane.types(f"{HELD} gone")
        await pane.sees("Number 100.")
        before = await cut_off(pane, cable, tmp_path / "gone")
        screen = await pane.sees(DONE)
        is_missed(before, screen.removeprefix(before.rstrip()))


# --- people who type their code


@pytest.mark.parametrize("how", ["cut", "killed"])
async def test_people_type_their_codes(tmp_path: Path, terminals: Tmux, how: str) -> None:
    async with running(COUNTING, tmp_path) as gateway, asyncio.TaskGroup() as tasks:
        for name in LINE_CLIENTS:
            tasks.create_task(
                a_person_types_the_code(terminals, name, gateway.ports, tmp_path, how)
            )


async def a_person_types_the_code(
    terminals: Tmux, name: str, ports: Mapping[str, int], home: Path, how: str
) -> None:
    async with cutter(ports[SCHEMES[name]]) as cable:
        where = {SCHEMES[name]: cable.port}
        old = await start(terminals, name, where, home)
        code = await old.code()
        await old.sees("Ready.")
        proven = cable.up.count(PROVEN)
        await old.types(f"{HELD} gone-{name}")
        await old.sees("Number 600.")
        if name in TELNET_CLIENTS:  # the first answer may be to a probe before the count

            async def has_proven_some() -> bool:
                return cable.up.count(PROVEN) >= proven + 2

            await until(has_proven_some, lambda: f"{name} does not answer probes")
        if how == "cut" or name == "kildclient":  # whose window is read out a moment later
            cable.cut()
            await cable.mend()
        if how == "killed" or name in STAYING:
            before = await old.kill()
        else:
            before = await old.ends()
        await count_on(home / f"gone-{name}")
        new = await start(terminals, name, where, home)
        await new.code()
        await new.types(f"resume {code}")
        await new.sees(DONE)
        after = await new.screen()
        is_missed(before, after)
        if name in TELNET_CLIENTS:
            assert numbers(after)[0] > 1  # the answer to a probe has proven some of it
        assert await new.code(times=2) != code  # each coming back gives a new one


# --- browsers


ALONE: Final = """
async (command) => {
    const { Session } = await import("/holdfast.js");
    globalThis.got = [];
    globalThis.states = [];
    const url = `${location.origin.replace(/^http/, "ws")}/`;
    globalThis.session = new Session(url, { storage: null });
    session.on("text", ({ d }) => got.push(d));
    session.on("began", ({ reason }) => got.push(`began: ${reason}`));
    session.on("state", ({ name }) => states.push(name));
    session.command(command);
}
"""


async def test_the_javascript_client_alone(tmp_path: Path, browser: Browser) -> None:
    async with (
        running(COUNTING, tmp_path) as gateway,
        cutter(gateway.ports["ws"]) as cable,
        await browser.new_context() as context,
    ):
        page = await context.new_page()
        page.set_default_timeout(SECONDS * 1000)
        await page.goto(f"http://127.0.0.1:{cable.port}/healthz")
        await page.evaluate(ALONE, COUNT)
        for number in (100, 200, 300):
            await page.wait_for_function(f"() => got.includes('Number {number}.')")
            cable.cut()
            await page.wait_for_function("() => session.state.name === 'offline'")
            await cable.mend()
            await page.wait_for_function("() => session.state.name === 'online'")
        await page.wait_for_function(f"() => got.includes('{DONE}')")
        expected = ["Ready.", *(f"Number {n}." for n in range(1, LAST + 1)), DONE]
        assert await page.evaluate("got") == expected
        states = await page.evaluate("states")
        assert states[:2] == ["connecting", "online"]
        assert states.count("online") == 4


async def test_the_chats_page(tmp_path: Path, browser: Browser) -> None:
    async with (
        demo(tmp_path) as gateway,
        cutter(gateway.ports["ws"]) as cable,
        chat_page(browser, f"http://127.0.0.1:{cable.port}/") as page,
        person_at(gateway.ports["tcp"], telnet=False) as speaker,
    ):
        await page.types("page")
        await page.sees("You are in lobby.")
        speaker.types("speaker")
        await page.sees("* speaker has come")
        said = [f"<speaker> Line {n}" for n in range(1, 201)]
        for start_, seen, end in ((1, 40, 100), (101, 140, 200)):
            speaker.types(*(f"Line {n}" for n in range(start_, end + 1)))
            await page.sees(f"<speaker> Line {seen}")
            cable.cut()
            await page.comes("offline")
            await speaker.sees(f"<speaker> Line {end}\n")  # much of it while the page was away
            await cable.mend()
            await page.comes("online")
        lines = await page.sees(said[-1])
        assert [line for line in lines if "Line" in line] == said
        assert "could not be kept" not in "".join(lines)


# --- from one kind of client to another


async def test_from_telnet_to_the_browser_and_back(
    tmp_path: Path, terminals: Tmux, browser: Browser
) -> None:
    async with (
        demo(tmp_path) as gateway,
        chat_page(browser, gateway.page) as page,
        person_at(gateway.ports["tcp"], telnet=False) as speaker,
    ):
        await page.types("!")
        await page.sees(WRONG_NAME)
        telnet = await start(terminals, "telnet", gateway.ports, tmp_path)
        code = await telnet.code()
        await telnet.types("wanderer")
        await telnet.sees("You are in lobby.")
        speaker.types("speaker")
        await telnet.sees("* speaker has come")
        speaker.types("In telnet.")
        await telnet.sees("In telnet.")
        await telnet.kill()
        speaker.types("On the way.", "/tell wanderer Where are you?")
        await speaker.sees("(cut off at the moment; it will be there)")

        await page.resumes(code)
        await page.sees("speaker tells you: Where are you?")
        lines = await page.sees("<speaker> On the way.")
        assert sum("On the way." in line for line in lines) == 1
        assert WRONG_NAME not in lines  # that was another session's
        await page.shows("#prompt", "[lobby] ")
        await page.shows("#room", "· lobby")
        await page.has_here("speaker", "wanderer")
        await page.types("In the browser.")
        await page.sees("<wanderer> In the browser.")

        code = await page.code()
        telnet = await start(terminals, "telnet", gateway.ports, tmp_path)
        await telnet.code()
        await telnet.types(f"resume {code}")
        await telnet.code(times=2)
        await telnet.sees("[lobby]")
        assert "taken over by a newer connection" in await page.comes("ended")
        speaker.types("In telnet again.")
        await telnet.sees("<speaker> In telnet again.")
        assert "In telnet again." not in "".join(await page.lines())
