"""The page `/play/` in a browser: a MUD client in front of a server that knows Telnet alone."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import pytest
from msgspec import structs
from playwright.async_api import Browser, expect
from tests.backends.test_upstreams import at, bridged
from tests.gateway.clients import person_at
from tests.gateway.running import TELNET, WS, port, serving
from tests.gateway.servers import Mud, Visit, mud
from tests.peers.chromium import ChatPage
from tests.peers.cutter import Cutter, cutter
from tests.peers.looks import at_the_end, fits, legible
from tests.peers.test_page import HOSTILE

from holdfast.gateway.gateway import Gateway
from holdfast.gateway.play_config import PlayConfig

pytestmark = pytest.mark.asyncio(loop_scope="session")

SCREENS: Final[dict[str, dict[str, Any]]] = {
    "desk": {"viewport": {"width": 1100, "height": 700}},
    "phone": {"viewport": {"width": 390, "height": 780}, "is_mobile": True, "has_touch": True},
    "small": {"viewport": {"width": 320, "height": 480}, "is_mobile": True, "has_touch": True},
}
OFFERS_GMCP: Final = b"\xff\xfb\xc9"
GA: Final = b"\xff\xf9"
HIDES, SHOWS = b"\xff\xfb\x01", b"\xff\xfc\x01"

STORED: Final = "JSON.stringify({...sessionStorage, ...localStorage})"
NOTHING_PENDING: Final = f"""() => {STORED}.includes('\\\\"pending\\\\":[]')"""


def gmcp(package: str, value: object) -> bytes:
    return b"\xff\xfa\xc9" + f"{package} {json.dumps(value)}".encode() + b"\xff\xf0"


class PlayPage(ChatPage):
    """A person before the page."""

    def __init__(self, page: Any) -> None:
        super().__init__(page)
        self.asked: list[str] = []
        page.on("request", lambda request: self.asked.append(request.url))
        page.on("console", lambda message: self.faults.append(message.text))

    async def lines(self) -> list[str]:
        return await self.page.locator("#log > div").all_inner_texts()


class Scene:
    """A gateway, the server behind it, and how browsers come."""

    def __init__(self, gateway: Gateway, server: Mud, cable: Cutter) -> None:
        self.gateway = gateway
        self.server = server
        self.cable = cable
        self.url = f"http://127.0.0.1:{cable.port}/play/"


@asynccontextmanager
async def scene(folder: Path, play: PlayConfig | None = None) -> AsyncIterator[Scene]:
    async with mud() as server:
        config = bridged(folder, at(server, "telnet"), urls=(WS, TELNET))
        web, *others = config.listener
        play = play or PlayConfig(title="The Mud", telnet="telnet mud.example.org 4000")
        config = structs.replace(config, listener=(structs.replace(web, play=play), *others))
        async with serving(config) as gateway, cutter(port(gateway, "ws")) as cable:
            yield Scene(gateway, server, cable)


@asynccontextmanager
async def played(
    browser: Browser, scene: Scene, **options: Any
) -> AsyncIterator[tuple[PlayPage, Visit]]:
    """The page, and its connection to the server. It throws nothing and asks nobody else."""
    async with await browser.new_context(**options) as context:
        self = PlayPage(await context.new_page())
        await self.page.goto(scene.url)
        await self.comes("online")
        yield self, await scene.server.visit()
        own = scene.url.removesuffix("/play/")
        assert [url for url in self.asked if not url.startswith(own)] == []
        assert [fault for fault in self.faults if "ERR_CONNECTION" not in fault] == []


async def heard(visit: Visit, data: bytes) -> None:
    """Read until the client has said this."""
    await visit.reader.readuntil(data)


@pytest.mark.parametrize("screen", SCREENS.values(), ids=SCREENS)
async def test_a_game_is_played(tmp_path: Path, browser: Browser, screen: dict[str, Any]) -> None:
    async with scene(tmp_path) as it, played(browser, it, **screen) as (page, server):

        async def looks_well() -> None:
            await fits(page)
            await legible(page)
            await at_the_end(page)

        await expect(page.page).to_have_title("The Mud")
        server.writer.write(OFFERS_GMCP + b"\x1b[1;31mRed\x1b[0m dragon\r\nBy what name? " + GA)
        await page.sees("Red dragon")
        await heard(server, b'Core.Supports.Set ["Room 1","Char 1"]')
        await page.shows("#prompt", "By what name? ")
        await page.types("frodo")
        await heard(server, b"frodo\r\n")
        await page.sees("By what name? frodo")
        await looks_well()

        server.writer.write(HIDES + b"Password: " + GA)
        await page.page.wait_for_selector("#line[type=password]")
        await page.types("secret")
        await heard(server, b"secret\r\n")
        server.writer.write(
            SHOWS + b"\r\n" + b"".join(f"Line {n}\r\n".encode() for n in range(60)) + b"Hi.\r\n"
        )
        server.writer.write(gmcp("char.vitals", {"hp": "57", "maxhp": "100", "mp": 8, "maxmp": 9}))
        server.writer.write(gmcp("Char.Vitals", {"hp": 58}))
        server.writer.write(gmcp("Room.Info", {"name": "The Hall", "exits": {"n": 1, "s": 2}}))
        server.writer.write(b"\x1b[32m58hp>\x1b[0m " + GA)
        await page.sees("Hi.")
        await page.page.wait_for_selector("#line[type=text]")
        await page.shows(".gauge > span", "Health\n58 / 100", "Mana\n8 / 9")
        await page.shows("#facts div", "Place\nThe Hall", "Exits\nn, s")
        await page.shows("#prompt", "58hp> ")
        await looks_well()
        code = await page.code()
        assert code
        await looks_well()

        assert "secret" not in await page.page.content() + await page.page.evaluate(STORED)


async def test_accessibility(tmp_path: Path, browser: Browser) -> None:
    async with scene(tmp_path) as it, played(browser, it) as (page, server):
        server.writer.write(OFFERS_GMCP)
        await heard(server, b"Core.Supports.Set")
        server.writer.write(gmcp("Char.Vitals", {"hp": 1, "maxhp": 4}) + b"Hello.\r\n")
        await page.sees("Hello.")
        assert await page.page.get_by_role("log", name="Game").inner_text() == "Hello."
        meter = page.page.get_by_role("meter", name="Health")
        await expect(meter).to_have_attribute("aria-valuenow", "1")
        assert await page.page.get_by_role("textbox", name="Command").is_visible()
        title = await page.page.locator("#log div").first.get_attribute("title")
        assert title
        keyboard = page.page.keyboard
        await keyboard.type("look\n")  # where one types has the focus from the start
        await heard(server, b"look\r\n")
        reached = set()
        for _ in range(6):
            await keyboard.press("Tab")
            if where := await page.page.evaluate("document.activeElement.id"):
                reached.add(where)
        assert reached >= {"log", "elsewhere", "resume", "line", "send"}


LIVE: Final = """
(text) => {
    const live = "[role=log], [role=status], [role=alert], [aria-live]";
    let heard = 0;
    const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walk.nextNode()) {
        const node = walk.currentNode;
        const parent = node.parentElement;
        if (!node.data.includes(text) || parent.closest("[aria-hidden=true]")) continue;
        if (parent.closest(live)) heard++;
    }
    return heard;
}
"""
"""How often a screen reader reads that out when it comes."""

LATER: Final = "2100-01-01"
"""When the clocks of pages stand still."""


async def test_what_a_screen_reader_reads_out(tmp_path: Path, browser: Browser) -> None:
    async with scene(tmp_path) as it, played(browser, it) as (page, server):

        async def is_heard(text: str, times: int = 1) -> bool:
            heard: int = await page.page.evaluate(LIVE, text)
            return heard == times

        await expect(page.page.locator("#state")).to_match_aria_snapshot("- status: /^online$/")
        server.writer.write(b"Welcome.\r\nBy what name? " + GA)
        await page.shows("#prompt", "By what name? ")
        assert await is_heard("Welcome.")
        assert await is_heard("By what name?")
        # A prompt that comes again at once is no news.
        await page.page.clock.install()
        await page.page.clock.pause_at(LATER)
        await page.page.evaluate(
            "globalThis.changes = 0;"
            "new MutationObserver(() => changes++).observe(document.all.prompt, {childList: true})"
        )
        await page.types("frodo")
        await heard(server, b"frodo\r\n")
        server.writer.write(b"Again.\r\nBy what name? " + GA + HIDES + b"Password: " + GA)
        await page.page.wait_for_selector("#line[type=password]")
        await page.shows("#prompt", "Password: ")
        assert await page.page.evaluate("changes") == 1
        assert await is_heard("What you type is hidden.")
        server.writer.write(SHOWS + b"Ok.\r\n")
        await page.page.wait_for_selector("#line[type=text]")
        assert await is_heard("What you type is hidden.", 0)
        it.cable.cut()
        await page.comes("offline")
        assert await is_heard("What you type is sent when you are back.")
        assert await is_heard("Trying again in", 0)  # it changes each second


async def test_a_prompt_is_gone_once_it_is_answered(tmp_path: Path, browser: Browser) -> None:
    async with scene(tmp_path) as it, played(browser, it) as (page, server):
        server.writer.write(b"By what name? " + GA)
        await page.shows("#prompt", "By what name? ")
        await page.page.clock.install()
        await page.page.clock.pause_at(LATER)
        for name in ("frodo", "baggins"):  # the second line answers no question
            await page.types(name)
            await heard(server, name.encode())
        await page.shows("#log .echo", "By what name? frodo", "baggins")
        await expect(page.page.locator("#prompt")).to_have_css("opacity", "0")
        await page.page.clock.run_for(1000)
        await page.shows("#prompt", "Command")
        await expect(page.page.locator("#prompt")).to_have_css("opacity", "1")
        server.writer.write(b"By what name? " + GA)
        await page.shows("#prompt", "By what name? ")
        await page.page.clock.run_for(1000)
        await page.shows("#prompt", "By what name? ")


async def test_with_the_keyboard_alone(tmp_path: Path, browser: Browser) -> None:
    async with scene(tmp_path) as it, played(browser, it) as (page, server):
        keyboard = page.page.keyboard

        async def focus() -> str:
            found: str = await page.page.evaluate("document.activeElement.id")
            return found

        server.writer.write(b"".join(f"Line {n}\r\n".encode() for n in range(200)))
        await page.sees("Line 199")
        assert await focus() == "line"
        await keyboard.press("PageUp")
        await page.page.wait_for_function(
            "() => log.scrollTop + log.clientHeight < log.scrollHeight"
        )
        server.says("Newer.\r\n")
        await page.sees("Newer.")
        await page.page.wait_for_selector("#newest:not([hidden])")
        await legible(page)
        await fits(page)
        await page.page.focus("#newest")
        await keyboard.press("Enter")
        await at_the_end(page)
        await page.page.wait_for_selector("#newest", state="hidden")
        assert await focus() == "line"
        await page.page.focus("#log")
        await keyboard.type("look\n")  # in the log, one types a line
        await heard(server, b"look\r\n")
        await page.page.focus("#elsewhere")
        await keyboard.press("Enter")
        await page.page.wait_for_function("() => document.activeElement.id === 'copy'")
        await keyboard.press("Tab")
        await keyboard.press("Enter")
        assert await focus() == "line"
        server.ends()
        await page.comes("ended")
        assert await focus() == "send"
        await keyboard.press("Enter")
        await page.comes("online")
        await it.server.visit()


async def test_a_phones_keyboard_stays(tmp_path: Path, browser: Browser) -> None:
    async with scene(tmp_path) as it, played(browser, it, **SCREENS["phone"]) as (page, server):
        await page.page.tap("#line")
        await page.page.fill("#line", "look")
        await page.page.tap("#send")
        await heard(server, b"look\r\n")
        assert await page.page.evaluate("document.activeElement.id") == "line"
        # Where only the part in sight becomes less high, the page does as well.
        await page.page.evaluate(
            "Object.defineProperty(visualViewport, 'height', {value: 400, configurable: true});"
            "visualViewport.dispatchEvent(new Event('resize'))"
        )
        box = await page.page.locator("#form").bounding_box()
        assert box is not None
        assert box["y"] + box["height"] == 400
        await page.page.evaluate(
            "delete visualViewport.height; visualViewport.dispatchEvent(new Event('resize'))"
        )
        assert await page.page.evaluate("document.body.clientHeight") == 780


async def test_the_history(tmp_path: Path, browser: Browser) -> None:
    async with scene(tmp_path) as it, played(browser, it) as (page, server):
        for line in ("north", "south"):
            await page.types(line)
        server.writer.write(HIDES)
        await page.page.wait_for_selector("#line[type=password]")
        await page.types("hunter2")
        await heard(server, b"hunter2\r\n")
        server.writer.write(SHOWS)
        await page.page.wait_for_selector("#line[type=text]")
        await page.page.fill("#line", "half")
        seen = []
        for key in ("ArrowUp", "ArrowUp", "ArrowUp", "ArrowDown", "ArrowDown"):
            await page.page.press("#line", key)
            seen.append(await page.page.input_value("#line"))
        assert seen == ["south", "north", "north", "south", "half"]


async def test_a_hidden_line_is_not_stored(tmp_path: Path, browser: Browser) -> None:
    """Not even while the gateway is away and has not got it yet."""
    async with scene(tmp_path) as it, played(browser, it) as (page, server):
        await page.types("first")
        await page.page.wait_for_function(NOTHING_PENDING)
        server.writer.write(HIDES)
        await page.page.wait_for_selector("#line[type=password]")
        it.cable.cut()
        await page.comes("offline")
        await page.types("hunter2")
        assert await page.page.evaluate(NOTHING_PENDING)
        assert "hunter2" not in await page.page.evaluate(STORED)
        await it.cable.mend()
        await heard(server, b"hunter2\r\n")


async def test_a_connection_that_is_lost(tmp_path: Path, browser: Browser) -> None:
    async with scene(tmp_path) as it, played(browser, it) as (page, server):
        server.says("One.\r\n")
        await page.sees("One.")
        it.cable.cut()
        await page.comes("offline")
        assert "Trying again in" in await page.text_of("#banner")
        await legible(page)
        await page.types("kept")
        server.says("Missed.\r\n")
        await it.cable.mend()
        await page.comes("online")
        await heard(server, b"kept\r\n")
        # (It is in sight for some seconds.)
        news = await page.page.locator("#news").text_content()
        assert news == "You are back. Nothing was lost."
        await page.sees("Missed.")
        server.ends()
        assert await page.comes("ended")
        await page.sees("The server has closed the connection.")
        assert await page.text_of("#send") == "Begin again"
        await page.page.click("#send")
        await page.comes("online")
        await it.server.visit()


async def test_going_on_elsewhere_and_back(tmp_path: Path, browser: Browser) -> None:
    async with scene(tmp_path) as it, played(browser, it) as (page, server):
        server.says("One.\r\n")
        await page.sees("One.")
        await page.page.click("#elsewhere")
        await page.page.wait_for_selector("#code:not([hidden])")
        assert "(telnet mud.example.org 4000)" in await page.text_of("#code")
        await page.page.click("#copy")
        await page.page.wait_for_function("() => document.all.copy.textContent !== 'Copy'")
        typed = await page.text_of("#typed")
        async with person_at(port(it.gateway, "telnet"), telnet=True) as someone:
            await someone.shown_code()
            someone.types(typed)
            code = await someone.shown_code()
            await page.comes("ended")
            server.says("Two.\r\n")
            await someone.sees("Two.")
            await page.page.click("#send")
            await page.comes("online")
            await page.page.click("#resume")
            await page.page.fill("#given", f"resume {code}")
            await page.page.press("#given", "Enter")
            await page.sees("Two.")
            await page.types("still me")
            await heard(server, b"still me\r\n")


async def test_hostile_text_is_text(tmp_path: Path, browser: Browser) -> None:
    async with scene(tmp_path) as it, played(browser, it) as (page, server):
        server.writer.write(OFFERS_GMCP)
        await heard(server, b"Core.Supports.Set")
        for text in HOSTILE:
            server.says(f"{text}\r\n")
            server.writer.write(gmcp("Room.Info", {"name": text, "exits": {text: 1}}))
        server.writer.write(HOSTILE[1].encode() + GA)
        await page.sees(HOSTILE[-1])
        await page.shows("#facts dd", HOSTILE[-1], HOSTILE[-1])
        assert set(HOSTILE) <= set(await page.lines())
        await page.shows("#prompt", HOSTILE[1])
        strangers = "#log *:not(div, a), #facts *:not(div, dt, dd, a), #prompt *, iframe, base"
        assert await page.page.locator(strangers).count() == 0
        links = await page.page.locator("a").evaluate_all("all => all.map((one) => one.protocol)")
        assert set(links) == {"http:"}
        assert await page.page.evaluate("window.evil") is None


SHOWN: Final = {
    "plain": "plain",
    "a<b>&c": "a&lt;b&gt;&amp;c",
    "\x1b[31mred\x1b[0m": '<span class="fg-1">red</span>',
    "\x1b[1;94mx\x1b[22my\x1b[39mz": (
        '<span class="bold fg-12">x</span><span class="fg-12">y</span>z'
    ),
    "\x1b[38;5;208mx": '<span style="color: rgb(255, 135, 0);">x</span>',
    "\x1b[38;5;9mx": '<span class="fg-9">x</span>',
    "\x1b[48;5;244mx": '<span style="background-color: rgb(128, 128, 128);">x</span>',
    "\x1b[38;2;1;2;3mx": '<span style="color: rgb(1, 2, 3);">x</span>',
    "\x1b[38:2::1:2:3mx": '<span style="color: rgb(1, 2, 3);">x</span>',
    "\x1b[38:5:208mx": '<span style="color: rgb(255, 135, 0);">x</span>',
    "\x1b[38;5;208;1;48;2;9;9;9mx": (
        '<span class="bold"'
        ' style="color: rgb(255, 135, 0); background-color: rgb(9, 9, 9);">x</span>'
    ),
    "\x1b[7mx": '<span class="fg-ground bg-ink">x</span>',
    "\x1b[31;7mx": '<span class="fg-ground bg-1">x</span>',
    "\x1b[3;4;9mx": '<span class="italic underline strike">x</span>',
    "\x1b[38;5;999mx": "x",
    "\x1b[38;5mx": "x",
    "\x1b[38mx": "x",
    "\x1b[99999999999999999999mx": "x",
    "\x1b[?25lx\x1b[2J\x1b[10;20Hy": "xy",
    "\x1b]0;title\x07x\x1b]8;;http://evil.example/\x1b\\y": "xy",
    "\x1b]unfinished": "",
    "\x1b[31": "[31",
    "a\x07b\x00c\td\x85e": "abc\tde",
    "see https://x.example/a?b=1, now": (
        'see <a href="https://x.example/a?b=1" target="_blank" rel="noopener noreferrer">'
        "https://x.example/a?b=1</a>, now"
    ),
    "javascript:alert(1) data:text/html,x": "javascript:alert(1) data:text/html,x",
}
SPANS: Final[tuple[tuple[str, list[Any], str], ...]] = (
    ("plain", [], "plain"),
    ("a😀bc", [[1, 1, "red"]], 'a<span class="fg-1">😀</span>bc'),
    ("abc", [[0, 99, "bold on-white"]], '<span class="bold bg-7">abc</span>'),
    ("abc", [[1, 1, "#FF8000 unknown"]], 'a<span style="color: rgb(255, 128, 0);">b</span>c'),
    ("abc", [[1, 1, "bright-red"], [0, 1, "dim"]],
     '<span class="dim">a</span><span class="fg-9">b</span>c'),
    ("a\x1b[31mb", [], "a\x1b[31mb".replace("\x1b[31m", "")),
    ("a\x1b[31mb", [[0, 7, "raw"]], 'a<span class="fg-1">b</span>'),
)  # fmt: skip
RENDER: Final = """
async ([kind, cases]) => {
    const { Ansi, formatted } = await import("/holdfast-ansi.js");
    return cases.map((one) => {
        const line = document.createElement("div");
        line.append(...(kind === "ansi" ? new Ansi().nodes(one) : formatted(...one)));
        return line.innerHTML;
    });
}
"""


async def test_colours_and_links(tmp_path: Path, browser: Browser) -> None:
    async with scene(tmp_path) as it, played(browser, it) as (page, _):
        found = await page.page.evaluate(RENDER, ["ansi", list(SHOWN)])
        assert dict(zip(SHOWN, found, strict=True)) == SHOWN
        cases = [[text, spans] for text, spans, _ in SPANS]
        assert await page.page.evaluate(RENDER, ["spans", cases]) == [one[2] for one in SPANS]


async def test_a_colour_holds_over_lines(tmp_path: Path, browser: Browser) -> None:
    async with scene(tmp_path) as it, played(browser, it) as (page, server):
        server.writer.write(b"\x1b[31mred\r\nstill\x1b[0m not\r\n")
        await page.sees("still not")
        red = await page.page.locator("#log .fg-1").all_inner_texts()
        assert red == ["red", "still"]


async def width_told(server: Visit) -> int:
    """The width that the server is told next (NAWS), below 255."""
    await heard(server, b"\xff\xfa\x1f\x00")
    return int.from_bytes(await server.reader.readexactly(1), "big")


async def test_the_server_is_told_the_size(tmp_path: Path, browser: Browser) -> None:
    async with scene(tmp_path) as it, played(browser, it) as (page, server):
        server.writer.write(b"\xff\xfd\x1f")  # DO NAWS
        width = await width_told(server)
        assert 60 < width < 255
        await page.page.set_viewport_size({"width": 500, "height": 500})
        while (narrower := await width_told(server)) == width:
            pass  # the first size may be told again, with another height
        assert narrower < width
