"""Programs in terminals of tmux: what a person types, and what is then on the screen.

One process of tmux in control mode passes all commands on, and tells when a program writes.
"""

from __future__ import annotations

import asyncio
import os
import shlex
import signal
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Final

from tests.cli.process import SECONDS
from tests.peers.kildclient import Display, display
from tests.peers.screens import Screen, until
from tests.programs import need

from holdfast.net.runtime.loop import done_within

_SETTINGS: Final = (
    ("set-option", "-g", "history-limit", "20000"),
    ("set-option", "-g", "remain-on-exit", "on"),
    ("refresh-client", "-C", "100x30"),
)
_LOOK_SECONDS: Final = 1.0
"""The screen is looked at so often, at least."""
_BURST_SECONDS: Final = 0.02
"""How long a program may write on before the screen is looked at."""


class Tmux(asyncio.SubprocessProtocol):
    """A tmux server of its own, and a client of it in control mode; and a display for programs
    with windows."""

    def __init__(self) -> None:
        self.stack = AsyncExitStack()
        """What ends before it."""
        self._display: Display | None = None
        self._answers: deque[asyncio.Future[str]] = deque()
        self._panes: dict[str, Pane] = {}
        self._rest = b""
        self._block: list[bytes] | None = None
        """The lines of the answer that comes, from the one that begins it."""
        self._ended = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.SubprocessTransport)
        stdin = transport.get_pipe_transport(0)
        assert isinstance(stdin, asyncio.WriteTransport)
        self._transport, self._stdin = transport, stdin
        self._begun = self._expect()  # the answer to the command that has begun the server

    def pipe_data_received(self, fd: int, data: bytes | str) -> None:
        assert isinstance(data, bytes)
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._read(line)

    def process_exited(self) -> None:
        self._ended.set()
        while self._answers:
            self._give(AssertionError("tmux has ended"))

    async def display(self) -> Display:
        """The display, from the first use on."""
        if self._display is None:
            self._display = await self.stack.enter_async_context(display())
        return self._display

    async def begun(self) -> None:
        """Wait until the server runs."""
        await self._got(self._begun)

    async def do(self, *words: str) -> str:
        """Run a command of tmux; returns what it answers. Raises `AssertionError` if it fails."""
        self._stdin.write(shlex.join(words).encode() + b"\n")
        return await self._got(self._expect())

    def _expect(self) -> asyncio.Future[str]:
        answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._answers.append(answer)
        return answer

    async def _got(self, answer: asyncio.Future[str]) -> str:
        async with asyncio.timeout(SECONDS):
            return await answer

    async def open(self, *command: str) -> Pane:
        """Run a program in a terminal of 100 by 30."""
        told = await self.do(
            "new-window", "-d", "-P", "-F", "#{pane_id} #{pane_pid}", "--", *command
        )
        name, pid = told.split()
        pane = self._panes[name] = Pane(self, name, int(pid))
        return pane

    async def close(self) -> None:
        """End the server, and with it all that runs in it."""
        await self.stack.aclose()
        self._stdin.write(b"kill-server\n")
        self._expect().cancel()  # it may not come
        async with asyncio.timeout(SECONDS):
            await self._ended.wait()
        self._transport.close()

    def _read(self, line: bytes) -> None:
        """Take in a line: of an answer, or a notification."""
        if self._block is None:
            kind, _, rest = line.partition(b" ")
            if kind == b"%begin":
                self._block = [rest]
            elif kind == b"%output" and (pane := self._panes.get(rest.split()[0].decode())):
                pane.changed.set()
            return
        begun, *lines = self._block
        if line not in (b"%end " + begun, b"%error " + begun):
            self._block.append(line)
            return
        self._block = None
        text = b"\n".join(lines).decode()
        self._give(text if line.startswith(b"%end") else AssertionError(f"tmux: {text}"))

    def _give(self, found: str | AssertionError) -> None:
        answer = self._answers.popleft()
        if answer.done():  # nobody waits any more
            return
        if isinstance(found, str):
            answer.set_result(found)
        else:
            answer.set_exception(found)


class Pane(Screen):
    """A terminal with a program in it."""

    def __init__(self, tmux: Tmux, name: str, pid: int) -> None:
        super().__init__()
        self.pid = pid
        """The program's process."""
        self.changed = asyncio.Event()
        """Whether the program has written since somebody looked."""
        self._tmux = tmux
        self._name = name

    async def _look(self) -> str:
        self.changed.clear()
        return await self._tmux.do("capture-pane", "-p", "-J", "-S", "-", "-t", self._name)

    async def shows(self, condition: Callable[[str], bool], what: str) -> str:
        try:
            async with asyncio.timeout(SECONDS):
                while not condition(await self.screen()):
                    # tmux may not tell of what a program has written right before its end.
                    await done_within(self.changed.wait(), _LOOK_SECONDS)
                    await asyncio.sleep(_BURST_SECONDS)
        except TimeoutError:
            seen = self._seen.rstrip()
            raise AssertionError(f"{what} never came; on the screen:\n{seen}") from None
        return self._seen

    async def types(self, line: str) -> None:
        await self._tmux.do("send-keys", "-t", self._name, "-l", "--", line)
        await self.press("Enter")

    async def press(self, key: str) -> None:
        """Press a key, by its name in tmux."""
        await self._tmux.do("send-keys", "-t", self._name, key)

    async def resize(self, width: int, height: int) -> None:
        size = ("-x", str(width), "-y", str(height))
        await self._tmux.do("resize-window", "-t", self._name, *size)

    async def ends(self) -> str:
        async def is_over() -> bool:
            told = await self._tmux.do("display-message", "-p", "-t", self._name, "#{pane_dead}")
            return told.strip() == "1"

        await until(is_over, lambda: "the program has not ended")
        return await self.screen()

    async def kill(self) -> str:
        os.kill(self.pid, signal.SIGKILL)
        return await self.ends()


@asynccontextmanager
async def tmux(folder: Path) -> AsyncIterator[Tmux]:
    """A tmux server while the block runs; what runs in it ends with it."""
    _, self = await asyncio.get_running_loop().subprocess_exec(
        Tmux,
        *(need("tmux"), "-u", "-C", "-S", str(folder / "tmux"), "-f", os.devnull),
        *("new-session", "--", "sleep", "1000"),
        env={**os.environ, "LC_ALL": "C.UTF-8", "TERM": "xterm-256color"},
        stderr=None,
    )
    await self.begun()
    for command in _SETTINGS:
        await self.do(*command)
    try:
        yield self
    finally:
        await self.close()
