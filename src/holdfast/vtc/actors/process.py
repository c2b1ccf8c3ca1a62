"""A process on a terminal: standard input and output on a pseudo-terminal, error on a pipe."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from enum import Enum
from typing import ClassVar

from holdfast.vtc.actors.background_task import BackgroundTask
from holdfast.vtc.language.errors import Failure, Note
from holdfast.vtc.language.position import Position
from holdfast.vtc.language.source import ENCODING, Token
from holdfast.vtc.run.case import Actor, Case
from holdfast.vtc.run.child import Child, OutputFile, OutputReader, describe, write_all
from holdfast.vtc.run.log import DUMP_BYTES_MAX
from holdfast.vtc.terminal.emulator import Emulator
from holdfast.vtc.terminal.pty import open_pty, set_size

ROWS, COLUMNS = 24, 80
STOP_SECONDS = 1.0
"""After a request to end, before it is killed."""

# A session's leader that opens a terminal gets it as its controlling one.
_TAKE_TERMINAL = 'exec <>"$0" >&0; exec /bin/sh -c "$1"'

_SIGNALS = {
    "TERM": signal.SIGTERM,
    "INT": signal.SIGINT,
    "KILL": signal.SIGKILL,
    "HUP": signal.SIGHUP,
}


class LogOutput(Enum):
    """How a process's output is logged."""

    NO = "no"
    LINES = "-log"
    DUMP = "-dump"
    HEXDUMP = "-hexdump"


def signal_number(word: Token) -> int:
    """Return a signal by name, or by number after a hyphen. Raises `Failure`."""
    if word in _SIGNALS:
        return _SIGNALS[word]
    if word.startswith("-") and word[1:].isdigit():
        return int(word[1:])
    raise Failure(f"Could not grok signal ({word})", word.position())


