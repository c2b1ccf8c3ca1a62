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
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.cli.process import SECONDS

_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Terminal:
    """What is typed and what is seen."""

    def __init__(self, process: asyncio.subprocess.Process, master: int) -> None:
        self.process = process
        self.screen = ""
        """What was written and not looked at, without control sequences."""
        self._master = master
        self._came = asyncio.Event()
        self._over = False

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
        size = struct.pack("HHHH", height, width, 0, 0)
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, size)

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
        self.screen += _CONTROL.sub("", data.decode(errors="replace")).replace("\r\n", "\n")
        self._came.set()


@asynccontextmanager
async def terminal(*arguments: str | Path) -> AsyncIterator[Terminal]:
    """Run `holdfast ARGUMENTS` in a terminal of 80 by 24 while the block runs."""
    master, slave = pty.openpty()
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
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        # A terminal's own environment: it writes what is complete, and the rest when it is told.
        env={**os.environ, "TERM": "xterm-256color", "PYTHONUNBUFFERED": ""},
    )
    os.close(slave)
    self = Terminal(process, master)
    self.resize(80, 24)
    loop.add_reader(master, self.read)
    try:
        yield self
    finally:
        loop.remove_reader(master)
        if process.returncode is None:
            process.send_signal(signal.SIGKILL)
        await process.wait()
        os.close(master)
