"""How a HAProxy in the background reports that it is ready: a pid file, or `sd_notify`."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable

from holdfast.vtc.io.stream_socket import readable
from holdfast.vtc.language.errors import Failure

PID_SECONDS_MAX = 3.0
MESSAGE_BYTES_MAX = 8192
_POLL_SECONDS = 0.002


async def wait_for_pid_file(path: str, accept: Callable[[int], bool]) -> int:
    """The process id in a file, once it is one of a living process. Raises `Failure`."""
    try:
        async with asyncio.timeout(PID_SECONDS_MAX):
            while True:
                pid = _read(path)
                if pid and accept(pid) and _lives(pid):
                    return pid
                await asyncio.sleep(_POLL_SECONDS)
    except TimeoutError:
        found = _read(path)
        reason = f"it has PID {found}" if found else f"Could not read PID file '{path}'"
        raise Failure(f"PID file check failed: {reason}") from None


def _read(path: str) -> int | None:
    try:
        with open(path, "rb") as file:
            return int(file.read())
    except (OSError, ValueError):
        return None


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    return True


class ReadySocket:
    """The socket that `sd_notify` writes to."""

    def __init__(self, path: str) -> None:
        """Raises `Failure` if it cannot be made."""
        self.path = path
        self._sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            self._sock.setblocking(False)
            self._sock.bind(path)
        except OSError as error:
            self._sock.close()
            raise Failure(f"Create sd_notify socket failed: {error}") from None

    async def wait(self, seconds: float) -> None:
        """Wait for the message `READY=1`; others may come first. Raises `Failure`."""
        try:
            async with asyncio.timeout(seconds):
                await readable(self._sock)
                while b"READY=1" not in self._sock.recv(MESSAGE_BYTES_MAX):
                    await readable(self._sock)
        except TimeoutError:
            raise Failure("FAIL timeout waiting for sd_notify recv") from None

    def close(self) -> None:
        """May be called again."""
        self._sock.close()
