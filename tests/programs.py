"""The programs of others that tests talk to."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final, NoReturn

import pytest

ROOT = Path(__file__).parent.parent
SECONDS: Final = 60.0
"""A program that is to listen must do so by then."""
_FOLDERS = ("/usr/games", "/usr/sbin")
"""Where Debian has tt++ and haproxy, and not everybody looks."""


def look_everywhere() -> None:
    """Let this process, and what it starts, find programs where Debian has them."""
    os.environ["PATH"] = ":".join((os.environ.get("PATH", os.defpath), *_FOLDERS))


def need(program: str) -> str:
    """The path of a peer program. Without it the test is skipped; on a build server it fails."""
    found = shutil.which(program)
    if not found:
        missing(f"{program} is not installed (./dev peers), or not in the PATH")
    return found


def missing(reason: str) -> NoReturn:
    """Skip this test for want of a peer; on a build server, where nothing may lack, it fails."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


@asynccontextmanager
async def started(*command: str | Path, **options: Any) -> AsyncIterator[Process]:
    """A program while the block runs; then it is killed, with all that it has started.

    `options` are those of `asyncio.create_subprocess_exec`.
    """
    process = await start(*command, **options)
    try:
        yield process
    finally:
        await end(process)


async def start(*command: str | Path, **options: Any) -> Process:
    """Start a program that `end` can end."""
    return await asyncio.create_subprocess_exec(
        *map(str, command), start_new_session=True, **options
    )


async def end(process: Process, number: signal.Signals = signal.SIGKILL) -> None:
    """Send a signal to the program and what it has started, and wait for its end.

    A killed nginx does not end its workers: they would go on listening.
    """
    with suppress(ProcessLookupError):
        os.killpg(process.pid, number)
    await process.wait()


async def listens(port: int, process: Process) -> None:
    """Wait until somebody takes connections at `port`, as the program is meant to do.

    Raises `AssertionError` where the program ends before, and `TimeoutError`.
    """
    async with asyncio.timeout(SECONDS):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                assert process.returncode is None, f"it has ended: {process.returncode}"
                await asyncio.sleep(0.02)
            else:
                writer.close()
                return
