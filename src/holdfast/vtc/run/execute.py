"""Runs scripts from a plain program, and ends cleanly when a signal comes."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from holdfast.vtc.language.script import Script
from holdfast.vtc.run.results import Result, RunSettings
from holdfast.vtc.run.runner import ScriptRunner
from holdfast.vtc.run.signals import ending_signals, unblock_child_signals
from holdfast.vtc.run.workers import WorkerPool


class Interruption(NamedTuple):
    """A signal ended the run before its end."""

    number: signal.Signals
    places: list[str]
    """Where each actor of each running test was."""


class Run(Protocol):
    """A run of scripts: in this process, or in several."""

    @property
    def running(self) -> list[str]:
        """The names of the scripts that run now."""

    async def run(self) -> list[str]:
        """Run the scripts. Returns where the actors were when `stop` ended their tests."""

    def stop(self) -> None:
        """End the tests that run; no other begins."""


def execute(
    scripts: Sequence[Script],
    settings: RunSettings,
    on_result: Callable[[Result], None],
    *,
    jobs: int = 1,
    stop_at_failure: bool = False,
    on_start: Callable[[Run], None] = lambda _: None,
) -> Interruption | None:
    """Run the scripts; with several jobs, in as many processes in parallel.

    `on_start` gets the run, to observe it.
    """
    unblock_child_signals()
    heeded = ending_signals()  # asyncio.run changes one
    run: Run
    if jobs == 1 or len(scripts) == 1:
        run = ScriptRunner(scripts, settings, on_result, stop_at_failure=stop_at_failure)
    else:
        run = WorkerPool(scripts, settings, on_result, jobs=jobs, stop_at_failure=stop_at_failure)
    on_start(run)
    return asyncio.run(_run(run, heeded))


async def _run(run: Run, heeded: list[signal.Signals]) -> Interruption | None:
    loop = asyncio.get_running_loop()
    numbers: list[signal.Signals] = []

    def interrupt(number: signal.Signals) -> None:
        numbers.append(number)
        run.stop()

    for number in heeded:
        loop.add_signal_handler(number, interrupt, number)
    try:
        places = await run.run()
    finally:
        for number in heeded:
            loop.remove_signal_handler(number)
    return Interruption(numbers[0], places) if numbers else None
