"""Runs one script, and owns everything that the script makes.

The script runs in the body of a task group, and each actor's specification is
a task of it: the first failure ends all of them, and no task outlives the
group. The actors then end in the order of VTest2. Processes, sockets and the
directory are released in every case.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import time
import traceback

from holdfast.vtc.language.context import Context
from holdfast.vtc.language.errors import Failure, Note, Skip
from holdfast.vtc.language.interpreter import play
from holdfast.vtc.language.prepare import prepare
from holdfast.vtc.language.script import Script, script_directory
from holdfast.vtc.language.source import ENCODING
from holdfast.vtc.run.case import Actor, Case
from holdfast.vtc.run.child import sweep
from holdfast.vtc.run.log import Logger, render_diag
from holdfast.vtc.run.results import KeepDirectories, Outcome, Result, RunSettings
from holdfast.vtc.run.scope import Scope


class CaseRun:
    """One run of one script."""

    def __init__(self, script: Script, settings: RunSettings) -> None:
        self.case = Case(script, settings)
        self._top = Logger(self.case.log, "top")
        self._skipped = ""

    async def run(self) -> Result:
        """Run the script to its end, and release all its resources."""
        started = time.monotonic()
        timed_out = False
        limit = asyncio.timeout(self.case.settings.seconds_max)
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
        os.mkdir(self.case.directory, 0o755)
        with open(f"{self.case.directory}/INFO", "w", encoding=ENCODING) as info:
            info.write(f"Test case: {self.case.script.name}\n")
        self.case.env[b"VARNISH_DEFAULT_N"] = self.case.path("default_n")
        self._top.line(1, f"TEST {self.case.script.name} starting")
        for name in self.case.macros.names():
            value = self.case.macros.get(name)
            self._top.line(4, f"extmacro def {name}{'(...)' if value is None else '=' + value}")
        self.case.define(
            self._top, "testdir", script_directory(self.case.script.name, self.case.settings.pwd)
        )
        self.case.define(self._top, "tmpdir", os.fsencode(self.case.directory).decode(ENCODING))
        self.case.define(self._top, "vtcid", os.path.basename(self.case.directory))

    async def _perform(self) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                watch = group.create_task(_wait(self.case.begin(group)))
                await self._run_script()
                watch.cancel()
        except* Failure:
            pass  # recorded where it was raised
        await self._reset_after_failure()

    async def _run_script(self) -> None:
        scope = Scope(self.case, Context.TOP, self.case, self._top)
        try:
            if reason := self.case.settings.why_not(self.case.script.source.text):
                raise Skip(reason)
            whole = self.case.script.source.whole()
            prepare(whole, Context.TOP)
            await play(scope, whole)
        except Skip as skip:
            self._skipped = str(skip)
        self._end()
        for actor in self.case.leaving_order():
            await self._reset(actor)

    def _end(self) -> None:
        if not self.case.stopping:
            self.case.stopping = True
            self._top.line(1, f"RESETTING after {self.case.script.name}")

    async def _reset(self, actor: Actor) -> None:
        try:
            await actor.reset()
        except Failure as failure:
            self.case.remove(actor)
            self.case.record(actor.log, failure, actor.position)
            raise
        self.case.remove(actor)

    async def _reset_after_failure(self) -> None:
        """Reset the actors that an early end of the script has left."""
        self._end()
        for actor in self.case.leaving_order():
            with contextlib.suppress(Failure):  # recorded, and it may not be the first one
                await self._reset(actor)
        verdict = "FAILED" if self.case.first_failure and not self._skipped else "completed"
        self._top.line(1, f"TEST {self.case.script.name} {verdict}")

    def _record_time_out(self) -> None:
        busy = "\n".join(self.case.places())
        reason = f"timed out after {self.case.settings.seconds_max:g} seconds"
        top = self.case.activities.get("top")
        position = top.position if top else None
        self.case.record(self._top, Failure(reason, position, (Note("waiting", busy),)), None)

    def _record_defect(self, error: Exception) -> None:
        trace = "".join(traceback.format_exception(error))
        failure = Failure(f"defect in the test program: {error!r}", None, (Note("trace", trace),))
        self.case.record(self._top, failure, None)

    def _release(self) -> None:
        for actor in self.case.leaving_order():
            actor.release()
        for child in self.case.children:
            child.release()
        if self.case.children:
            sweep(b"VARNISH_DEFAULT_N=" + self.case.path("default_n"))
        self.case.processor.close()
        if self._kept():
            with open(f"{self.case.directory}/LOG", "w", encoding=ENCODING) as file:
                file.write(self.case.log.render() + render_diag("".join(self.case.diag)) + "\n")
        else:
            shutil.rmtree(self.case.directory, ignore_errors=True)

    def _kept(self) -> bool:
        keep = self.case.settings.keep
        return keep is KeepDirectories.ALL or (
            keep is KeepDirectories.FAILED and self._outcome() is Outcome.FAILED
        )

    def _outcome(self) -> Outcome:
        if self._skipped:
            return Outcome.SKIPPED
        return Outcome.FAILED if self.case.first_failure else Outcome.PASSED

    def _result(self, seconds: float, timed_out: bool) -> Result:
        return Result(
            script=self.case.script,
            outcome=self._outcome(),
            seconds=seconds,
            log=self.case.log,
            diag="".join(self.case.diag),
            failure=self.case.first_failure,
            reason=self._skipped or str(self.case.first_failure or ""),
            timed_out=timed_out,
            checks=self.case.checks,
            directory=self.case.directory if self._kept() else None,
        )


async def _wait(broken: asyncio.Future[None]) -> None:
    await broken
