"""The real browser, and a person before the chat's page."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

from playwright.async_api import Browser, Dialog, Page, async_playwright, expect
from tests.cli.process import SECONDS
from tests.peers.screens import until
from tests.programs import need

_FLAGS: Final = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


SAID_OF: Final = """
(state) => {
    const { dataset, innerText } = document.getElementById("state");
    return dataset.state === state && innerText;
}
"""
"""What the page says of a state, in the moment in which it is in it: the next may come soon."""


NOTES: Final = """
addEventListener("DOMContentLoaded", () => {
    const said = ["state", "said"].map((id) => document.getElementById(id)).filter(Boolean);
    globalThis.noted = [];
    const note = () => noted.push(...said.map((one) => one.textContent));
    const all = { childList: true, characterData: true, subtree: true };
    for (const one of said) new MutationObserver(note).observe(one, all);
});
"""
"""Notes all that a page says of its connection: much of it is not there for long."""
NOTED: Final = "(text) => noted.some((one) => one.includes(text))"


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """Debian's Chromium while the block runs: the program without a user interface, whose pages
    take a third of the processor time.
    """
    async with _launched("chromium-headless-shell", _FLAGS) as browser:
        yield browser


@asynccontextmanager
async def caching_chromium() -> AsyncIterator[Browser]:
    """As `chromium`, the program that has a back/forward cache. A page from there tells of no
    `load`: wait until `commit`."""
    flags = (*_FLAGS, "--headless=new")
    async with _launched("chromium", flags, "--disable-back-forward-cache") as browser:
        yield browser


@asynccontextmanager
async def _launched(program: str, flags: Sequence[str], *without: str) -> AsyncIterator[Browser]:
    path = need(program)
    expect.set_options(timeout=SECONDS * 1000)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=path, args=list(flags), ignore_default_args=list(without)
        )
        try:
            yield browser
        finally:
            await browser.close()


class ChatPage:
    """A person before the chat's page."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.faults: list[str] = []
        """What the page has thrown."""
        page.set_default_timeout(SECONDS * 1000)
        page.on("pageerror", lambda error: self.faults.append(str(error)))

    async def lines(self) -> list[str]:
        """What stands in the log."""
        return await self.page.locator("#log li").all_inner_texts()

    async def sees(self, line: str) -> list[str]:
        """Wait until the log has this line; returns the log."""
        seen: list[str] = []

        async def is_there() -> bool:
            seen[:] = await self.lines()
            return line in seen

        await until(is_there, lambda: f"{line!r} never came; in the log: {seen}")
        return seen

    async def types(self, line: str) -> None:
        """Type a line."""
        await self.page.fill("#line", line)
        await self.page.press("#line", "Enter")

    async def comes(self, state: str) -> str:
        """Wait for this state of the connection; returns what the page says of it."""
        found = await self.page.wait_for_function(SAID_OF, arg=state)
        said: str = await found.json_value()
        return said

    async def has_said(self, text: str) -> None:
        """Wait until the page has said this of its connection, at any time."""
        await self.page.wait_for_function(NOTED, arg=text)

    async def text_of(self, selector: str) -> str:
        """What an element says."""
        return await self.page.inner_text(selector)

    async def shows(self, selector: str, *texts: str) -> None:
        """Wait until the elements that `selector` finds say just this."""
        found: list[str] = []

        async def says_so() -> bool:
            found[:] = await self.page.locator(selector).all_inner_texts()
            return found == list(texts)

        await until(says_so, lambda: f"{selector}: expected {texts}, found {found}")

    async def has_here(self, *people: str) -> None:
        """Wait until the page shows that these are here, and nobody else."""
        await self.shows("#people li", *sorted(people))

    async def resumes(self, code: str) -> None:
        """Take up the session with this code."""

        async def answer(dialog: Dialog) -> None:
            await dialog.accept(code)

        self.page.once("dialog", answer)
        await self.page.click("#resume")

    async def code(self) -> str:
        """Ask for a code to go on elsewhere."""
        await self.page.click("#elsewhere")
        await self.page.wait_for_selector("#code:not([hidden])")
        return (await self.text_of("#code")).partition("resume ")[2].partition("”")[0]


@asynccontextmanager
async def chat_page(browser: Browser, url: str, **options: Any) -> AsyncIterator[ChatPage]:
    """The chat's page in a browser profile of its own; it must throw nothing."""
    async with await browser.new_context(**options) as context:
        self = ChatPage(await context.new_page())
        await self.page.add_init_script(NOTES)
        await self.page.goto(url)
        await self.comes("online")
        yield self
        assert self.faults == []
