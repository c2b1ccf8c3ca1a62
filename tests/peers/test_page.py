"""The chat's page as it looks and feels: states, focus, contrast, small screens."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import pytest
from playwright.async_api import Browser, WebSocketRoute
from tests.gateway.clients import Person, person_at
from tests.peers.chromium import ChatPage, chat_page
from tests.peers.cutter import cutter
from tests.peers.gateways import demo
from tests.peers.looks import at_the_end, fits, legible

pytestmark = pytest.mark.asyncio(loop_scope="session")

_PHONE: Final[dict[str, Any]] = {"is_mobile": True, "has_touch": True}
SCREENS: Final[dict[str, dict[str, Any]]] = {
    "desk-light": {"viewport": {"width": 1000, "height": 600}, "color_scheme": "light"},
    "phone-dark": {"viewport": {"width": 390, "height": 700}, "color_scheme": "dark", **_PHONE},
    "small-light": {"viewport": {"width": 320, "height": 480}, "color_scheme": "light", **_PHONE},
}


@pytest.mark.parametrize("screen", SCREENS.values(), ids=SCREENS)
async def test_every_state(tmp_path: Path, browser: Browser, screen: dict[str, Any]) -> None:
    async with demo(tmp_path) as gateway, cutter(gateway.ports["ws"]) as cable:
        url = f"http://127.0.0.1:{cable.port}/"
        async with (
            chat_page(browser, url, **screen) as page,
            person_at(gateway.ports["tcp"], telnet=False) as speaker,
        ):

            async def looks_well() -> None:
                await fits(page)
                await legible(page)
                await at_the_end(page)

            assert await page.text_of("#state") == "online"
            await looks_well()
            await page.types("A-name-that-is-long")
            await page.sees("You are in lobby.")
            speaker.types("Another-name-as-long", "w" * 400, *("many words " * 20,) * 3)
            await page.sees("<Another-name-as-long> " + "w" * 400)
            await page.types("Mine.")
            await page.sees("<A-name-that-is-long> Mine.")
            await looks_well()
            await page.code()
            await looks_well()

            cable.cut()
            said = await page.comes("offline")
            assert re.fullmatch(r"the connection was lost · trying again in \d+ s", said)
            await looks_well()
            await page.types("Kept.")
            cable.holds = True
            await cable.mend()
            assert await page.comes("connecting") == "connecting"
            await looks_well()
            cable.cut()
            cable.holds = False
            await cable.mend()
            assert await page.comes("online") == "online · resumed"
            await page.sees("<A-name-that-is-long> Kept.")
            await looks_well()

            await page.types("/quit")
            assert await page.comes("ended") == "goodbye"
            await looks_well()
            assert await page.text_of("#send") == "Begin again"
            await page.page.click("#send")
            assert await page.comes("online") == "online"
            await page.sees("Welcome to the chat.")
            await page.has_here()


async def test_with_the_keyboard_alone(tmp_path: Path, browser: Browser) -> None:
    async with demo(tmp_path) as gateway, chat_page(browser, gateway.page) as page:
        keyboard = page.page.keyboard
        await keyboard.type("Someone\n")  # where one types has the focus from the start
        await page.sees("You are in lobby.")
        await keyboard.type("Hello.\n")
        await page.sees("<Someone> Hello.")
        reached = set()
        for _ in range(12):
            await keyboard.press("Tab")
            if where := await page.page.evaluate("document.activeElement.id"):
                reached.add(where)
                shown = "getComputedStyle(document.activeElement).outlineStyle"
                assert await page.page.evaluate(shown) != "none", where
        assert reached >= {"log", "elsewhere", "resume", "line", "send"}


@asynccontextmanager
async def a_full_log(folder: Path, browser: Browser) -> AsyncIterator[tuple[ChatPage, Person]]:
    """A page with more lines than are in sight, and somebody who says more."""
    async with (
        demo(folder) as gateway,
        chat_page(browser, gateway.page) as page,
        person_at(gateway.ports["tcp"], telnet=False) as speaker,
    ):
        await page.types("Reader")
        await page.sees("You are in lobby.")  # it sees what is said from here on
        speaker.types("Speaker", *(f"Line {n}" for n in range(60)))
        await page.sees("<Speaker> Line 59")
        yield page, speaker


async def test_who_reads_what_was_said_is_left_there(tmp_path: Path, browser: Browser) -> None:
    async with a_full_log(tmp_path, browser) as (page, speaker):
        await at_the_end(page)
        await page.page.evaluate("document.getElementById('log').scrollTop = 0")
        await page.page.wait_for_function("() => !document.getElementById('log').scrollTop")
        speaker.types("One more.")
        await page.sees("<Speaker> One more.")
        assert await page.page.evaluate("document.getElementById('log').scrollTop") == 0


PUSHED_OUT: Final = """
const log = document.getElementById("log");
log.append("a line");
log.scrollTop = log.scrollHeight;  // the event of it comes in the next frame
document.getElementById("form").style.marginTop = "200px";
"""
"""What makes the log lower in the frame in which it has been scrolled."""


async def test_what_comes_below_the_log_does_not_hide_its_end(
    tmp_path: Path, browser: Browser
) -> None:
    async with a_full_log(tmp_path, browser) as (page, speaker):
        await page.page.evaluate(PUSHED_OUT)
        await at_the_end(page)
        speaker.types("One more.")
        await page.sees("<Speaker> One more.")
        await at_the_end(page)


async def test_a_wrong_code_costs_nothing(tmp_path: Path, browser: Browser) -> None:
    async with demo(tmp_path) as gateway, chat_page(browser, gateway.page) as page:
        await page.types("Someone")
        await page.sees("You are in lobby.")
        await page.resumes("ABCD-2345")
        await page.sees(
            "(that does not resume a session: it is not known, or its session has ended)"
        )
        assert await page.comes("online") == "online · resumed"
        await page.types("Still here.")
        lines = await page.sees("<Someone> Still here.")
        assert "You are in lobby." in lines


async def test_a_reload(tmp_path: Path, browser: Browser) -> None:
    async with demo(tmp_path) as gateway, chat_page(browser, gateway.page) as page:
        await page.types("Someone")
        await page.sees("You are in lobby.")
        await page.types("Hello.")
        await page.sees("<Someone> Hello.")
        await page.page.reload()
        assert await page.comes("online") == "online"
        await page.sees("<Someone> Hello.")
        await page.shows("#prompt", "[lobby] ")
        await page.has_here("Someone")
        own = page.page.locator("#log li.own")
        await page.types("Again.")
        await page.sees("<Someone> Again.")
        assert (await own.all_inner_texts())[-1] == "<Someone> Again."


HOSTILE: Final = (
    "<script>window.evil = 1</script>",
    "<img src=x onerror=window.evil=1>",
    "<svg/onload=window.evil=1>",
    "<iframe srcdoc='<script>parent.evil=1</script>'></iframe>",
    "</li></ul><script>window.evil=1</script>",
    '"><body onload=window.evil=1>',
    "' autofocus onfocus='window.evil=1",
    "javascript:window.evil=1",
    "<a href='javascript:window.evil=1'>me</a>",
    "<details open ontoggle=window.evil=1>",
    "<style>@import 'http://evil.example/';</style>",
    "<meta http-equiv=refresh content='0;url=http://evil.example/'>",
    "<base href=http://evil.example/>",
    "{{constructor.constructor('window.evil=1')()}}${window.evil=1}",
    "&lt;script&gt;window.evil=1&lt;/script&gt;&#60;b&#62;",
    "\u202eevil\u2066<b></b>\\u003cscript\\u003e",
)
"""Names as an attacker chooses them, where an application takes any."""


async def test_hostile_names_are_text(browser: Browser, tmp_path: Path) -> None:
    """Whatever an application passes on, the page shows it and runs nothing of it."""
    async with demo(tmp_path) as gateway, await browser.new_context() as context:
        page = ChatPage(await context.new_page())
        dialogs: list[str] = []
        page.page.on("dialog", lambda dialog: dialogs.append(dialog.message))
        asked: list[str] = []
        page.page.on("request", lambda request: asked.append(request.url))

        def hostile(socket: WebSocketRoute) -> None:
            def hear(message: str | bytes) -> None:
                if json.loads(message)["t"] == "hello":
                    for output in _hostile_outputs():
                        socket.send(output)

            socket.on_message(hear)

        await page.page.route_web_socket(re.compile("."), hostile)
        await page.page.goto(gateway.page)
        await page.sees(HOSTILE[-1])
        for selector in ("#log li", "#people li"):
            found = await page.page.locator(selector).all_text_contents()
            assert set(HOSTILE) <= set(found)
        assert await page.page.locator("#room").text_content() == f"· {HOSTILE[0]}"
        assert await page.page.locator("#prompt").text_content() == HOSTILE[1]
        assert HOSTILE[2] in str(await page.page.locator("#code").text_content())
        strangers = (
            "#log *:not(li, a), #people *:not(li), #room *, #prompt *, #code *, iframe, base"
        )
        assert await page.page.locator(strangers).count() == 0
        links = (
            "Array.from(document.querySelectorAll('#log a'), ({ protocol, rel }) => protocol + rel)"
        )
        assert {*await page.page.evaluate(links)} == {"http:noopener noreferrer"}
        assert await page.page.evaluate("window.evil") is None
        assert (dialogs, page.faults) == ([], [])
        assert [url for url in asked if not url.startswith(gateway.page)] == []
        assert await page.page.title() == "Holdfast chat"


def _hostile_outputs() -> list[str]:
    """What a gateway says to a page, with what is hostile wherever text may be."""
    how = dict.fromkeys(HOSTILE, HOSTILE[0])
    room = {"room": HOSTILE[0], "people": HOSTILE, "you": HOSTILE[3], "how": how, "kept": 20}
    messages: list[dict[str, Any]] = [
        {"t": "data", "p": "Chat.Room", "d": room},
        {"t": "prompt", "d": HOSTILE[1]},
        {"t": "code", "d": HOSTILE[2]},
        *({"t": kind, "d": each} for each in HOSTILE for kind in ("notice", "text")),
    ]
    numbered = {"data", "prompt", "notice", "text"}
    n = itertools.count(1)
    head = {"t": "welcome", "sid": "S", "token": "t", "epoch": "E", "seq": 0, "heartbeat": 30}
    return [
        json.dumps(head),
        *(
            json.dumps({**message, **({"n": next(n)} if message["t"] in numbered else {})})
            for message in messages
        ),
    ]


async def test_markup_is_text(tmp_path: Path, browser: Browser) -> None:
    async with (
        demo(tmp_path) as gateway,
        chat_page(browser, gateway.page) as page,
        person_at(gateway.ports["tcp"], telnet=False) as speaker,
    ):
        await page.types("Someone")
        await page.sees("You are in lobby.")
        evil = "<img src=x onerror=\"document.title='evil'\"><b>&amp;</b>"
        speaker.types("Speaker", evil)
        await page.sees(f"<Speaker> {evil}")
        assert await page.page.title() == "Holdfast chat"
