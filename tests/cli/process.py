"""`holdfast …` in a process of its own."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final

SECONDS: Final = 60.0
"""Whatever a test waits for must have come by then."""


class Program:
    """A running `holdfast`, and what it has written so far."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.out = ""
        self.err = ""
        self._came = asyncio.Event()
        self._open = 2
        """How many of its outputs may have more."""

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def logs(self) -> list[dict[str, Any]]:
        """What it has logged: a JSON object a line."""
        lines = self.err.splitlines(keepends=True)
        return [json.loads(line) for line in lines if line[0] == "{" and line[-1] == "\n"]

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait until `condition` is true; it is looked at after each piece of output.

        Raises `AssertionError` with what it has written where it ends before.
        """
        async with asyncio.timeout(SECONDS):
            while not condition():
                assert self._open, f"it has ended: {self.out}{self.err}"
                self._came.clear()
                await self._came.wait()

    async def says(self, text: str) -> str:
        """Wait until it has written `text`; returns the line, and forgets it and all before it."""
        await self.until(lambda: text in self.out and "\n" in self.out[self.out.index(text) :])
        end = self.out.index("\n", self.out.index(text)) + 1
        before, self.out = self.out[:end], self.out[end:]
        return before.splitlines()[-1]

    async def logged(self, event: str, count: int = 1) -> list[dict[str, Any]]:
        """Wait until it has logged `event` so often; returns those entries."""

        def entries() -> list[dict[str, Any]]:
            return [entry for entry in self.logs if entry["event"] == event]

        await self.until(lambda: len(entries()) >= count)
        return entries()

    async def ports(self, count: int) -> dict[str, int]:
        """By scheme: where clients come in, once all of `count` listeners are open."""
        addresses = [
            str(entry["at"]) for entry in await self.logged("listening for clients", count)
        ]
        return {at.partition(":")[0]: int(at.rpartition(":")[2].strip("/")) for at in addresses}

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    async def ends(self) -> int:
        """Wait for its end; returns the exit code, or minus the signal."""
        async with asyncio.timeout(SECONDS):
            return await self.process.wait()

    async def over(self) -> None:
        """Wait a little for the end of its output: another process may hold it open."""
        with suppress(TimeoutError):
            async with asyncio.timeout(2.0):
                while self._open:
                    self._came.clear()
                    await self._came.wait()

    async def read(self, stream: asyncio.StreamReader, name: str) -> None:
        """Take in what it writes."""
        while data := await stream.read(65536):
            setattr(self, name, getattr(self, name) + data.decode())
            self._came.set()
        self._open -= 1
        self._came.set()


@asynccontextmanager
async def program(
    *arguments: str | Path,
    folder: Path | None = None,
    environment: Mapping[str, str] | None = None,
    stdin: int = asyncio.subprocess.DEVNULL,
    before: Callable[[], None] | None = None,
) -> AsyncIterator[Program]:
    """Run `holdfast ARGUMENTS` in `folder` while the block runs; then it is killed."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "holdfast",
        *map(str, arguments),
        cwd=folder,
        env={
            **os.environ,
            "NO_COLOR": "1",
            "PYTHONFAULTHANDLER": "1",
            **(environment or {}),
        },
        stdin=stdin,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        preexec_fn=before,
    )
    self = Program(process)
    assert process.stdout is not None
    assert process.stderr is not None
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(self.read(process.stdout, "out"))
        tasks.create_task(self.read(process.stderr, "err"))
        try:
            yield self
        except BaseException:
            if process.returncode is None:
                process.send_signal(signal.SIGABRT)  # it writes where each of its threads is
            await self.over()
            sys.stderr.write(self.out + self.err)  # pytest shows it with the failure
            raise
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()


async def run(*arguments: str | Path, folder: Path | None = None) -> tuple[int, str, str]:
    """Run `holdfast ARGUMENTS` to its end: the exit code, and what it wrote."""
    async with program(*arguments, folder=folder) as it:
        code = await it.ends()
    return code, it.out, it.err


def alive(pid: int) -> bool:
    """Whether there is this process."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


async def is_gone(pid: int) -> None:
    """Wait until this process has ended."""
    async with asyncio.timeout(SECONDS):
        while alive(pid):  # noqa: ASYNC110 - it is no child of ours
            await asyncio.sleep(0.02)
