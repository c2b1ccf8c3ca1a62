"""What is on a screen, whatever shows it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from tests.cli.process import SECONDS

_LOOK_SECONDS: Final = 0.05


async def until(condition: Callable[[], Awaitable[bool]], what: Callable[[], str]) -> None:
    """Look again and again until `condition` is true; `what` says what was seen instead."""
    try:
        async with asyncio.timeout(SECONDS):
            while not await condition():  # noqa: ASYNC110 - a screen tells nobody of its changes
                await asyncio.sleep(_LOOK_SECONDS)
    except TimeoutError:
        raise AssertionError(what()) from None


class Screen:
    """A program that shows text to a person, who types."""

    def __init__(self) -> None:
        self._seen = ""

    async def screen(self) -> str:
        """All that is on the screen or has scrolled off it; a wrapped line is one line."""
        self._seen = await self._look()
        return self._seen

    async def _look(self) -> str:
        raise NotImplementedError

    async def types(self, line: str) -> None:
        """Type a line."""
        raise NotImplementedError

    async def resize(self, width: int, height: int) -> None:
        """Give the window another size."""
        raise NotImplementedError

    async def ends(self) -> str:
        """Wait until the program has ended; returns the screen."""
        raise NotImplementedError

    async def kill(self) -> str:
        """End the program with a signal that it cannot notice; returns the screen."""
        raise NotImplementedError

    async def sees(self, text: str, times: int = 1) -> str:
        """Wait until `text` is there so often; returns the whole screen."""
        await self.shows(lambda screen: screen.count(text) >= times, f"{text!r} (x {times})")
        return self._seen

    async def sees_after(self, earlier: str, text: str) -> str:
        """Wait until `text` is there behind the last `earlier`; returns the whole screen.

        Some clients show a prompt more than once: its second place may be the first prompt's.
        """
        what = f"{text!r} behind {earlier!r}"
        return await self.shows(
            lambda screen: earlier in screen and text in screen.rpartition(earlier)[2], what
        )

    async def shows(self, condition: Callable[[str], bool], what: str) -> str:
        """Wait until the screen is as wanted; returns it."""

        async def is_so() -> bool:
            return condition(await self.screen())

        await until(is_so, lambda: f"{what} never came; on the screen:\n{self._seen.rstrip()}")
        return self._seen

    async def after(self, text: str) -> str:
        """Wait until `text` is there; returns what stands in its line after its last place."""
        seen = await self.sees(text)
        return seen.rpartition(text)[2].partition("\n")[0].rstrip()

    async def code(self, times: int = 1) -> str:
        """Wait until a resume code was shown so often; returns the newest."""
        await self.sees('type "resume ', times)
        return (await self.after('type "resume ')).partition('"')[0]
