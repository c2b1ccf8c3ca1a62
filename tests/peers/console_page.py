"""An operator before the console."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from playwright.async_api import Browser, ConsoleMessage, Page, expect
from tests.cli.process import SECONDS
from tests.programs import missing

import holdfast
from holdfast.gateway.gateway import Gateway

BUILT: Final = Path(holdfast.__file__).parent / "web" / "console" / "console.js"


class ConsolePage:
    """An operator before the page."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.faults: list[str] = []
        """What the page has thrown, and what its policy has forbidden."""
        self.requests: list[str] = []
        page.set_default_timeout(SECONDS * 1000)
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        page.on("console", self._hears)
        page.on("request", lambda request: self.requests.append(request.url))

    def _hears(self, said: ConsoleMessage) -> None:
        if said.type == "error" and "Failed to load resource" not in said.text:
            self.faults.append(said.text)

    async def enters(self, token: str) -> None:
        """Log in."""
        await self.page.get_by_label("Admin token").fill(token)
        await self.page.keyboard.press("Enter")

    async def comes(self, state: str) -> None:
        """Wait until the page says that the gateway is in this state."""
        await expect(self.page.locator("body")).to_have_attribute("data-state", state)

    async def goes(self, view: str) -> None:
        """Show another view."""
        await self.page.get_by_role("navigation").get_by_role("link", name=view).click()
        await expect(self.page.get_by_role("heading", level=1)).to_have_text(view)

    async def has_said(self, text: str) -> None:
        """Wait until the page says what was done."""
        await expect(self.page.locator("#said")).to_contain_text(text)

    async def does(self, action: str, answer: str) -> None:
        """Press a button, and answer the question."""
        await self.page.get_by_role("button", name=action).click()
        await self.page.get_by_role("dialog").get_by_role("button", name=answer, exact=True).click()

    def rows(self, table: str) -> Any:
        """The rows of a table, without its head."""
        return self.page.get_by_role("table", name=table, exact=True).locator("tbody tr")


def url_of(gateway: Gateway) -> str:
    assert gateway.admin_address is not None
    return f"http://127.0.0.1:{gateway.admin_address.port}/console/"


@asynccontextmanager
async def console_of(browser: Browser, url: str, **options: Any) -> AsyncIterator[ConsolePage]:
    """The console in a browser profile of its own; it must throw nothing, and ask no other host."""
    if not BUILT.is_file():
        missing("the console is not built (./dev pages)")
    async with await browser.new_context(**options) as context:
        self = ConsolePage(await context.new_page())
        await self.page.goto(url)
        yield self
        assert self.faults == []
        own = url.removesuffix("console/")
        assert [one for one in self.requests if not one.startswith((own, "data:"))] == []
