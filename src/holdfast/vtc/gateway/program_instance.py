"""The common part of gateways and applications: start, stop, kill, restart."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar

from holdfast.vtc.actors.process import signal_number
from holdfast.vtc.actors.program_run import ProgramKind, ProgramRun
from holdfast.vtc.language.command import ParsedOption, option
from holdfast.vtc.language.errors import Failure
from holdfast.vtc.language.numbers import unsigned
from holdfast.vtc.language.position import Position
from holdfast.vtc.language.source import ENCODING
from holdfast.vtc.run.case import Actor, Case
from holdfast.vtc.run.scope import Scope

START_SECONDS = 30.0
"""Until it is ready: a start is work, and the machine may have other work. One that ends
instead fails its test at once."""
STOP_SECONDS = 15.0
"""For an orderly end, which takes leave of every client."""
KILL_SECONDS = 5.0


INSTANCE_OPTIONS = (
    option("-arg STRING", "A further argument of the next start. May be repeated."),
    option("-start", "Start it, and wait until it is ready."),
    option("-stop", "SIGTERM; it ends in an orderly way, with status 0."),
    option("-kill", "SIGKILL, which it cannot notice."),
    option("-signal SIGNAL", "Send a signal: TERM, INT, KILL, HUP or -NUMBER."),
    option("-wait", "Wait until it ends by itself."),
    option("-expectexit NUMBER", "It ends with this status."),
)


def program(name: str, complaint: str) -> ProgramKind:
    """A program that SIGTERM ends in an orderly way. `complaint` is a pattern."""
    stop = ((signal.SIGTERM, STOP_SECONDS), (signal.SIGKILL, KILL_SECONDS))
    return ProgramKind(name, stop, re.compile(complaint, re.MULTILINE))


class ProgramInstance(Actor):
    """A program of Holdfast by name, in a directory of its own."""

    program: ClassVar[ProgramKind]

    def __init__(self, case: Case, name: str) -> None:
        super().__init__(case, name)
        self.exit_wanted = 0
        self.directory = f"{case.directory}/{name}"
        self.arguments: list[str] = []
        self._run: ProgramRun | None = None
        os.mkdir(self.directory)

    @property
    def running(self) -> bool:
        """Whether it was started, and neither stopped nor killed."""
        return self._run is not None

    @abstractmethod
    def _argv(self) -> Sequence[str]:
        """Return the arguments for Python. Raises `Failure` if they are incomplete."""

    def _environment(self) -> dict[str, str]:
        """Return variables to add to the test's environment."""
        return {}

    @abstractmethod
    def _is_ready(self, output: str) -> bool:
        """Whether its output shows that it is ready."""

    async def start(self, position: Position | None) -> None:
        """Start it, and wait until it is ready. Raises `Failure`."""
        if self._run is not None:
            raise Failure(f"{self.kind} {self.name} runs already")
        run = self._launch(self._argv())
        self._run = run
        self.log.line(3, f"PID: {run.child.pid}")
        self.case.define(self.log, f"{self.name}_pid", str(run.child.pid))
        said = asyncio.Event()
        run.on_output = said.set
        run.on_death = lambda _: said.set()
        await self._until_ready(run, said)
        run.on_death = lambda status: self._on_death(run, status, position)
        if run.child.status is not None:  # meanwhile
            run.on_death(run.child.status)

    def _launch(self, argv: Sequence[str]) -> ProgramRun:
        command = [sys.executable, *argv, *self.arguments]
        self.log.dump(4, "argv", " ".join(command))
        more = {os.fsencode(name): os.fsencode(to) for name, to in self._environment().items()}
        return ProgramRun(
            self.case,
            self.log,
            self.program,
            [word.encode(ENCODING) for word in command],
            directory=self.directory,
            env={**self.case.env, **more},
        )

    async def _until_ready(self, run: ProgramRun, said: asyncio.Event) -> None:
        try:
            async with asyncio.timeout(START_SECONDS):
                while not self._is_ready(run.output):
                    if run.child.status is not None:
                        raise run.death(run.child.status)
                    said.clear()
                    await said.wait()
        except TimeoutError:
            text = f"{self.kind} {self.name} was not ready within {START_SECONDS:g} s"
            raise Failure(text, None, (run.last_words(),)) from None

    def _on_death(self, run: ProgramRun, status: int, position: Position | None) -> None:
        """Handle an unrequested death: the test fails now, unless the script expects the exit
        status."""
        if os.WIFEXITED(status) and os.WEXITSTATUS(status) == self.exit_wanted:
            return
        failure = run.death(status)
        failure.position = position
        self.case.fail_now(self.log, failure)

    async def stop(self) -> None:
        """Have it end in an orderly way. Raises `Failure`."""
        run = self._taken()
        await run.stop()
        self._end(run, 0)

    async def kill(self) -> None:
        """Kill it: no signal handler, no goodbye. Raises `Failure`."""
        run = self._taken()
        await run.kill()
        self._end(run, signal.SIGKILL)

    async def wait(self) -> None:
        """Wait until the program ends by itself. Raises `Failure`."""
        run = self._taken()
        await run.wait()
        self._end(run, 0)

    def _taken(self) -> ProgramRun:
        if self._run is None:
            raise Failure(f"{self.kind} {self.name} does not run")
        return self._run

    def _end(self, run: ProgramRun, sent: int) -> None:
        self._run = None
        self.case.undefine(self.log, f"{self.name}_pid")
        run.release()
        run.judge(self.exit_wanted, sent)

    def signal(self, number: int) -> None:
        """Send it a signal. Raises `Failure`."""
        self._taken().child.kill(number)

    async def run_once(self, argv: Sequence[str], exit_wanted: int) -> str:
        """Run the program with other arguments to its end; return its output. Raises `Failure`."""
        run = self._launch(argv)
        try:
            await run.wait()
            run.judge(exit_wanted, 0)
            return run.output
        finally:
            run.release()

    async def reset(self) -> None:
        if self._run is not None:
            await (self.stop() if not self.case.failing else self.kill())
        self.release()

    def release(self) -> None:
        if self._run is not None:
            self._run.release()
            self._run = None


async def apply_instance_option(
    scope: Scope[Case], instance: ProgramInstance, given: ParsedOption
) -> bool:
    """Apply one of `INSTANCE_OPTIONS`. Return whether the option was one. Raises `Failure`."""
    match given.flag:
        case "-arg":
            instance.arguments.append(given.values[0])
        case "-start":
            await instance.start(scope.position)
        case "-stop":
            await instance.stop()
        case "-kill":
            await instance.kill()
        case "-signal":
            instance.signal(signal_number(given.values[0]))
        case "-wait":
            await instance.wait()
        case "-expectexit":
            instance.exit_wanted = unsigned(given.values[0])
        case _:
            return False
    return True
