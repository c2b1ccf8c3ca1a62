"""One test case: what its commands and actors share.

`CaseRun` runs it.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine
from typing import Any, ClassVar, TypeVar

from holdfast.vtc.io.socket_address import SocketAddress
from holdfast.vtc.language.errors import Failure, Note
from holdfast.vtc.language.macros import Macros
from holdfast.vtc.language.position import Position
from holdfast.vtc.language.script import Script
from holdfast.vtc.language.source import ENCODING
from holdfast.vtc.run.activity import Activity
from holdfast.vtc.run.child import Child
from holdfast.vtc.run.log import Log, Logger
from holdfast.vtc.run.processor_wait import ProcessorWait
from holdfast.vtc.run.results import RunSettings

ADDRESS_MACROS = ("addr", "port", "sock")
"""The macros of an instance that listens, after its name and `_`."""

Work = Callable[[], Coroutine[Any, Any, None]]
"""The body of a task. It is called when the task begins; a cancelled task may never begin."""


class Actor:
    """A named instance. It exists until the end of its test."""

    kind: ClassVar[str]
    """The command that makes it. At the end of a test actors go in the order of their kinds."""

    def __init__(self, case: Case, name: str) -> None:
        self.case = case
        self.name = name
        self.log = Logger(case.log, name)
        self.position: Position | None = None
        """Where the script names it for the first time."""

    async def reset(self) -> None:
        """End in an orderly way, at the end of the test, and release.

        May be interrupted and called again. Raises `Failure` if the end is not as it should be.
        """
        self.release()

    def release(self) -> None:
        """Release sockets and processes at once, in any state. May be called again."""


A = TypeVar("A", bound=Actor)


class Case:
    """The state of one run of one script."""

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
        """Whether the script has ended: specifications stop before their next command."""
        self.activities: dict[str, Activity] = {}
        """The current activity of each actor, by the actor's id."""
        self.processor = ProcessorWait()
        self.children: list[Child] = []
        self.first_failure: Failure | None = None
        self._actors: dict[str, dict[str, Actor]] = {}
        self._group: asyncio.TaskGroup | None = None
        self._broken: asyncio.Future[None] | None = None

    def begin(self, group: asyncio.TaskGroup) -> asyncio.Future[None]:
        """Let actors run tasks in `group`. The future fails when `fail_now` ends the test."""
        self._group = group
        self._broken = asyncio.get_running_loop().create_future()
        return self._broken

    @property
    def failing(self) -> bool:
        """Whether the verdict is known already; then nothing needs to be waited for."""
        return self.first_failure is not None

    def define(self, log: Logger, name: str, value: str) -> None:
        """Set a macro."""
        self.macros.define(name, value)
        log.line(4, f"macro def {name}={value}")

    def define_address(self, log: Logger, name: str, at: SocketAddress, sock: str = "") -> None:
        """Set the address macros of `name`; `sock` is its address if it is written differently."""
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
        return self._actors.setdefault(kind.kind, {})  # type: ignore[return-value]

    def actor(self, kind: type[A], name: str, position: Position | None) -> A:
        """The actor of that name; if it is new, it is made, and was at `position`."""
        actors = self.actors(kind)
        if name not in actors:
            actors[name] = kind(self, name)
            actors[name].position = position
        return actors[name]

    def leaving_order(self) -> list[Actor]:
        """Return all actors in the order of their ends: barriers first, to release waiters,
        then by kind."""
        kinds = sorted(self._actors, key=lambda kind: (kind != "barrier", kind))
        return [actor for kind in kinds for actor in self._actors[kind].values()]

    def remove(self, actor: Actor) -> None:
        """Release an actor and forget it."""
        actor.release()
        del self._actors[actor.kind][actor.name]

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

    def adopt(self, child: Child) -> Child:
        """Make sure that `child` does not outlive the test."""
        self.children.append(child)
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
        if self.first_failure is None:
            self.first_failure = failure
            failure.notes += self._machine_notes(log)
            for note in failure.notes:
                log.dump(1, note.title, note.text)

    def _machine_notes(self, log: Logger) -> tuple[Note, ...]:
        """Return notes that distinguish a slow machine from a wrong peer."""
        activity = self.activities.get(log.actor)
        text = self.processor.since(activity.began) if activity else ""
        return (Note("machine", text),) if text else ()

    def fail_now(self, log: Logger, failure: Failure) -> None:
        """End the test from outside of any task: a process died."""
        self.record(log, failure, None)
        if self._broken and not self._broken.done():
            self._broken.set_exception(failure)

    def places(self) -> list[str]:
        """Return the activity and position of each actor."""
        return [
            f"{actor} at {activity.position}: {activity.doing.strip()}"
            for actor, activity in self.activities.items()
        ]


def _show_place(log: Logger, position: Position) -> None:
    line, caret = position.excerpt()
    log.line(0, f"at {position}")
    log.line(0, f"| {line}")
    log.line(0, f"| {caret}")