class Process(Actor):
    """A process by name."""

    kind: ClassVar[str] = "process"

    def __init__(self, case: Case, name: str) -> None:
        super().__init__(case, name)
        self.spec: Token | None = None
        self.log_output = LogOutput.NO
        self.exit_wanted = 0
        self.signal_wanted = 0
        """Negative: this signal may end it, but need not."""
        self.core_allowed = False
        self.answers = False
        """Whether the terminal answers queries."""
        self.terminal = Emulator(ROWS, COLUMNS, self._answer)
        self.task = BackgroundTask(case, self.log)
        self.received = 0
        """Output on the terminal."""
        self._child: Child | None = None
        self._fd = -1
        self._drains: list[OutputReader] = []
        self._changed = asyncio.Event()
        self._errors = 0
        self._line = bytearray()
        directory = f"{case.directory}/{name}"
        os.mkdir(directory)
        self._out = OutputFile(f"{directory}/term")
        self._err = OutputFile(f"{directory}/stderr")
        self._paths = {"dir": directory, "out": self._out.path, "err": self._err.path}

    # Start and end.

    async def start(self, position: Position | None) -> None:
        """Start the process. Raises `Failure`."""
        if self.task.running:
            raise Failure("Already running, -wait first")
        if self.spec is None:
            raise Failure(f"process {self.name} has no command")
        self.log.line(4, f"CMD: {self.spec}")
        command = self.case.macros.expand_text(self.spec).encode(ENCODING)
        screen = self.terminal.screen
        self._fd, theirs = open_pty(screen.rows, screen.columns)
        errors, writing = os.pipe()
        try:
            self._child = self._launch(command, theirs, writing)
        except OSError as error:
            os.close(self._fd)
            os.close(errors)
            raise Failure(f"cannot start: {error.strerror}") from None
        finally:
            os.close(theirs)
            os.close(writing)
        self._drains = [OutputReader(self._fd, self._hear), OutputReader(errors, self._hear_error)]
        self.log.line(3, f"PID: {self._child.pid}")
        self.case.define(self.log, f"{self.name}_pid", str(self._child.pid))
        for macro, path in self._paths.items():
            value = os.fsencode(path).decode(ENCODING)
            self.case.define(self.log, f"{self.name}_{macro}", value)
        self.task.start(self._watch, position)

    def _launch(self, command: bytes, terminal: int, errors: int) -> Child:
        env = {**self.case.env, b"TERM": b"xterm"}
        env.pop(b"TERMCAP", None)
        child = Child(
            ("/bin/sh", "-c", _TAKE_TERMINAL, os.ttyname(terminal), command),
            cwd=self.case.directory,
            env=env,
            streams=(terminal, terminal, errors),
            session=True,
        )
        return self.case.adopt(child)

    async def _watch(self) -> None:
        """See it end, and its output. Raises `Failure` if it does not end as it should."""
        child = self._child
        assert child is not None
        status = await child.wait()
        for drain in self._drains:
            await drain.ended.wait()
        self._end_line()
        self.case.undefine(self.log, f"{self.name}_pid")
        self._child = None
        self._fd = -1
        self._changed.set()
        self._judge(child.pid, status)

    def _judge(self, pid: int, status: int) -> None:
        self.log.line(2, f"WAIT4 pid={pid} status=0x{status:04x}")
        code, wanted = os.WEXITSTATUS(status), self.signal_wanted
        if os.WIFEXITED(status) and wanted <= 0 and code == self.exit_wanted:
            return
        killer = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
        core = os.WCOREDUMP(status)
        if killer and killer == abs(wanted) and core <= self.core_allowed:
            return
        expected = f"Expected exit: 0x{self.exit_wanted:x} signal: {abs(wanted)}"
        self.log.line(1, f"{expected} core: {self.core_allowed:d}")
        text = f"Bad exit status: 0x{status:04x} exit 0x{code:x} signal {killer} core {core:d}"
        raise Failure(text, None, self.notes())

    async def wait(self) -> None:
        """Wait for its end."""
        await self.task.wait()
        text = f"stdout {self.received} bytes, stderr {self._errors} bytes"
        self.log.line(4, text)
        for file in (self._out, self._err):
            if file.lost:
                self.log.line(1, f"{file.path}: the first {file.lost} bytes are left out")

    def kill(self, number: int) -> None:
        """Send its process group a signal, which may end it then. Raises `Failure`."""
        if self._child is None:
            raise Failure("Cannot signal a non-running process")
        if self.signal_wanted == 0:
            self.signal_wanted = -number
        try:
            self._child.kill_group(number)
        except OSError as error:
            raise Failure(f"Failed to send signal {number} ({error.strerror})") from None
        self.log.line(4, f"Sent signal {number}")

    async def stop(self) -> None:
        """Ask it to end, and wait a moment. Raises `Failure` if it does not run."""
        child = self._child
        self.kill(signal.SIGTERM)
        if child and not await child.wait_for(STOP_SECONDS):
            self.log.line(4, "still running")

    async def reset(self) -> None:
        child = self._child
        if child and child.status is None:
            await self.stop()
        if child and child.status is None:
            self.kill(signal.SIGKILL)
        if child:
            await child.wait()
            self._stop_listening()
        if self.case.failing:
            await self.task.stop()
        else:
            await self.task.wait()
        self.release()
        self.case.undefine(self.log, *(f"{self.name}_{macro}" for macro in self._paths))

    def _stop_listening(self) -> None:
        """Take the output so far: a daemon could hold the terminal open forever."""
        for drain in self._drains:
            drain.read_all()
            drain.release()

    def release(self) -> None:
        if self._child:
            self._child.release()
            self._child = None
        for drain in self._drains:
            drain.release()

    # Input and output.

    def _hear(self, data: bytes) -> None:
        self.received += len(data)
        match self.log_output:
            case LogOutput.LINES:
                self._line += data
                *lines, self._line = self._line.split(b"\n")
                for line in lines:
                    self.log.dump(4, "output", bytes(line))
                if len(self._line) > DUMP_BYTES_MAX:
                    self._end_line()
            case LogOutput.DUMP:
                self.log.dump(4, "stdout", data)
            case LogOutput.HEXDUMP:
                self.log.hexdump(4, "stdout", data)
            case LogOutput.NO:
                pass
        self._out.add(data)
        self.terminal.feed(data)
        self._changed.set()

    def _end_line(self) -> None:
        if self._line:
            self.log.dump(4, "output", bytes(self._line))
            self._line.clear()

    def _hear_error(self, data: bytes) -> None:
        self._errors += len(data)
        self.log.dump(4, "stderr", data)
        self._err.add(data)

    def _answer(self, data: bytes) -> None:
        self.log.dump(4, "term_response", data)
        if self.answers and self._fd >= 0:
            with contextlib.suppress(OSError):
                os.write(self._fd, data)

    async def write(self, data: bytes) -> None:
        """Type something. Raises `Failure`."""
        if self._fd < 0:
            raise Failure("Cannot write to a non-running process", None, self.notes())
        self.log.line(4, f"Writing {len(data)} bytes")
        try:
            await write_all(self._fd, data)
        except OSError as error:
            raise Failure(f"Failed to write: {error.strerror}", None, self.notes()) from None

    def resize(self, rows: int, columns: int) -> None:
        """Change the size of the screen."""
        self.terminal.resize(rows, columns)
        if self._fd >= 0:
            set_size(self._fd, rows, columns)

    async def changed(self) -> bool:
        """Wait for more output. Says whether there can be more."""
        if self._child is None:
            return False
        self._changed.clear()
        await self._changed.wait()
        return True

    def notes(self) -> tuple[Note, ...]:
        """The screen, for a failure."""
        screen = self.terminal.screen
        lines = [screen.text(row).rstrip() for row in range(screen.rows)]
        while lines and not lines[-1]:
            lines.pop()
        found = [Note("screen", "\n".join(lines))] if lines else []
        if self._child is None:
            found.append(Note("process", "it does not run"))
        elif self._child.status is not None:
            found.append(Note("process", describe(self._child.status)))
        return tuple(found)
