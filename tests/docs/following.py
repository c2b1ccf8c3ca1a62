"""Follows a tutorial line by line, with the installed package, as a person would.

A block with a file's name as its title is written to that file. A block of `sh` is run, line by
line; programs that go on are left running. A block of `console` is a terminal: `$` starts a
client, `>` types a line, and every other line is waited for. Blocks with the same title are one
terminal.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final, NamedTuple

from tests.package.build import Environment
from tests.ports import free_port

SECONDS: Final = 60.0
_BLOCK: Final = re.compile(r'^```(\w+)(?: title="([^"]*)")?\n(.*?)^```$', re.DOTALL | re.MULTILINE)
_PORTS: Final = ("4000", "4001", "4040", "8080")
_GOES_ON: Final = ("holdfast run ", "holdfast serve ", "python ")
_INSTALL: Final = "pip install holdfast"
_KILL: Final = re.compile(r'pkill (-9 )?-f "([^"]+)"')


class Block(NamedTuple):
    """A block of code of a page."""

    language: str
    title: str
    text: str


def blocks(page: Path) -> list[Block]:
    """The blocks of a page, in order."""
    return [Block(*found) for found in _BLOCK.findall(page.read_text())]


class Terminal:
    """A program that was started from a tutorial, and what it has shown."""

    def __init__(self, process: asyncio.subprocess.Process, command: str) -> None:
        self.process = process
        self.command = command
        self.shown = ""
        self._seen = 0
        """Of `shown`: what was waited for already."""
        self._came = asyncio.Event()

    async def sees(self, text: str) -> None:
        """Wait for `text`, behind what was seen before."""
        try:
            async with asyncio.timeout(SECONDS):
                while (at := self.shown.find(text, self._seen)) < 0:
                    self._came.clear()
                    await self._came.wait()
        except TimeoutError:
            shown = self.shown[self._seen :]
            raise AssertionError(f"{self.command}: {text!r} did not come: {shown!r}") from None
        self._seen = at + len(text)

    async def types(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{line}\n".encode())
        await self.process.stdin.drain()

    async def read(self) -> None:
        """Take in what it shows."""
        assert self.process.stdout is not None
        while data := await self.process.stdout.read(65536):
            self.shown += data.decode(errors="replace")
            self._came.set()


class Follower:
    """Somebody who follows a tutorial in `folder`."""

    def __init__(self, folder: Path, installed: Environment, tasks: asyncio.TaskGroup) -> None:
        self.folder = folder
        self.ports = {port: str(free_port()) for port in _PORTS}
        """By the port that the page names: the one that is free here."""
        self.terminals: dict[str, Terminal] = {}
        self._installed = installed
        self._tasks = tasks
        self._started: list[Terminal] = []

    async def follow(self, page: Path) -> None:
        """Do what the page says, from its first block to the last."""
        for block in blocks(page):
            text = self.here(block.text)
            if block.language == "sh":
                for line in text.splitlines():
                    await self._run(line)
            elif block.language == "console":
                await self._at_terminal(block.title, text)
            elif block.title:
                file = self.folder / block.title
                file.parent.mkdir(exist_ok=True)
                file.write_text(text)

    def here(self, text: str) -> str:
        """`text` with the ports that are free on this machine."""
        for port, free in self.ports.items():
            text = re.sub(rf"\b{port}\b", free, text)
        return text

    async def _run(self, line: str) -> None:
        killing = _KILL.fullmatch(line)
        if line == _INSTALL:
            return  # it is installed, from the wheel
        if killing:
            self._kill(killing[2], signal.SIGKILL if killing[1] else signal.SIGTERM)
        elif line.startswith(_GOES_ON):
            terminal = await self.start(self._listening(line))
            if line.startswith("holdfast "):
                await terminal.sees("listening for clients")
        else:
            terminal = await self.start(line)
            async with asyncio.timeout(SECONDS):
                code = await terminal.process.wait()
            assert code == 0, (line, terminal.shown)

    def _listening(self, line: str) -> str:
        """`holdfast run` without a configuration listens where the page says: at free ports."""
        if not line.startswith("holdfast run ") or "--config" in line:
            return line
        tcp, web = self.ports["4001"], self.ports["8080"]
        return f"{line} --listen tcp://127.0.0.1:{tcp} --listen ws://127.0.0.1:{web}/"

    async def _at_terminal(self, title: str, text: str) -> None:
        for line in text.splitlines():
            if line.startswith("$ "):
                self.terminals[title] = await self.start(line.removeprefix("$ "))
            elif line.startswith("> "):
                await self.terminals[title].types(line.removeprefix("> "))
            else:
                await self.terminals[title].sees(line)

    async def start(self, command: str) -> Terminal:
        """Start a program of the environment, or one of the system."""
        path = f"{self._installed.bin}:{os.environ['PATH']}"
        process = await asyncio.create_subprocess_exec(
            "/bin/sh",
            "-c",
            f"exec {command}",
            cwd=self.folder,
            env={**os.environ, "PATH": path, "NO_COLOR": "1"},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        terminal = Terminal(process, command)
        self._started.append(terminal)
        self._tasks.create_task(terminal.read())
        return terminal

    def _kill(self, pattern: str, number: signal.Signals) -> None:
        """As `pkill -f`, among what this tutorial has started."""
        found = [pid for pid in self._processes() if re.search(pattern, _command_of(pid))]
        assert found, pattern
        for pid in found:
            os.kill(pid, number)

    def _processes(self) -> list[int]:
        found = [one.process.pid for one in self._started if one.process.returncode is None]
        for pid in found:
            with suppress(FileNotFoundError):
                for children in Path(f"/proc/{pid}/task").glob("*/children"):
                    found += map(int, children.read_text().split())
        return found

    async def end(self) -> None:
        """End every program, the newest first."""
        for terminal in reversed(self._started):
            if terminal.process.returncode is None:
                terminal.process.terminate()
            assert terminal.process.stdin is not None
            terminal.process.stdin.close()
            try:
                async with asyncio.timeout(SECONDS):
                    await terminal.process.wait()
            except TimeoutError:
                terminal.process.kill()


def _command_of(pid: int) -> str:
    with suppress(FileNotFoundError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    return ""


@asynccontextmanager
async def following(folder: Path, installed: Environment) -> AsyncIterator[Follower]:
    """Somebody who follows tutorials; what was started ends with the block."""
    async with asyncio.TaskGroup() as tasks:
        follower = Follower(folder, installed, tasks)
        try:
            yield follower
        finally:
            await follower.end()
