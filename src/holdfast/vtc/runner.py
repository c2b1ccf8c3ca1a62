"""Runs many scripts side by side in one process and tells of each when it is over."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager

from holdfast.vtc.case import Case
from holdfast.vtc.results import Outcome, Result, Settings
from holdfast.vtc.script import Script

LOCALHOST = "127.0.0.1"
LISTEN_ADDRESS = f"{LOCALHOST}:0"
BAD_IP = "192.0.2.255"
"""An address that never answers (RFC 5737: TEST-NET-1)."""


class _Stop(Exception):
    """A test failed, and a failure ends the run."""


class Runner:
    """One run of a list of scripts."""

    def __init__(
        self,
        settings: Settings,
        on_result: Callable[[Result], None],
        *,
        jobs: int = 1,
        stop_at_failure: bool = False,
    ) -> None:
        self._settings = settings
        self._on_result = on_result
        self._jobs = jobs
        self._stop_at_failure = stop_at_failure
        self._waiting: deque[Script] = deque()
        self.running: list[Case] = []
        """The cases of this moment, the oldest first."""

    async def run(self, scripts: Iterable[Script]) -> None:
        """Run them all, `jobs` at a time; end with the first failure if it is told to."""
        self._waiting = deque(scripts)
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(self._jobs):
                    group.create_task(self._work())
        except* _Stop:
            pass

    async def _work(self) -> None:
        while self._waiting:
            case = Case(self._waiting.popleft(), self._settings)
            self.running.append(case)
            try:
                result = await case.run()
            finally:
                self.running.remove(case)
            self._on_result(result)
            if result.outcome is Outcome.FAILED and self._stop_at_failure:
                raise _Stop


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


def unblock_child_signals() -> None:
    """See that children are born with SIGINT and SIGQUIT at their default.

    A shell starts background jobs with both ignored, and a daemon that inherits
    that cannot be stopped with SIGINT. A caught signal becomes its default in a
    child; we still do nothing about it ourselves.
    """
    for number in (signal.SIGINT, signal.SIGQUIT):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, lambda _number, _frame: None)
