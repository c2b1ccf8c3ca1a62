"""What a gateway and an application have in common: started, stopped, killed, started again."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from holdfast.vtc.actors.actor import Actor
from holdfast.vtc.actors.process import signal_number
from holdfast.vtc.actors.program_run import Program, Service
from holdfast.vtc.language.command import Given, option
from holdfast.vtc.language.errors import Failure
from holdfast.vtc.language.interpreter import Scope
from holdfast.vtc.language.numbers import unsigned
from holdfast.vtc.language.source import ENCODING, Position

if TYPE_CHECKING:
    from holdfast.vtc.run.case import Case

STOP_SECONDS = 15.0
"""For an orderly end, which takes leave of every client."""
KILL_SECONDS = 5.0


DAEMON_OPTIONS = (
    option("-arg STRING", "A further argument of the next start. May be repeated."),
    option("-start", "Start it, and wait until it is ready."),
    option("-stop", "SIGTERM; it ends in an orderly way, with status 0."),
    option("-kill", "SIGKILL, which it cannot notice."),
    option("-signal SIGNAL", "Send a signal: TERM, INT, KILL, HUP or -NUMBER."),
    option("-wait", "Wait until it ends by itself."),
    option("-expectexit NUMBER", "It ends with this status."),
)


def program(name: str, complaint: str) -> Program:
    """A program that SIGTERM ends in an orderly way. `complaint` is a pattern."""
    stop = ((signal.SIGTERM, STOP_SECONDS), (signal.SIGKILL, KILL_SECONDS))
    return Program(name, stop, re.compile(complaint, re.MULTILINE))


class Daemon(Actor):
    """A program of the house by name, in a directory of its own."""

    program: ClassVar[Program]

    def __init__(self, case: Case, name: str) -> None:
        super().__init__(case, name)
        self.exit_wanted = 0
        self.directory = f"{case.directory}/{name}"
        self.arguments: list[str] = []
        self._service: Service | None = None
        os.mkdir(self.directory)

    @property
    def running(self) -> bool:
        """Whether it was started, and neither stopped nor killed."""
        return self._service is not None

    @abstractmethod
    def _argv(self) -> Sequence[str]:
        """What Python runs. Raises `Failure` if that cannot be said."""

    def _environment(self) -> dict[str, str]:
        """What its environment has beside the test's."""
        return {}

    @abstractmethod
    def _is_ready(self, output: str) -> bool:
        """Whether what it has said means that it is ready."""

    async def start(self, position: Position | None) -> None:
        """Start it, and wait until it is ready. Raises `Failure`."""
        if self._service is not None:
            raise Failure(f"{self.kind} {self.name} runs already")
        service = self._launch(self._argv())
        self._service = service
        self.log.line(3, f"PID: {service.child.pid}")
        self.case.define(self.log, f"{self.name}_pid", str(service.child.pid))
        said = asyncio.Event()
        service.on_output = said.set
        service.on_death = lambda _: said.set()
        await self._until_ready(service, said)
        service.on_death = lambda status: self._on_death(service, status, position)
        if service.child.status is not None:  # meanwhile
            service.on_death(service.child.status)

    def _launch(self, argv: Sequence[str]) -> Service:
        command = [sys.executable, *argv, *self.arguments]
        self.log.dump(4, "argv", " ".join(command))
        more = {os.fsencode(name): os.fsencode(to) for name, to in self._environment().items()}
        return Service(
            self.case,
            self.log,
            self.program,
            [word.encode(ENCODING) for word in command],
            directory=self.directory,
            env={**self.case.env, **more},
        )

    async def _until_ready(self, service: Service, said: asyncio.Event) -> None:
        seconds = self.case.settings.io_seconds_max
        try:
            async with asyncio.timeout(seconds):
                while not self._is_ready(service.output):
                    if service.child.status is not None:
                        raise service.death(service.child.status)
                    said.clear()
                    await said.wait()
        except TimeoutError:
            text = f"{self.kind} {self.name} was not ready within {seconds:g} s"
            raise Failure(text, None, (service.last_words(),)) from None

    def _on_death(self, service: Service, status: int, position: Position | None) -> None:
        """It died unasked: the test fails now, unless this death was foretold."""
        if os.WIFEXITED(status) and os.WEXITSTATUS(status) == self.exit_wanted:
            return
        failure = service.death(status)
        failure.position = position
        self.case.fail_now(self.log, failure)

    async def stop(self) -> None:
        """Have it end in an orderly way. Raises `Failure`."""
        service = self._taken()
        await service.stop()
        self._end(service, 0)

    async def kill(self) -> None:
        """Kill it: no signal handler, no goodbye. Raises `Failure`."""
        service = self._taken()
        await service.kill()
        self._end(service, signal.SIGKILL)

    async def wait(self) -> None:
        """Wait until it ends by itself. Raises `Failure`."""
        service = self._taken()
        await service.wait()
        self._end(service, 0)

    def _taken(self) -> Service:
        if self._service is None:
            raise Failure(f"{self.kind} {self.name} does not run")
        return self._service

    def _end(self, service: Service, sent: int) -> None:
        self._service = None
        self.case.undefine(self.log, f"{self.name}_pid")
        service.release()
        service.judge(self.exit_wanted, sent)

    def signal(self, number: int) -> None:
        """Send it a signal. Raises `Failure`."""
        self._taken().child.kill(number)

    async def run_once(self, argv: Sequence[str], exit_wanted: int) -> str:
        """Run it with other arguments to its end; what it says. Raises `Failure`."""
        service = self._launch(argv)
        try:
            await service.wait()
            service.judge(exit_wanted, 0)
            return service.output
        finally:
            service.release()

    async def reset(self) -> None:
        if self._service is not None:
            await (self.stop() if not self.case.failing else self.kill())
        self.release()

    def release(self) -> None:
        if self._service is not None:
            self._service.release()
            self._service = None


async def run_daemon(scope: Scope[Case], daemon: Daemon, given: Given) -> bool:
    """Do what one of `DAEMON_OPTIONS` says. Says whether it was one. Raises `Failure`."""
    match given.flag:
        case "-arg":
            daemon.arguments.append(given.values[0])
        case "-start":
            await daemon.start(scope.position)
        case "-stop":
            await daemon.stop()
        case "-kill":
            await daemon.kill()
        case "-signal":
            daemon.signal(signal_number(given.values[0]))
        case "-wait":
            await daemon.wait()
        case "-expectexit":
            daemon.exit_wanted = unsigned(given.values[0])
        case _:
            return False
    return True
