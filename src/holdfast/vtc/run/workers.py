"""Runs scripts in parallel: one at a time in each of several processes.

A test has to answer its peer within a millisecond. In one process, tests would delay each other
and share one processor.

The parent and a worker communicate over a pipe. The parent sends the number of the next script,
or `None` to stop; the worker answers with a `Result`, or with its current activities when it
was stopped. A closed pipe stops a worker, too, so no worker outlives the parent.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import sys
from collections.abc import Callable, Sequence
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from signal import Signals
from typing import Any, NoReturn

from holdfast.vtc.language.context import Context
from holdfast.vtc.language.errors import Failure
from holdfast.vtc.language.prepare import prepare
from holdfast.vtc.language.script import Script
from holdfast.vtc.run.child import describe
from holdfast.vtc.run.log import Log
from holdfast.vtc.run.results import Outcome, Result, RunSettings
from holdfast.vtc.run.runner import ScriptRunner
from holdfast.vtc.run.signals import ending_signals

_GC_THRESHOLD = 50_000
"""A collection takes milliseconds, and a test makes little garbage."""


class WorkerPool:
    """`jobs` processes that run scripts."""

    def __init__(
        self,
        scripts: Sequence[Script],
        settings: RunSettings,
        on_result: Callable[[Result], None],
        *,
        jobs: int,
        stop_at_failure: bool,
    ) -> None:
        """Start the processes. Call it before there is an event loop."""
        self._scripts = scripts
        self._on_result = on_result
        self._stop_at_failure = stop_at_failure
        self._next = 0
        self._stopping = False
        self._places: list[str] = []
        self._done: asyncio.Event | None = None
        for script in scripts:  # all workers share its imports
            prepare(script.source.whole(), Context.TOP)
        sys.stdout.flush()
        sys.stderr.flush()
        self._workers: list[_Worker] = []
        for _ in range(min(jobs, len(scripts))):
            self._workers.append(_Worker(scripts, settings, self._workers))

    @property
    def running(self) -> list[str]:
        """The names of the scripts that run now."""
        return [self._scripts[w.number].name for w in self._workers if w.number is not None]

    async def run(self) -> list[str]:
        """Run all scripts, or those up to `stop`. Returns where the tests were stopped."""
        loop = asyncio.get_running_loop()
        self._done = asyncio.Event()
        for worker in self._workers:
            loop.add_reader(worker.connection.fileno(), self._read, worker)
            self._feed(worker)
        try:
            await self._done.wait()
        finally:
            for worker in list(self._workers):
                self._end(worker)
        return self._places

    def stop(self) -> None:
        """End the tests that run; no other begins."""
        if not self._stopping:
            self._stopping = True
            for worker in list(self._workers):
                worker.send(None)

    def _feed(self, worker: _Worker) -> None:
        """Give a worker its next script, or none."""
        if self._stopping or self._next == len(self._scripts):
            worker.number = None
            worker.send(None)
            return
        worker.number = self._next
        self._next += 1
        worker.send(worker.number)

    def _read(self, worker: _Worker) -> None:
        try:
            message = worker.connection.recv()
        except (EOFError, OSError):
            self._lost(worker)
            return
        if isinstance(message, Result):
            self._take(worker, message)
        else:
            self._places += message
            self._end(worker)

    def _take(self, worker: _Worker, result: Result) -> None:
        if self._stopping:
            return  # the test's end crossed our word to stop
        self._on_result(result)
        if result.outcome is Outcome.FAILED and self._stop_at_failure:
            worker.number = None
            self.stop()
        else:
            self._feed(worker)

    def _lost(self, worker: _Worker) -> None:
        """A worker has died: its test fails, and all remaining tests if it was the last worker."""
        number, status = worker.number, self._end(worker)
        if self._stopping:
            return
        numbers = [] if number is None else [number]
        if not self._workers:
            numbers += range(self._next, len(self._scripts))
        for lost in numbers:
            text = f"the process that runs the tests has died: {describe(status)}"
            self._on_result(_failed(self._scripts[lost], text))

    def _end(self, worker: _Worker) -> int:
        """Take a worker out and reap it. Returns its wait status."""
        self._workers.remove(worker)
        asyncio.get_running_loop().remove_reader(worker.connection.fileno())
        worker.connection.close()  # it stops when it reads that
        _, status = os.waitpid(worker.pid, 0)
        if not self._workers and self._done is not None:
            self._done.set()
        return status


def _failed(script: Script, text: str) -> Result:
    failure = Failure(text)
    failure.actor = "top"
    return Result(
        script=script,
        outcome=Outcome.FAILED,
        seconds=0.0,
        log=Log(),
        diag="",
        failure=failure,
        reason=text,
        timed_out=False,
        checks=[],
        directory=None,
    )


class _Worker:
    """The parent's end of a worker process."""

    def __init__(
        self, scripts: Sequence[Script], settings: RunSettings, others: Sequence[_Worker]
    ) -> None:
        self.connection, theirs = Pipe()
        self.number: int | None = None
        """The script that it runs."""
        self.pid = os.fork()
        if self.pid == 0:
            self.connection.close()
            for other in others:
                other.connection.close()
            _work(theirs, scripts, settings)
        theirs.close()

    def send(self, number: int | None) -> None:
        """Tell the worker what to do; a dead one is noticed by reading."""
        with contextlib.suppress(OSError):
            self.connection.send(number)


def _work(connection: Connection, scripts: Sequence[Script], settings: RunSettings) -> NoReturn:
    """A worker's whole life."""
    status = 1
    try:
        gc.freeze()
        gc.set_threshold(_GC_THRESHOLD)
        work = _Work(connection, scripts, settings)
        asyncio.run(work.run())
        status = 0
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


class _Work:
    """The main function of a worker."""

    def __init__(
        self, connection: Connection, scripts: Sequence[Script], settings: RunSettings
    ) -> None:
        self._connection = connection
        self._scripts = scripts
        self._settings = settings
        self._orders: asyncio.Queue[int | None] = asyncio.Queue()
        self._ending = ending_signals()  # asyncio.run changes one
        self._runner: ScriptRunner | None = None
        self._stopping = False

    async def run(self) -> None:
        """Run the scripts that the parent requests."""
        loop = asyncio.get_running_loop()
        for number in self._ending:
            loop.add_signal_handler(number, self._signalled, number)
        loop.add_reader(self._connection.fileno(), self._read)
        places: list[str] = []
        while not self._stopping and (order := await self._orders.get()) is not None:
            self._runner = ScriptRunner([self._scripts[order]], self._settings, self._say)
            places = await self._runner.run()
        self._say(places)

    def _say(self, message: Any) -> None:
        with contextlib.suppress(OSError):  # the parent has ended
            self._connection.send(message)

    def _read(self) -> None:
        try:
            order = self._connection.recv()
        except (EOFError, OSError):
            order = None
        self._orders.put_nowait(order)
        if order is None:
            asyncio.get_running_loop().remove_reader(self._connection.fileno())
            self._stop()

    def _signalled(self, number: Signals) -> None:
        """A terminal sends signals to the parent, too; the parent decides."""
        if number is Signals.SIGTERM:
            self._orders.put_nowait(None)
            self._stop()

    def _stop(self) -> None:
        self._stopping = True
        if self._runner is not None:
            self._runner.stop()
