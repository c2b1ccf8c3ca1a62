"""One run of a HAProxy: what it says, how it dies, how it is stopped."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from holdfast.vtc.child import Child, Drain, describe
from holdfast.vtc.errors import Failure, Note
from holdfast.vtc.log import Logger
from holdfast.vtc.source import ENCODING

if TYPE_CHECKING:
    from holdfast.vtc.case import Case

STOP_SECONDS = 2.0
"""Between a signal and the next stronger one."""
SHOWN_LINES_MAX = 20
_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGKILL)
_ALERT = re.compile(r"^.*\[ALERT\].*$", re.MULTILINE)


class Process:
    """A HAProxy that runs, or that died and was not let go."""

    def __init__(
        self,
        case: Case,
        log: Logger,
        command: str,
        *,
        directory: str,
        env: Mapping[bytes, bytes],
        pass_fds: Sequence[int],
    ) -> None:
        """Start it. Raises `Failure`."""
        self._log = log
        self._output = bytearray()
        self.on_death: Callable[[int], None] | None = None
        """Called if it dies before `stop`."""
        reading, writing = os.pipe()
        stdin, self._stdin = os.pipe()
        self._drain = Drain(reading, self._hear)
        try:
            self.child = Child(
                ("/bin/sh", "-c", command.encode(ENCODING)),
                cwd=directory,
                env=env,
                streams=(stdin, writing, writing),
                pass_fds=pass_fds,
            )
        except OSError as error:
            os.close(self._stdin)
            self._drain.release()
            raise Failure(f"cannot start haproxy: {error.strerror}") from None
        finally:
            os.close(stdin)
            os.close(writing)
        case.adopt(self.child)
        self.child.on_exit = self._on_exit

    def _hear(self, data: bytes) -> None:
        self._log.dump(3, "debug", data)
        self._output += data

    def _on_exit(self, status: int) -> None:
        if self.on_death:
            self.on_death(status)

    @property
    def output(self) -> str:
        """All that it has said so far."""
        self._drain.read_all()
        return self._output.decode(ENCODING)

    def last_words(self) -> Note:
        """The last lines of its output."""
        return Note("haproxy", "\n".join(self.output.splitlines()[-SHOWN_LINES_MAX:]))

    def death(self, status: int) -> Failure:
        """The failure for its death, with its own reason if it has given one."""
        return Failure(
            f"haproxy died: {describe(status)}{self._complaint()}", None, (self.last_words(),)
        )

    def _complaint(self) -> str:
        match = _ALERT.search(self.output)
        return f": {match[0].strip()}" if match else ""

    async def wait(self) -> int:
        """Wait until it ends by itself; the wait status."""
        status = await self.child.wait()
        await self._drain.ended.wait()
        return status

    async def stop(self) -> int:
        """Stop it, with stronger and stronger signals; the last one, 0 if it was dead already."""
        self.on_death = None
        self._log.line(2, f"Stop HAproxy pid={self.child.pid}")
        sent = 0
        if self.child.status is None:
            for sent in _STOP_SIGNALS:
                self.child.kill(sent)
                self._log.line(4, f"Kill({sent:d})=0: Success")
                if await self.child.wait_for(STOP_SECONDS):
                    break
        await self._hear_the_end()
        return sent

    async def _hear_the_end(self) -> None:
        """Read to the end of the output; a worker that holds it open for long is killed."""
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await self._drain.ended.wait()
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                self.child.kill_group(signal.SIGKILL)

    def judge(self, exit_wanted: int, sent: int) -> None:
        """Whether it ended as it should: with that status, or of the signal. Raises `Failure`."""
        status = self.child.status
        assert status is not None
        self._log.line(2, f"WAIT4 pid={self.child.pid} status=0x{status:04x}")
        code = os.WEXITSTATUS(status)
        if os.WIFEXITED(status) and code == exit_wanted:
            return
        killer = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
        if sent and killer == sent:
            return
        self._log.line(1, f"Expected exit: 0x{exit_wanted:x} signal: {sent} core: 0")
        core = int(os.WCOREDUMP(status))
        text = f"Bad exit status: 0x{status:04x} exit 0x{code:x} signal {killer} core {core}"
        raise Failure(text + self._complaint(), None, (self.last_words(),))

    def release(self) -> None:
        """Kill it if it lives, and reap it. May be called again."""
        self.on_death = None
        self.child.release()
        self._drain.release()
        if self._stdin >= 0:
            os.close(self._stdin)
            self._stdin = -1


class Daemon:
    """A process that is not our child: the HAProxy that `-D` leaves behind."""

    def __init__(self, pid: int) -> None:
        """Raises `ProcessLookupError` if there is none."""
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
        """Kill it if it lives. May be called again."""
        if self._pidfd >= 0:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)
            os.close(self._pidfd)
            self._pidfd = -1
