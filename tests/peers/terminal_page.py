"""A person before the terminal's page."""

from __future__ import annotations

import os
import pwd
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from playwright.async_api import Browser, ConsoleMessage, Page
from tests.cli.process import SECONDS
from tests.gateway.running import WS, port
from tests.peers.chromium import NOTED, NOTES
from tests.peers.screens import until
from tests.programs import missing

import holdfast
from holdfast.backends import pty
from holdfast.backends.pty.config import PtyOptions
from holdfast.core.limits import Limits
from holdfast.gateway.config import Config, ListenerConfig
from holdfast.gateway.gateway import Gateway

PAGE: Final = Path(holdfast.__file__).parent / "web" / "terminal" / "terminal.js"
PHONE: Final[dict[str, Any]] = {
    "is_mobile": True,
    "has_touch": True,
    "viewport": {"width": 390, "height": 700},
}
_LINES: Final = """
() => {
    const buffer = window.holdfastTerminal?.buffer.active;
    const lines = [];
    if (buffer === undefined) return "";
    for (let y = 0; y < buffer.length; y += 1) {
        lines.push(buffer.getLine(y).translateToString(true));
    }
    return lines.join("\\n").trimEnd();
}
"""


class TerminalPage:
    """A person before the page."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.faults: list[str] = []
        self.requests: list[str] = []
        page.set_default_timeout(SECONDS * 1000)
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        page.on("console", self._hears)
        page.on("request", lambda request: self.requests.append(request.url))

    def _hears(self, said: ConsoleMessage) -> None:
        if said.type == "error":
            self.faults.append(said.text)

    async def screen(self) -> str:
        text: str = await self.page.evaluate(_LINES)
        return text

    async def sees(self, text: str) -> str:
        seen = ""

        async def is_there() -> bool:
            nonlocal seen
            seen = await self.screen()
            return text in seen

        await until(is_there, lambda: f"{text!r} never came; on the screen: {seen!r}")
        return seen

    async def types(self, text: str) -> None:
        await self.page.keyboard.type(text)

    async def enters(self, text: str) -> None:
        await self.types(text)
        await self.page.keyboard.press("Enter")

    async def asked(self, kind: str) -> None:
        await self.page.wait_for_selector(f'#question[data-kind="{kind}"]:not([hidden])')

    async def answers(self, kind: str, text: str) -> None:
        await self.asked(kind)
        await self.page.fill("#area" if kind == "key" else "#field", text)
        await self.page.click("#go")

    async def comes(self, state: str) -> None:
        await self.page.wait_for_selector(f'#state[data-state="{state}"]')

    async def has_said(self, text: str) -> None:
        """Wait until the page has said this of its connection, at any time."""
        await self.page.wait_for_function(NOTED, arg=text)

    async def said(self) -> str:
        return await self.page.inner_text("#said")


@asynccontextmanager
async def page_of(
    browser: Browser, gateway: Gateway | str, **options: Any
) -> AsyncIterator[TerminalPage]:
    """The page in a browser profile of its own; it must throw nothing, and ask no other host."""
    if not PAGE.is_file():
        missing("the terminal's page is not built (./dev pages)")
    url = gateway if isinstance(gateway, str) else f"http://127.0.0.1:{port(gateway, 'ws')}/"
    async with await browser.new_context(**options) as context:
        self = TerminalPage(await context.new_page())
        await self.page.add_init_script(NOTES)
        await self.page.goto(url)
        yield self
        assert self.faults == []
        own = (url.partition("#")[0], "data:")
        assert [one for one in self.requests if not one.startswith(own)] == []


def shell(*command: str, limits: Limits | None = None, **more: Any) -> Config:
    options = PtyOptions(
        command=command or ("bash", "--norc", "--noprofile"),
        user=pwd.getpwuid(os.geteuid()).pw_name,
        environment=("LC_ALL=C.UTF-8", "PS1=$ "),
        **more,
    )
    listener = ListenerConfig(url=WS, backend=pty.Config(options))
    return Config(listener=(listener,), limits=limits or Limits())
