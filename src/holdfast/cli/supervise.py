"""An application as a child process: started, watched, restarted."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import structlog

from holdfast.app.app import LINK_VARIABLE, LOG_LEVEL_VARIABLE, PARENT_VARIABLE
from holdfast.cli.options import LogLevel

_log = structlog.get_logger("holdfast.run")

_LOOK_SECONDS: Final = 0.5
_PAUSE_SECONDS_MIN: Final = 0.2
_PAUSE_SECONDS_MAX: Final = 10.0
_HEALTHY_SECONDS: Final = 5.0
_STOP_SECONDS_MAX: Final = 10.0


class Supervisor:
    """Runs `python COMMAND…` and runs it again when it ends.

    With `watched`, also when a Python file in that folder changes.
    """

    def __init__(
        self, command: Sequence[str], link: str, watched: Path | None, log_level: LogLevel
    ) -> None:
        self._command = command
        self._environment = {
            **os.environ,
            LINK_VARIABLE: link,
            PARENT_VARIABLE: str(os.getpid()),
            LOG_LEVEL_VARIABLE: log_level.value,
        }
        self._watched = watched
        self._process: asyncio.subprocess.Process | None = None
        self._changed = False

    async def run(self) -> None:
        """Keep it running until cancelled, which stops it."""
        async with asyncio.TaskGroup() as tasks:
            if self._watched is not None:
                tasks.create_task(self._watch(self._watched))
            try:
                await self._keep_running()
            finally:
                await self._end()

    async def _keep_running(self) -> None:
        loop = asyncio.get_running_loop()
        pause = _PAUSE_SECONDS_MIN
        while True:
            started = loop.time()
            # A session of its own: Ctrl-C is for the gateway, which tells the clients first.
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, *self._command, env=self._environment, start_new_session=True
            )
            code = await self._process.wait()
            if self._changed:
                self._changed = False
                continue
            if loop.time() - started >= _HEALTHY_SECONDS:
                pause = _PAUSE_SECONDS_MIN
            _log.warning("the application has ended", code=code, again_in_s=pause)
            await asyncio.sleep(pause)
            pause = min(2 * pause, _PAUSE_SECONDS_MAX)

    async def _watch(self, folder: Path) -> None:
        before = _stamps(folder)
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            after = _stamps(folder)
            if after != before:
                before = after
                _log.info("a file has changed; the application is restarted")
                self._changed = True
                self._signal(signal.SIGTERM)

    async def _end(self) -> None:
        process = self._process
        if process is None or process.returncode is not None:
            return
        self._signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(_STOP_SECONDS_MAX):
                await process.wait()
        except TimeoutError:
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
