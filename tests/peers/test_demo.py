"""The demo's page: what it breaks, and what it counts of it."""

from __future__ import annotations

import json
import re
import signal
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, WebSocketRoute, expect
from tests.gateway.clients import Person, person_at
from tests.peers.chromium import ChatPage, chat_page
from tests.peers.gateways import demo, process_in, running
from tests.peers.looks import fits, legible
from tests.peers.screens import until

pytestmark = pytest.mark.asyncio(loop_scope="session")

CLIPBOARD = ["clipboard-read", "clipboard-write"]
PHONE: dict[str, Any] = {"is_mobile": True, "has_touch": True, "color_scheme": "dark"}
DO = """(asked) => {
    const socket = new WebSocket(location.origin.replace("http", "ws"), ["holdfast.v1"]);
    const send = (message) => socket.send(JSON.stringify(message));
    socket.onopen = () => {
        send({ t: "hello", client: "another" });
        asked.forEach(([token, what], at) =>
            send({ t: "data", c: at + 1, p: "Demo.Do", d: { token, what } }));
        send({ t: "cmd", c: asked.length + 1, d: "Mallory" });
    };
}"""
"""Another client asks for all of this, and says its name then."""

SPOKEN = "(count) => parseInt(document.getElementById('done').innerText.split(' of ')[1]) >= count"


async def spoken(page: ChatPage, count: int) -> None:
    """Wait for so many more lines of the robot."""
    said = await page.page.locator("#done").inner_text()
    before = int(said.partition(" of ")[2] or 0)
    await page.page.wait_for_function(SPOKEN, arg=before + count)


async def test_the_promise_in_thirty_seconds(tmp_path: Path, browser: Browser) -> None:
    size = {"width": 1100, "height": 700}
    async with (
        demo(tmp_path) as gateway,
        chat_page(browser, gateway.page, viewport=size, permissions=CLIPBOARD) as page,
        person_at(gateway.ports["tcp"], telnet=False) as speaker,
    ):
        await page.types("Ann")
        await page.sees("You are in lobby.")
        speaker.types("Bob", "See https://example.org/a?b=1 there.")
        await page.sees("<Bob> See https://example.org/a?b=1 there.")
        link = page.page.locator("#log a")
        assert await link.get_attribute("href") == "https://example.org/a?b=1"
        assert "noopener" in str(await link.get_attribute("rel"))
        line = page.page.locator("#log li", has_text="See https")
        assert re.search(r"\d+:\d\d", str(await line.get_attribute("title")))
        # Nobody talks until it is asked for.
        assert not [line for line in await page.lines() if line.startswith("<robot>")]
        await page.page.click("#talk")
        await spoken(page, 5)

        # The application: another process, and no line is lost.
        await page.page.click("#kill")
        again = await gateway.program.says("The chat itself is process ")
        assert process_in(again) != gateway.application
        await spoken(page, 5)
        # The gateway: the page is away meanwhile, and comes back by itself.
        await page.page.click("#kill-gateway")
        again = await gateway.program.says("The gateway itself is process ")
        assert process_in(again) != gateway.process
        assert await page.comes("online") == "online · resumed"
        await spoken(page, 5)
        assert float(await page.text_of("#away")) > 0
        assert await page.text_of("#lost") == await page.text_of("#twice") == "0"
        # The connection.
        await page.page.click("#cut")
        assert re.search(r"trying again|lost", await page.comes("offline"))
        assert await page.comes("online") == "online · resumed"
        await spoken(page, 5)
        assert float(await page.text_of("#away")) >= 4.9
        assert int(await page.text_of("#missed")) > 0
        # And stopped, all is counted.
        await page.page.click("#talk")
        await page.page.wait_for_selector("#talk[aria-pressed=false]")
        assert await page.text_of("#lost") == await page.text_of("#twice") == "0"
        once, _, of = (await page.text_of("#done")).partition(" of ")
        numbers = [int(line[8:]) for line in await page.lines() if line.startswith("<robot>")]
        assert int(once) == int(of) == len(numbers) == len({*numbers}) == max(numbers)

        # The picture, from what there is now.
        picture = await page.page.locator("#picture text").all_text_contents()
        assert picture[:2] == ["Ann", "websocket"]
        assert picture[-2:] == ["gateway", "application"]
        # How to go on elsewhere, to be copied.
        code = await page.code()
        ways = await page.page.locator("#ways code").all_inner_texts()
        assert ways == [
            f"telnet 127.0.0.1 {gateway.ports['telnet']}",
            f"holdfast connect ws://127.0.0.1:{gateway.ports['ws']}/",
            f"resume {code}",
        ]
        await expect(page.page.locator("#ways li:first-child")).to_be_in_viewport()
        await page.page.click("#ways li:last-child button")
        await page.shows("#ways li:last-child button", "Copied")
        assert await page.page.evaluate("navigator.clipboard.readText()") == f"resume {code}"
        # The lines before.
        await page.types("One.")
        await page.types("Two.")
        await page.page.press("#line", "ArrowUp")
        await page.page.press("#line", "ArrowUp")
        assert await page.page.input_value("#line") == "One."
        await page.page.press("#line", "ArrowDown")
        assert await page.page.input_value("#line") == "Two."
        await fits(page)
        await legible(page)


