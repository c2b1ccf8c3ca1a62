"""One run of one script, and everything that it owns.

The script runs in the body of a task group, and each actor's specification is
a task of it: the first failure ends all of them, and nothing outlives the
group. What is left then, in the order of VTest2, are the actors' own ends; and
whatever happens, processes, sockets and the directory are released.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import time
import traceback
from typing import Any, TypeVar

from holdfast.vtc.actors.actor import Actor, Work
from holdfast.vtc.io.socket_address import SocketAddress
from holdfast.vtc.language.command import Context
from holdfast.vtc.language.errors import Failure, Note, Skip
from holdfast.vtc.language.interpreter import Scope, interpret
from holdfast.vtc.language.macros import Macros
from holdfast.vtc.language.prepare import prepare
from holdfast.vtc.language.script import Script, script_directory
from holdfast.vtc.language.source import ENCODING, Position, Token
from holdfast.vtc.run.child import Child, sweep
from holdfast.vtc.run.log import Log, Logger, render_diag
from holdfast.vtc.run.processor_wait import ProcessorWait
from holdfast.vtc.run.results import KeepDirectories, Outcome, Result, RunSettings

A = TypeVar("A", bound=Actor)

ADDRESS_MACROS = ("addr", "port", "sock")
"""What an instance that listens defines, behind its name and `_`."""


class Case:
    """One run of one script."""

    def __init__(self, script: Script, settings: RunSettings) -> None:
        self.script = script
        self.settings = settings
        self.log = Log()
        self.macros = Macros(settings.macros)
        self.env: dict[bytes, bytes] = dict(os.environb)
        self.directory = f"{settings.directory}/vtc.{os.getpid()}.{os.urandom(4).hex()}"
        self.diag: list[str] = []
        self.checks: list[Position] = []
        self.stopping = False
        """The script is at its end: specifications stop before their next command."""
        self.scopes: dict[str, Scope[Any]] = {}
        """What runs now, by the actors' ids."""
        self.processor = ProcessorWait()
        self._top = Logger(self.log, "top")
        self._crew: dict[str, dict[str, Actor]] = {}
        self._children: list[Child] = []
        self._first: Failure | None = None
        self._skipped = ""
        self._group: asyncio.TaskGroup | None = None
        self._broken: asyncio.Future[None] | None = None

    # What commands use.

    @property
    def failing(self) -> bool:
        """Whether the verdict is known already; then nothing needs to be waited for."""
        return self._first is not None

    def define(self, log: Logger, name: str, value: str) -> None:
        """Set a macro."""
        self.macros.define(name, value)
        log.line(4, f"macro def {name}={value}")

    def define_address(self, log: Logger, name: str, at: SocketAddress, sock: str = "") -> None:
        """Set the macros that tell where `name` listens; `sock` if it is written otherwise."""
        for macro, value in zip(
            ADDRESS_MACROS, (at.host, str(at.port), sock or at.joined), strict=True
        ):
            self.define(log, f"{name}_{macro}", value)

    def undefine_address(self, log: Logger, name: str) -> None:
        """Remove these macros, as far as they exist."""
        self.undefine(log, *(f"{name}_{macro}" for macro in ADDRESS_MACROS))

    def undefine(self, log: Logger, *names: str) -> None:
        """Remove macros, as far as they exist."""
        for name in names:
            if self.macros.undefine(name) and not self.stopping:
                log.line(4, f"macro undef {name}")

    def actors(self, kind: type[A]) -> dict[str, A]:
        """The actors of one kind by name."""
        return self._crew.setdefault(kind.kind, {})  # type: ignore[return-value]

    def actor(self, kind: type[A], name: str, position: Position | None) -> A:
        """The actor of that name; if it is new, it is made, and was at `position`."""
        crew = self.actors(kind)
        if name not in crew:
            crew[name] = kind(self, name)
            crew[name].position = position
        return crew[name]

    def spawn(self, log: Logger, work: Work, position: Position | None) -> asyncio.Task[None]:
        """Run `work` in the background. A failure in it ends the test."""
        assert self._group is not None
        return self._group.create_task(self._guarded(log, work, position))

    async def _guarded(self, log: Logger, work: Work, position: Position | None) -> None:
        try:
            await work()
        except Failure as failure:
            self.record(log, failure, position)
            raise

    async def play(self, scope: Scope[Any], spec: Token) -> None:
        """Run a specification. Until it is done, a time-out can tell where it is."""
        outer = self.scopes.get(scope.log.actor)
        self.scopes[scope.log.actor] = scope
        await interpret(scope, spec)
        if outer:
            self.scopes[scope.log.actor] = outer
        else:
            del self.scopes[scope.log.actor]

    def adopt(self, child: Child) -> Child:
        """Make sure that `child` does not outlive the test."""
        self._children.append(child)
        return child

    def path(self, name: str) -> bytes:
        """A file's name, seen from the test's directory."""
        return os.path.join(os.fsencode(self.directory), name.encode(ENCODING))

    def failure(
        self, log: Logger, reason: str, position: Position | None, notes: tuple[Note, ...] = ()
    ) -> Failure:
        """A failure, logged now, to be raised."""
        failure = Failure(reason, position, notes)
        self.record(log, failure, position)
        return failure

    def record(self, log: Logger, failure: Failure, position: Position | None) -> None:
        """Log a failure, and what helps to understand the first one."""
        if failure.actor:
            return
        failure.actor = log.actor
        failure.position = failure.position or position
        log.line(0, str(failure))
        if failure.position:
            _show_place(log, failure.position)
        if self._first is None:
            self._first = failure
            failure.notes += self._machine_notes(log)
            for note in failure.notes:
                log.dump(1, note.title, note.text)

    def _machine_notes(self, log: Logger) -> tuple[Note, ...]:
        """What tells a slow machine from a wrong peer."""
        scope = self.scopes.get(log.actor)
        text = self.processor.since(scope.began) if scope else ""
        return (Note("machine", text),) if text else ()

    def fail_now(self, log: Logger, failure: Failure) -> None:
        """End the test from outside of any task: a process died."""
        self.record(log, failure, None)
        if self._broken and not self._broken.done():
            self._broken.set_exception(failure)

    # The run.

    async def run(self) -> Result:
        """Run the script to its end. Whatever happens, nothing of it is left behind."""
        started = time.monotonic()
        timed_out = False
        limit = asyncio.timeout(self.settings.seconds_max)
        try:
            self._begin()
            async with limit:
                try:
                    await self._perform()
                except Exception as error:  # the root of this failure domain
                    self._record_defect(error)
        except TimeoutError:
            timed_out = limit.expired()
            self._record_time_out()
        finally:
            self._release()
        return self._result(time.monotonic() - started, timed_out)

    def _begin(self) -> None:
        os.mkdir(self.directory, 0o755)
        with open(f"{self.directory}/INFO", "w", encoding=ENCODING) as info:
            info.write(f"Test case: {self.script.name}\n")
        self.env[b"VARNISH_DEFAULT_N"] = self.path("default_n")
        self._top.line(1, f"TEST {self.script.name} starting")
        for name in self.macros.names():
            value = self.macros.get(name)
            self._top.line(4, f"extmacro def {name}{'(...)' if value is None else '=' + value}")
        self.define(self._top, "testdir", script_directory(self.script.name, self.settings.pwd))
        self.define(self._top, "tmpdir", os.fsencode(self.directory).decode(ENCODING))
        self.define(self._top, "vtcid", os.path.basename(self.directory))

    async def _perform(self) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                watch = group.create_task(self._watch())
                await self._run_script()
                watch.cancel()
        except* Failure:
            pass  # recorded where it was raised
        await self._reset_after_failure()

    async def _watch(self) -> None:
        self._broken = asyncio.get_running_loop().create_future()
        await self._broken

    async def _run_script(self) -> None:
        scope = Scope(self, Context.TOP, self, self._top)
        try:
            if reason := self.settings.why_not(self.script.source.text):
                raise Skip(reason)
            whole = self.script.source.whole()
            prepare(whole, Context.TOP)
            await self.play(scope, whole)
        except Skip as skip:
            self._skipped = str(skip)
        self._end()
        for actor in self._leaving():
            await self._reset(actor)

    def _end(self) -> None:
        if not self.stopping:
            self.stopping = True
            self._top.line(1, f"RESETTING after {self.script.name}")

    def _leaving(self) -> list[Actor]:
        """All actors: barriers first, so that nobody waits at one, then by kind."""
        kinds = sorted(self._crew, key=lambda kind: (kind != "barrier", kind))
        return [actor for kind in kinds for actor in self._crew[kind].values()]

    async def _reset(self, actor: Actor) -> None:
        try:
            await actor.reset()
        except Failure as failure:
            self._let_go(actor)
            self.record(actor.log, failure, actor.position)
            raise
        self._let_go(actor)

    def _let_go(self, actor: Actor) -> None:
        actor.release()
        del self._crew[actor.kind][actor.name]

    async def _reset_after_failure(self) -> None:
        """End what an early end of the script has left."""
        self._end()
        for actor in self._leaving():
            with contextlib.suppress(Failure):  # recorded, and it may not be the first one
                await self._reset(actor)
        verdict = "FAILED" if self._first and not self._skipped else "completed"
        self._top.line(1, f"TEST {self.script.name} {verdict}")

    def places(self) -> list[str]:
        """What each actor is doing, and where."""
        return [
            f"{actor} at {scope.position}: {scope.doing.strip()}"
            for actor, scope in self.scopes.items()
        ]

    def _record_time_out(self) -> None:
        busy = "\n".join(self.places())
        reason = f"timed out after {self.settings.seconds_max:g} seconds"
        top = self.scopes.get("top")
        position = top.position if top else None
        self.record(self._top, Failure(reason, position, (Note("waiting", busy),)), None)

    def _record_defect(self, error: Exception) -> None:
        trace = "".join(traceback.format_exception(error))
        failure = Failure(f"defect in the test program: {error!r}", None, (Note("trace", trace),))
        self.record(self._top, failure, None)

    def _release(self) -> None:
        for actor in self._leaving():
            actor.release()
        for child in self._children:
            child.release()
        if self._children:
            sweep(b"VARNISH_DEFAULT_N=" + self.path("default_n"))
        self.processor.close()
        if self._kept():
            with open(f"{self.directory}/LOG", "w", encoding=ENCODING) as file:
                file.write(self.log.render() + render_diag("".join(self.diag)) + "\n")
        else:
            shutil.rmtree(self.directory, ignore_errors=True)

    def _kept(self) -> bool:
        keep = self.settings.keep
        return keep is KeepDirectories.ALL or (
            keep is KeepDirectories.FAILED and self._outcome() is Outcome.FAILED
        )

    def _outcome(self) -> Outcome:
        if self._skipped:
            return Outcome.SKIPPED
        return Outcome.FAILED if self._first else Outcome.PASSED

    def _result(self, seconds: float, timed_out: bool) -> Result:
        return Result(
            script=self.script,
            outcome=self._outcome(),
            seconds=seconds,
            log=self.log,
            diag="".join(self.diag),
            failure=self._first,
            reason=self._skipped or str(self._first or ""),
            timed_out=timed_out,
            checks=self.checks,
            directory=self.directory if self._kept() else None,
        )


def _show_place(log: Logger, position: Position) -> None:
    line, caret = position.excerpt()
    log.line(0, f"at {position}")
    log.line(0, f"| {line}")
    log.line(0, f"| {caret}")
