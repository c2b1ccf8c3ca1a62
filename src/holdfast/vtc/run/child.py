"""The processes of a test.

Each child leads a process group. A pidfd reports its death at once, without polling; but the
child is reaped only when the test releases it. Until then its pid cannot be reused, and
processes that it left in its group can be killed with it.

Signals that the runner ignores have their default action in a child: `subprocess` resets those
that Python ignores, and `runner` catches SIGINT and SIGQUIT if it was started with them
ignored.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence

READ_BYTES_MAX = 8192
"""No more than the log shows of one dump."""
REAP_SECONDS_MAX = 5.0
OUTPUT_BYTES_MAX = 4 * 1024 * 1024
OUTPUT_FILE_BYTES_MAX = 16 * 1024 * 1024

Argument = str | bytes


class Child:
    """A running process, or a dead one that is not reaped yet."""

    def __init__(
        self,
        argv: Sequence[Argument],
        *,
        cwd: str,
        env: Mapping[bytes, bytes],
        streams: tuple[int, int, int] = (subprocess.DEVNULL,) * 3,
        pass_fds: Sequence[int] = (),
        session: bool = False,
    ) -> None:
        """Start `argv`. `streams` are its standard streams; `session` makes it lead a session.

        Raises `OSError` if it cannot be started.
        """
        self._popen = subprocess.Popen(
            argv,
            cwd=cwd,
            env=env,
            stdin=streams[0],
            stdout=streams[1],
            stderr=streams[2],
            pass_fds=pass_fds,
            start_new_session=session,
            process_group=None if session else 0,
        )
        self.pid = self._popen.pid
        self.status: int | None = None
        """The wait status, once it is dead."""
        self.on_exit: Callable[[int], None] | None = None
        self._gone = asyncio.Event()
        self._pidfd = os.pidfd_open(self.pid)
        asyncio.get_running_loop().add_reader(self._pidfd, self._on_exit)

    def _on_exit(self) -> None:
        asyncio.get_running_loop().remove_reader(self._pidfd)
        info = os.waitid(os.P_PIDFD, self._pidfd, os.WEXITED | os.WNOWAIT)
        assert info is not None
        if info.si_code == os.CLD_EXITED:
            self.status = info.si_status << 8
        else:
            self.status = info.si_status | (0x80 if info.si_code == os.CLD_DUMPED else 0)
        self._gone.set()
        if self.on_exit:
            self.on_exit(self.status)

    async def wait(self) -> int:
        """Wait for its death and return the wait status."""
        await self._gone.wait()
        assert self.status is not None
        return self.status

    async def wait_for(self, seconds: float) -> bool:
        """Wait at most so long. Says whether it is dead."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._gone.wait()
        return self._gone.is_set()

    def kill(self, number: int) -> None:
        """Send it a signal; a dead one gets it too, and nothing happens."""
        os.kill(self.pid, number)

    def kill_group(self, number: int) -> None:
        """Send its whole group a signal. Raises `ProcessLookupError` if it has moved away."""
        os.killpg(self.pid, number)

    def release(self) -> None:
        """Kill it and all that it left in its group, and reap it. May be called again."""
        if self._popen.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        with contextlib.suppress(RuntimeError):  # the loop may be closed already
            asyncio.get_running_loop().remove_reader(self._pidfd)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._popen.wait(REAP_SECONDS_MAX)
        os.close(self._pidfd)


class OutputReader:
    """Reads the output of a child as it comes."""

    def __init__(self, fd: int, on_data: Callable[[bytes], None]) -> None:
        """Owns `fd` from here on."""
        self._fd = fd
        self._on_data = on_data
        self.ended = asyncio.Event()
        os.set_blocking(fd, False)
        asyncio.get_running_loop().add_reader(fd, self.read)

    def read(self) -> bool:
        """Read once. Return whether more may be available."""
        if self.ended.is_set():
            return False
        try:
            data = os.read(self._fd, READ_BYTES_MAX)
        except BlockingIOError:
            return False
        except OSError:  # a pseudo-terminal without processes
            data = b""
        if data:
            self._on_data(data)
        else:
            self.release()
        return bool(data)

    def read_all(self) -> None:
        """Read all available output without waiting."""
        while self.read():
            pass

    def release(self) -> None:
        """Stop reading. May be called again."""
        if not self.ended.is_set():
            self.ended.set()
            with contextlib.suppress(RuntimeError):
                asyncio.get_running_loop().remove_reader(self._fd)
            os.close(self._fd)


class OutputTail:
    """The end of a process's output: between one and two `OUTPUT_BYTES_MAX`."""

    def __init__(self) -> None:
        self._data = bytearray()
        self.lost = 0
        """The number of discarded bytes before it."""

    def add(self, data: bytes) -> None:
        """Append new output."""
        self._data += data
        if len(self._data) > 2 * OUTPUT_BYTES_MAX:
            over = len(self._data) - OUTPUT_BYTES_MAX
            del self._data[:over]
            self.lost += over

    def __bytes__(self) -> bytes:
        return bytes(self._data)


class OutputFile:
    """The end of a process's output in a file: between one and two `OUTPUT_FILE_BYTES_MAX`.

    When it is shortened, another file takes its place: who reads it has the older one.
    """

    def __init__(self, path: str) -> None:
        """Create the file, empty."""
        self.path = path
        self.lost = 0
        """The number of discarded bytes before it."""
        with open(path, "wb"):
            pass

    def add(self, data: bytes) -> None:
        """Append new output."""
        with open(self.path, "ab") as file:
            file.write(data)
            size = file.tell()
        if size > 2 * OUTPUT_FILE_BYTES_MAX:
            self._shorten(size - OUTPUT_FILE_BYTES_MAX)

    def _shorten(self, over: int) -> None:
        with open(self.path, "rb") as file:
            file.seek(over)
            rest = file.read()
        shorter = f"{self.path}.shorter"
        with open(shorter, "wb") as file:
            file.write(rest)
        os.replace(shorter, self.path)
        self.lost += over


async def write_all(fd: int, data: bytes) -> None:
    """Write all of `data` to a descriptor that does not block. Raises `OSError`."""
    loop = asyncio.get_running_loop()
    rest = data
    while rest:
        try:
            rest = rest[os.write(fd, rest) :]
        except BlockingIOError:
            room = asyncio.Event()
            loop.add_writer(fd, room.set)
            try:
                await room.wait()
            finally:
                loop.remove_writer(fd)


def describe(status: int) -> str:
    """A wait status in words."""
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        name = signal.Signals(number).name if number in set(signal.Signals) else str(number)
        return f"killed by {name}"
    return f"exit status {os.WEXITSTATUS(status)}"


def sweep(marker: bytes) -> None:
    """Kill each process whose environment has the entry `marker`: daemons have left their group."""
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError):
                with open(f"/proc/{name}/environ", "rb") as file:
                    found = marker in file.read().split(b"\0")
                if found:
                    os.kill(int(name), signal.SIGKILL)
