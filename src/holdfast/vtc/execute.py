"""Runs scripts from a plain program, and ends cleanly when a signal comes."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Sequence
from typing import NamedTuple, NoReturn

from holdfast.vtc.results import Result, Settings
from holdfast.vtc.runner import Runner, unblock_child_signals
from holdfast.vtc.script import Script

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interruption(NamedTuple):
    """A signal ended the run before its end."""

    number: signal.Signals
    places: list[str]
    """Where each actor of each running test was."""


def execute(
    scripts: Sequence[Script],
    settings: Settings,
    on_result: Callable[[Result], None],
    *,
    jobs: int = 1,
    stop_at_failure: bool = False,
    on_start: Callable[[Runner], None] = lambda _: None,
) -> Interruption | None:
    """Run the scripts. `on_start` gets the runner, to look at while it runs."""
    unblock_child_signals()
    runner = Runner(settings, on_result, jobs=jobs, stop_at_failure=stop_at_failure)
    on_start(runner)
    heeded = [number for number in _ENDING if _is_heeded(number)]  # asyncio.run changes one
    return asyncio.run(_run(runner, scripts, heeded))


async def _run(
    runner: Runner, scripts: Sequence[Script], heeded: list[signal.Signals]
) -> Interruption | None:
    loop = asyncio.get_running_loop()
    task = asyncio.current_task()
    assert task is not None
    interruptions: list[Interruption] = []

    def interrupt(number: signal.Signals) -> None:
        if not interruptions:
            interruptions.append(Interruption(number, _places(runner)))
            task.cancel()

    for number in heeded:
        loop.add_signal_handler(number, interrupt, number)
    try:
        await runner.run(scripts)
    except asyncio.CancelledError:
        if not interruptions:
            raise
    finally:
        for number in heeded:
            loop.remove_signal_handler(number)
    return interruptions[0] if interruptions else None


def _is_heeded(number: signal.Signals) -> bool:
    """Whether the signal would end this program, had we not come between."""
    return signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler)


def _places(runner: Runner) -> list[str]:
    return [place for case in runner.running for place in case.places()]


def die_of(number: signal.Signals) -> NoReturn:
    """End as the signal would have ended us, so that our parent sees why."""
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
    os._exit(128 + number)