def tampering(route: WebSocketRoute) -> None:
    """Drop one line of the robot, and double another one."""

    def passed(message: str | bytes) -> None:
        assert isinstance(message, str)
        message = message.replace('"<robot> 3"', '"nothing"')
        route.send(message.replace('"<robot> 6"', r'"<robot> 6\n<robot> 6"'))

    route.connect_to_server().on_message(passed)


async def test_a_line_that_is_lost_and_one_that_comes_twice_are_counted(
    tmp_path: Path, browser: Browser
) -> None:
    async with demo(tmp_path) as gateway, chat_page(browser, gateway.page) as page:
        await page.types("Ann")
        await page.sees("You are in lobby.")
        await page.page.route_web_socket(re.compile(""), tampering)
        await page.page.reload()
        await page.has_here("Ann")
        await page.page.click("#talk")
        await spoken(page, 10)
        assert await page.text_of("#lost.bad") == await page.text_of("#twice.bad") == "1"
        once, _, of = (await page.text_of("#done")).partition(" of ")
        assert int(once) == int(of) - 2


async def test_who_is_gone_is_shown_as_cut_off_and_then_not_at_all(
    tmp_path: Path, browser: Browser
) -> None:
    async with (
        demo(tmp_path) as gateway,
        chat_page(browser, gateway.page) as page,
        person_at(gateway.ports["tcp"], telnet=False) as other,
    ):
        await page.types("Ann")
        await page.sees("You are in lobby.")
        other.types("Bob")
        await other.sees("You are in lobby.")
        await page.has_here("Ann", "Bob")
        await drawn(page, "Ann", "websocket", "Bob", "tcp")
        await page.page.clock.install()
        await page.page.clock.pause_at("2100-01-01")
        other.drop()
        await page.has_here("Ann", "Bob (cut off)")
        await drawn(page, "Ann", "websocket", "Bob", "cut off")
        await page.page.clock.run_for(20_000)
        await page.has_here("Ann")
        await drawn(page, "Ann", "websocket")


async def drawn(page: ChatPage, *texts: str) -> None:
    """Wait until the picture shows just these clients, each with how it is connected."""

    async def is_so() -> bool:
        found = await page.page.locator("#picture text").all_text_contents()
        return found == [*texts, "gateway", "application"]

    await until(is_so, lambda: f"expected {texts} in the picture")


