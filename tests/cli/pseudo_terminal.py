"""A person at a terminal, in which a program runs: a pseudo-terminal."""

from __future__ import annotations

import asyncio
import fcntl
import os
import pty
import re
import signal
import struct
import sys
import termios
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from tests.cli.process import SECONDS
from tests.fork_template import take_terminal

from holdfast.vtc.terminal.emulator import Emulator

_SIZE: Final = (24, 80)
_NOWHERE: Final = Path("/dev/null")
"""No folder: nothing is kept."""
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Terminal:
    """What is typed and what is seen."""

    def __init__(self, process: asyncio.subprocess.Process, master: int) -> None:
        self.process = process
        self.screen = ""
        """What was written and not looked at, without control sequences."""
        self._master = master
        self.written = b""
        """All that was written."""
        self._emulator = Emulator(*_SIZE)
        self._came = asyncio.Event()
        self._over = False

    @property
    def display(self) -> str:
        """What the whole screen shows, where the program moves its cursor."""
        screen = self._emulator.screen
        rows = [screen.text(row).rstrip() for row in range(screen.rows)]
        return "\n".join(rows).rstrip() + "\n"

    async def shows(self, *texts: str, without: str = "\0") -> str:
        """Wait until the whole screen shows all of `texts`, and not `without`; returns it."""
        return await self._until(
            lambda shown: all(text in shown for text in texts) and without not in shown, texts
        )

    async def asks(self, prompt: str) -> str:
        """Wait until the last line of the screen is `prompt`; returns the screen."""
        return await self._until(lambda shown: shown.split("\n")[-2] == prompt, prompt)

    async def _until(self, is_shown: Callable[[str], bool], what: object) -> str:
        try:
            async with asyncio.timeout(SECONDS):
                while not is_shown(self.display):
                    assert not self._over, "the program has ended"
                    self._came.clear()
                    await self._came.wait()
        except (TimeoutError, AssertionError) as error:
            raise AssertionError(f"{what!r} never came: {error}\n{self.display}") from None
        return self.display

    async def sees(self, text: str) -> str:
        """Wait until `text` is on the screen; returns and takes away everything up to its end."""
        async with asyncio.timeout(SECONDS):
            while text not in self.screen:
                assert not self._over, f"{text!r} never came; on the screen: {self.screen!r}"
                self._came.clear()
                await self._came.wait()
        upto = self.screen.index(text) + len(text)
        seen, self.screen = self.screen[:upto], self.screen[upto:]
        return seen

    def types(self, text: str) -> None:
        """Press these keys."""
        os.write(self._master, text.encode())

    def resize(self, width: int, height: int) -> None:
        """Give the window another size."""
        self._emulator.resize(height, width)
        _resize(self._master, height, width)

    @property
    def shows_typing(self) -> bool:
        """Whether what is typed is shown."""
        return bool(termios.tcgetattr(self._master)[3] & termios.ECHO)

    async def until_typing_is_shown(self, shown: bool) -> None:
        async with asyncio.timeout(SECONDS):
            while self.shows_typing is not shown:  # noqa: ASYNC110 - nothing tells of it
                await asyncio.sleep(0.01)

    async def ends(self) -> int:
        """Wait for the program's end."""
        async with asyncio.timeout(SECONDS):
            return await self.process.wait()

    def read(self) -> None:
        try:
            data = os.read(self._master, 65536)
        except OSError:  # the other side is closed
            data = b""
        if not data:
            self._over = True
            asyncio.get_running_loop().remove_reader(self._master)
        self.written += data
        self._emulator.feed(data)
        self.screen += _CONTROL.sub("", data.decode(errors="replace")).replace("\r\n", "\n")
        self._came.set()


def _resize(terminal: int, height: int, width: int) -> None:
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))


@asynccontextmanager
async def terminal(
    *arguments: str | Path, kind: str = "xterm-256color", state: Path = _NOWHERE
) -> AsyncIterator[Terminal]:
    """Run `holdfast ARGUMENTS` in a terminal of 80 by 24 while the block runs.

    `kind` is its type, and `state` the folder of the user's state.
    """
    master, slave = pty.openpty()
    _resize(master, *_SIZE)
    loop = asyncio.get_running_loop()
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "holdfast",
        *map(str, arguments),
        stdin=slave,
        stdout=slave,
        stderr=slave,
        start_new_session=True,
        preexec_fn=take_terminal,
        # A terminal's own environment: it writes what is complete, and the rest when it is told.
        env={
            **os.environ,
            "TERM": kind,
            "COLORTERM": "",
            "XDG_STATE_HOME": str(state),
            "PYTHONUNBUFFERED": "",
        },
    )
    os.close(slave)
    self = Terminal(process, master)
    loop.add_reader(master, self.read)
    try:
        yield self
    finally:
        loop.remove_reader(master)
        if process.returncode is None:
            process.send_signal(signal.SIGKILL)
        await process.wait()
        os.close(master)
