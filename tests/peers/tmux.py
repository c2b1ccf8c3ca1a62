"""Programs in terminals of tmux: what a person types, and what is then on the screen."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from tests.cli.process import SECONDS
from tests.programs import need

_SIZE: Final = ("-x", "100", "-y", "30")
_OPTIONS: Final = ("history-limit", "20000"), ("remain-on-exit", "on"), ("status", "off")
_LOOK_SECONDS: Final = 0.05


async def until(condition: Callable[[], Awaitable[bool]], what: Callable[[], str]) -> None:
    """Look again and again until `condition` is true; `what` says what was seen instead."""
    try:
        async with asyncio.timeout(SECONDS):
            while not await condition():  # noqa: ASYNC110 - a screen tells nobody of its changes
                await asyncio.sleep(_LOOK_SECONDS)
    except TimeoutError:
        raise AssertionError(what()) from None


class Tmux:
    """A tmux server of its own."""

    def __init__(self, socket: Path) -> None:
        self._command = (need("tmux"), "-u", "-S", str(socket), "-f", os.devnull)

    async def do(self, *words: str) -> str:
        """Run a command of tmux; returns what it wrote."""
        process = await asyncio.create_subprocess_exec(
            *self._command,
            *words,
            env={**os.environ, "LC_ALL": "C.UTF-8", "TERM": "xterm-256color"},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await process.communicate()
        assert process.returncode == 0, f"tmux {' '.join(words)}: {err.decode()}"
        return out.decode()

    async def open(self, *command: str) -> Pane:
        """Run a program in a terminal of 100 by 30."""
        told = await self.do(
            "new-session", "-d", *_SIZE, "-P", "-F", "#{pane_id} #{pane_pid}", "--", *command
        )
        name, pid = told.split()
        return Pane(self, name, int(pid))


class Pane:
    """A terminal with a program in it."""

    def __init__(self, tmux: Tmux, name: str, pid: int) -> None:
        self.pid = pid
        """The program's process."""
        self._tmux = tmux
        self._name = name
        self._seen = ""

    async def screen(self) -> str:
        """All that is on the screen or has scrolled off it; a wrapped line is one line."""
        self._seen = await self._tmux.do("capture-pane", "-p", "-J", "-S", "-", "-t", self._name)
        return self._seen

    async def sees(self, text: str, times: int = 1) -> str:
        """Wait until `text` is there so often; returns the whole screen."""
        await self.shows(lambda screen: screen.count(text) >= times, f"{text!r} (x {times})")
        return self._seen

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

    async def _tell(self, what: str) -> str:
        return (await self._tmux.do("display-message", "-p", "-t", self._name, what)).strip()

    async def types(self, line: str) -> None:
        """Type a line."""
        await self._tmux.do("send-keys", "-t", self._name, "-l", "--", line)
        await self.press("Enter")

    async def press(self, key: str) -> None:
        """Press a key, by its name in tmux."""
        await self._tmux.do("send-keys", "-t", self._name, key)

    async def resize(self, width: int, height: int) -> None:
        """Give the window another size."""
        size = ("-x", str(width), "-y", str(height))
        await self._tmux.do("resize-window", "-t", self._name, *size)

    async def ends(self) -> str:
        """Wait until the program has ended; returns the screen."""

        async def is_over() -> bool:
            return (await self._tell("#{pane_dead}")) == "1"

        await until(is_over, lambda: "the program has not ended")
        return await self.screen()

    async def kill(self) -> str:
        """End the program with a signal that it cannot notice; returns the screen."""
        os.kill(self.pid, signal.SIGKILL)
        return await self.ends()


@asynccontextmanager
async def tmux(folder: Path) -> AsyncIterator[Tmux]:
    """A tmux server while the block runs; what runs in it ends with it."""
    self = Tmux(folder / "tmux")
    # One session that stays: a server without any would end.
    await self.do("new-session", "-d", *_SIZE, "--", "sleep", "1000")
    for option in _OPTIONS:
        await self.do("set-option", "-g", *option)
    try:
        yield self
    finally:
        await self.do("kill-server")