async def test_only_the_page_may_kill(tmp_path: Path, browser: Browser) -> None:
    async with (
        demo(tmp_path) as gateway,
        chat_page(browser, gateway.page, viewport={"width": 390, "height": 700}, **PHONE) as page,
    ):
        await page.types("Ann")
        await page.sees("You are in lobby.")
        await page.page.wait_for_selector("#demo:not([hidden])")
        await fits(page)
        await page.page.click("#demo summary")
        await fits(page)
        await legible(page)
        headers = "fetch('/').then((answer) => JSON.stringify([...answer.headers]))"
        found = dict(json.loads(await page.page.evaluate(headers)))
        token = found["holdfast-demo-token"]
        assert len(token) > 40
        assert "access-control-allow-origin" not in found
        asked: list[tuple[object, object]]
        asked = [(wrong, "kill the application") for wrong in ("", token[:-1], None, [token])]
        asked += [(token, what) for what in ("kill -9 1", ["talk"], {"kill": 1})]
        await page.page.evaluate(DO, asked)
        await page.has_here("Ann", "Mallory")  # what came after it was handled
        async with person_at(gateway.ports["tcp"], telnet=False) as robot:
            robot.types("Robot")
            await robot.sees("There is a Robot here already.")
        assert "exited" not in gateway.program.err


@pytest.mark.parametrize("name", ["Ann", "ann"])
async def test_a_name_is_free_when_its_holder_has_left(tmp_path: Path, name: str) -> None:
    async with (
        demo(tmp_path) as gateway,
        person_at(gateway.ports["tcp"], telnet=False) as first,
        person_at(gateway.ports["tcp"], telnet=False) as second,
    ):
        first.types("Ann")
        await first.sees("You are in lobby.")
        second.types(name)
        await second.sees(f"There is a {name} here already.")
        first.types("/quit")
        await first.sees("Goodbye.")
        second.types(name)
        await second.sees("You are in lobby.")


LEFT = """
from holdfast.demo import chat

chat.NAME_SECONDS = {}
chat.app.run()
"""


async def is_cut_off(watcher: Person, name: str) -> None:
    """Wait until the chat knows that the client of `name` is away."""
    how = ""
    while how != "cut off":
        watcher.types("/who")
        await watcher.sees(f"{name:20} ")
        how = (await watcher.line()).strip().removeprefix("lobby").strip()


@pytest.mark.parametrize(
    ("kept", "said"),
    [(0.0, "You are in lobby."), (3600.0, "There was a {} here until now.")],
    ids=["free", "kept"],
)
async def test_a_name_is_free_some_time_after_its_holder_is_gone(
    tmp_path: Path, kept: float, said: str
) -> None:
    application = tmp_path / "application.py"
    application.write_text(LEFT.format(kept))
    async with running(application, tmp_path) as gateway, AsyncExitStack() as stack:

        async def enters() -> Person:
            return await stack.enter_async_context(person_at(gateway.ports["tcp"], telnet=False))

        closed, lost, watcher, other, another = [await enters() for _ in range(5)]
        for person, name in ((closed, "Ann"), (lost, "Bob"), (watcher, "Watcher")):
            person.types(name)
            await person.sees("You are in lobby.")
        closed.writer.write_eof()  # to close with input that is not read would reset
        await closed.rest()
        lost.drop()
        await is_cut_off(watcher, "Ann")
        await is_cut_off(watcher, "Bob")
        other.types("Ann")
        await other.sees(said.format("Ann"))
        another.types("Bob")  # whose client has said no goodbye
        await another.sees(said.format("Bob"))


async def test_a_name_is_kept_by_a_session_that_a_new_application_does_not_have_yet(
    tmp_path: Path,
) -> None:
    """Gateway and application are killed. The next gateway awaits the application that held the
    session, and gives it to no other meanwhile."""
    application = tmp_path / "application.py"
    application.write_text(LEFT.format(0.0))
    limits = "\n[limits.link]\nreturn_seconds_max = 3600.0\n"
    async with (
        running(application, tmp_path, durability="durable", limits=limits) as gateway,
        person_at(gateway.ports["tcp"], telnet=False) as holder,
    ):
        holder.types("Ann")
        await holder.sees("You are in lobby.")
        gateway.program.send(signal.SIGKILL)
        assert await gateway.program.ends() == -signal.SIGKILL
    async with (
        running(application, tmp_path, durability="durable", limits=limits) as gateway,
        person_at(gateway.ports["tcp"], telnet=False) as other,
    ):
        other.types("ann")
        await other.sees("There is a ann here already.")
        other.types("Bob", "/tell ANN Hi.")
        await other.sees("You tell ANN: Hi. (cut off at the moment; it will be there)")
