"""The kind of program that HAProxy is, and the process that `-D` leaves in the background."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
import signal
from collections.abc import Mapping

from holdfast.vtc.actors.program_run import ProgramKind

STOP_SECONDS = 2.0
"""Between a signal and the next stronger one."""
_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGKILL)
HAPROXY = ProgramKind(
    "haproxy",
    stop=tuple((number, STOP_SECONDS) for number in _STOP_SIGNALS),
    complaint=re.compile(r"^.*\[ALERT\].*$", re.MULTILINE),
)

_SBIN = ("/usr/local/sbin", "/usr/sbin", "/sbin")
"""The directories of distributions, which are in the search path of root only."""


def haproxy_program(env: Mapping[bytes, bytes]) -> str:
    """The HAProxy of this environment: `$HAPROXY_PROGRAM`, else the one that is installed."""
    named = os.fsdecode(env.get(b"HAPROXY_PROGRAM", b""))
    path = os.fsdecode(env.get(b"PATH", os.fsencode(os.defpath)))
    return named or shutil.which("haproxy", path=":".join((path, *_SBIN))) or "haproxy"


class DetachedProcess:
    """A process that is not a child: the HAProxy of `-D`."""

    def __init__(self, pid: int) -> None:
        """Raises `ProcessLookupError` if the process does not exist."""
        self._pidfd = os.pidfd_open(pid)

    async def stop(self) -> None:
        """Stop it, with stronger and stronger signals."""
        with contextlib.suppress(ProcessLookupError):
            for number in _STOP_SIGNALS:
                signal.pidfd_send_signal(self._pidfd, number)
                if await self._gone(STOP_SECONDS):
                    break

    async def _gone(self, seconds: float) -> bool:
        loop = asyncio.get_running_loop()
        dead = asyncio.Event()
        loop.add_reader(self._pidfd, dead.set)
        try:
            async with asyncio.timeout(seconds):
                await dead.wait()
        except TimeoutError:
            return False
        finally:
            loop.remove_reader(self._pidfd)
        return True

    def release(self) -> None:
        """Kill the process if it is running. May be called again."""
        if self._pidfd >= 0:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)
            os.close(self._pidfd)
            self._pidfd = -1
