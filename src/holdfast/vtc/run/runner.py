"""Runs scripts one after the other in this process, and reports each result."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from holdfast.vtc.language.script import Script
from holdfast.vtc.run.case_run import CaseRun
from holdfast.vtc.run.results import Outcome, Result, RunSettings

LOCALHOST = "127.0.0.1"
LISTEN_ADDRESS = f"{LOCALHOST}:0"
BAD_IP = "192.0.2.255"
"""An address that never answers (RFC 5737: TEST-NET-1)."""


class ScriptRunner:
    """One run of a list of scripts."""

    def __init__(
        self,
        scripts: Sequence[Script],
        settings: RunSettings,
        on_result: Callable[[Result], None],
        *,
        stop_at_failure: bool = False,
    ) -> None:
        self._scripts = scripts
        self._settings = settings
        self._on_result = on_result
        self._stop_at_failure = stop_at_failure
        self._case_run: CaseRun | None = None
        self._task: asyncio.Task[Result] | None = None
        self._stopping = False
        self._places: list[str] = []

    @property
    def running(self) -> list[str]:
        """The name of the script that runs now, if one does."""
        return [self._case_run.case.script.name] if self._case_run else []

    async def run(self) -> list[str]:
        """Run the scripts. Returns where the actors were when `stop` ended their test."""
        for script in self._scripts:
            result = await self._run(script)
            if result is None:
                break
            self._on_result(result)
            if result.outcome is Outcome.FAILED and self._stop_at_failure:
                break
        return self._places

    async def _run(self, script: Script) -> Result | None:
        """Return the result of one script; `None` if it was stopped or never began."""
        if self._stopping:
            return None
        self._case_run = CaseRun(script, self._settings)
        try:
            async with asyncio.TaskGroup() as group:
                self._task = task = group.create_task(self._case_run.run())
        finally:
            self._task = self._case_run = None
        return None if task.cancelled() else task.result()

    def stop(self) -> None:
        """End the test that runs; no other begins."""
        if not self._stopping:
            self._stopping = True
            if self._task is not None and self._case_run is not None:
                self._places = self._case_run.case.places()
                self._task.cancel()


@contextmanager
def common_macros(defined: Mapping[str, str], pwd: str) -> Iterator[dict[str, str]]:
    """The macros that every test has. Holds the port that refuses every connection."""
    with socket.socket() as refusing:
        refusing.bind((LOCALHOST, 0))
        yield {
            "pwd": pwd,
            **defined,
            "localhost": LOCALHOST,
            "bad_backend": f"{LOCALHOST}:{refusing.getsockname()[1]}",
            "listen_addr": LISTEN_ADDRESS,
            "bad_ip": BAD_IP,
        }
