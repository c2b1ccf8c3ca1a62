"""Child processes: started, watched, restarted."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from msgspec import Struct

from holdfast.app.app import (
    LINK_VARIABLE,
    LOG_LEVEL_VARIABLE,
    PARENT_VARIABLE,
    SECRET_VARIABLE,
)
from holdfast.backends.link.server_config import LinkConfig
from holdfast.core.backoff import Backoff
from holdfast.net.loggers import LazyLogger
from holdfast.net.runtime.loop import done_within

_log = LazyLogger("holdfast.run")

_LOOK_SECONDS: Final = 0.5
_PAUSE_SECONDS_MIN: Final = 0.2
_PAUSE_SECONDS_MAX: Final = 10.0
_HEALTHY_SECONDS: Final = 5.0
_STOP_SECONDS_MAX: Final = 10.0
_PR_SET_PDEATHSIG: Final = 1


class Child(Struct, frozen=True):
    """The program to run."""

    command: Sequence[str]
    """`python COMMAND…`"""
    started: Callable[[int], None]
    """Called with the process id of each run."""
    name: str = "application"
    """What the log calls it."""
    watched: Path | None = None
    """A folder: when a Python file in it changes, the program is run anew."""
    files: Sequence[int] = ()
    """The descriptors that it inherits beside its standard ones, under the same numbers."""
    ended: Callable[[int], None] = lambda code: None
    """Called with the exit code of each run; what it raises ends the supervisor."""


def link_environment(link: LinkConfig, log_level: str) -> dict[str, str]:
    """What an application is told of the gateway at `link`."""
    return {
        LINK_VARIABLE: link.listen,
        SECRET_VARIABLE: link.secret,
        LOG_LEVEL_VARIABLE: log_level,
    }


def end_with_parent() -> None:
    """Let this process be killed when the supervisor that has started it ends, however it ends.

    The kernel does it at once (prctl(2), PR_SET_PDEATHSIG).
    """
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != int(os.environ[PARENT_VARIABLE]):
        raise SystemExit("the process that has started this one has ended")


class Supervisor:
    """Runs a program with variables of its own, and restarts it when it ends."""

    def __init__(self, child: Child, environment: Mapping[str, str]) -> None:
        self._child = child
        self._environment = {**os.environ, PARENT_VARIABLE: str(os.getpid()), **environment}
        self._process: asyncio.subprocess.Process | None = None
        self._changed = asyncio.Event()
        self._killed = False
        """Whether the last end was asked for: it says nothing of the program."""

    async def run(self) -> None:
        """Keep it running until cancelled, which stops it."""
        async with asyncio.TaskGroup() as tasks:
            if self._child.watched is not None:
                tasks.create_task(self._watch(self._child.watched))
            try:
                await self._keep_running()
            finally:
                await self._end()

    async def _keep_running(self) -> None:
        loop = asyncio.get_running_loop()
        backoff = Backoff(_PAUSE_SECONDS_MIN, _PAUSE_SECONDS_MAX, _HEALTHY_SECONDS)
        while True:
            started = loop.time()
            # A separate session: Ctrl-C goes to this process, which stops the others in order.
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                *self._child.command,
                env=self._environment,
                start_new_session=True,
                pass_fds=self._child.files,
            )
            self._child.started(self._process.pid)
            code = await self._process.wait()
            self._child.ended(code)
            if not self._changed.is_set() and (broken := self._broken()) is not None:
                file, line, text = broken.filename, broken.lineno, broken.msg
                _log.error("syntax error, waiting for a change", file=file, line=line, error=text)
                await self._changed.wait()
            if not self._changed.is_set():
                if self._killed:
                    backoff.reset()
                self._killed = False
                pause = backoff.pause(1.0, loop.time() - started)
                _log.warning(f"{self._child.name} exited", code=code, again_in_s=pause)
                await self._wait(pause)
            if self._changed.is_set():  # perhaps it is mended now
                self._changed.clear()
                backoff.reset()

    def _broken(self) -> SyntaxError | None:
        """What is wrong with one of the files that are watched: no other start would be better."""
        if self._child.watched is None:
            return None
        for file in sorted(_stamps(self._child.watched)):
            try:
                compile(file.read_bytes(), str(file), "exec", dont_inherit=True)
            except SyntaxError as error:
                return error
            except (OSError, ValueError):  # it is gone, or no text
                continue
        return None

    def kill(self) -> None:
        """End the running program at once, as a crash does; it is started again."""
        self._killed = True
        self._signal(signal.SIGKILL)

    def terminate(self) -> None:
        """Ask the running program to end; it is started again unless `run` is cancelled."""
        self._signal(signal.SIGTERM)

    async def _wait(self, seconds: float) -> None:
        """Wait, or until a file changes."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._changed.wait()

    async def _watch(self, folder: Path) -> None:
        before = _stamps(folder)
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            after = _stamps(folder)
            if after != before:
                before = after
                _log.info(f"file changed, restarting the {self._child.name}")
                self._changed.set()
                self._signal(signal.SIGTERM)

    async def _end(self) -> None:
        process = self._process
        if process is None or process.returncode is not None:
            return
        self._signal(signal.SIGTERM)
        if not await done_within(process.wait(), _STOP_SECONDS_MAX):
            self._signal(signal.SIGKILL)
            await process.wait()

    def _signal(self, number: int) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(number)


def _stamps(folder: Path) -> dict[Path, int]:
    stamps = {}
    for file in folder.rglob("*.py"):
        try:
            stamps[file] = file.stat().st_mtime_ns
        except FileNotFoundError:
            continue
    return stamps
