"""One run of a server program: its output, its death and its stop."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from holdfast.vtc.language.errors import Failure, Note
from holdfast.vtc.language.source import ENCODING
from holdfast.vtc.run.case import Case
from holdfast.vtc.run.child import Argument, Child, OutputReader, OutputTail, describe
from holdfast.vtc.run.log import Logger

SHOWN_LINES_MAX = 20
_OUTPUT_SECONDS_MAX = 2.0
"""From the end of the process to that of its output, which a child of it may hold open."""


class ProgramKind(NamedTuple):
    """The kind of program."""

    name: str
    stop: tuple[tuple[signal.Signals, float], ...]
    """The signals that stop it, each with the seconds before the next one."""
    complaint: re.Pattern[str]
    """A pattern for the line of output with the reason of its end."""


class ProgramRun:
    """A running program, or a dead one that is not released."""

    def __init__(
        self,
        case: Case,
        log: Logger,
        program: ProgramKind,
        argv: Sequence[Argument],
        *,
        directory: str,
        env: Mapping[bytes, bytes],
        pass_fds: Sequence[int] = (),
    ) -> None:
        """Start it. Raises `Failure`."""
        self._log = log
        self._program = program
        self._output = OutputTail()
        self.on_death: Callable[[int], None] | None = None
        """Called if the program dies before `stop`."""
        self.on_output: Callable[[], None] | None = None
        """Called for new output."""
        reading, writing = os.pipe()
        stdin, self._stdin = os.pipe()
        self._drain = OutputReader(reading, self._hear)
        try:
            self.child = Child(
                argv,
                cwd=directory,
                env=env,
                streams=(stdin, writing, writing),
                pass_fds=pass_fds,
            )
        except OSError as error:
            os.close(self._stdin)
            self._drain.release()
            raise Failure(f"cannot start {program.name}: {error.strerror}") from None
        finally:
            os.close(stdin)
            os.close(writing)
        case.adopt(self.child)
        self.child.on_exit = self._on_exit

    def _hear(self, data: bytes) -> None:
        self._log.dump(3, "debug", data)
        self._output.add(data)
        if self.on_output:
            self.on_output()

    def _on_exit(self, status: int) -> None:
        if self.on_death:
            self.on_death(status)

    @property
    def output(self) -> str:
        """The output so far, or the end of it."""
        self._drain.read_all()
        return bytes(self._output).decode(ENCODING)

    def last_words(self) -> Note:
        """The last lines of its output."""
        return Note(self._program.name, "\n".join(self.output.splitlines()[-SHOWN_LINES_MAX:]))

    def death(self, status: int) -> Failure:
        """The failure for its death, with its own reason if it has given one."""
        text = f"{self._program.name} died: {describe(status)}{self._complaint()}"
        return Failure(text, None, (self.last_words(),))

    def _complaint(self) -> str:
        match = self._program.complaint.search(self.output)
        return f": {match[0].strip()}" if match else ""

    async def wait(self) -> int:
        """Wait until the program ends by itself; return the wait status."""
        status = await self.child.wait()
        await self._hear_the_end()
        return status

    async def stop(self) -> int:
        """Stop it, with one signal after the other; the last one, 0 if it was dead already."""
        self.on_death = None
        sent = 0
        if self.child.status is None:
            for sent, seconds in self._program.stop:
                self.child.kill(sent)
                self._log.line(4, f"Kill({sent:d})=0: Success")
                if await self.child.wait_for(seconds):
                    break
        await self._hear_the_end()
        return sent

    async def kill(self) -> None:
        """Kill it, and wait for its death."""
        self.on_death = None
        self.child.kill(signal.SIGKILL)
        await self.wait()

    async def _hear_the_end(self) -> None:
        """Read to the end of the output; a worker that holds it open for long is killed."""
        try:
            async with asyncio.timeout(_OUTPUT_SECONDS_MAX):
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
        """Kill the program if it is running, and reap it. May be called again."""
        self.on_death = self.on_output = None
        self.child.release()
        self._drain.release()
        if self._stdin >= 0:
            os.close(self._stdin)
            self._stdin = -1
