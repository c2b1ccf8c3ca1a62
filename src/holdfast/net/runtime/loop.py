"""Which event loop runs: uvloop where it is installed, asyncio's own otherwise."""

from __future__ import annotations

import asyncio
import ctypes
import gc
import resource
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final, TypeVar

T = TypeVar("T")

# malloc.h of glibc
_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_THRESHOLD: Final = -3
_MAPPED_BYTES_MIN: Final = 8 * 1024 * 1024
_KEPT_BYTES_MAX: Final = 32 * 1024 * 1024

new_event_loop: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop
try:
    import uvloop

    new_event_loop = uvloop.new_event_loop
except ImportError:
    pass


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run `main` to its end in a fresh event loop, with all the files that are allowed."""
    allow_files()
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        return runner.run(main)


def allow_files() -> None:
    """Raise the soft limit on open files to the hard one: each client takes a file.

    The soft one is often 1,024, for the sake of `select()`, which we do not use.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


@contextmanager
def unwrapped() -> Iterator[None]:
    """Raise the only error of a task group itself, not the group that wraps it."""
    try:
        yield
    except BaseExceptionGroup as group:
        error: BaseException = group
        while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
            error = error.exceptions[0]
        raise error from error.__cause__  # the group is no cause


async def done_within(work: Coroutine[Any, Any, object], seconds: float) -> bool:
    """Wait at most `seconds` for `work`; what is not done by then is cancelled. Whether it was.

    For the end of things: it works in a task that is being cancelled, too, where
    `asyncio.timeout` ends nothing in the first releases of Python 3.11.
    """
    try:
        await asyncio.wait_for(work, seconds)  # noqa: TID251 - as said above
    except TimeoutError:
        return False
    return True


def is_cancelled(error: BaseException) -> bool:
    """Whether `error` ends this task because somebody asked that.

    A task that awaits one that was cancelled gets the same exception, and goes on.
    """
    task = asyncio.current_task()
    return isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling() > 0


def calm_collector() -> None:
    """Once a long-running program has started: keep the garbage collector off what stays.

    Connections and sessions are many and live long; looking through all of them
    for cycles every few hundred objects would cost more than serving them.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)
    _keep_freed_memory()


@contextmanager
def quiet_collector() -> Iterator[None]:
    """Keep the garbage collector from looking at what is made meanwhile, again and again.

    For reading very many objects that stay: it would take more time than the reading.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _keep_freed_memory() -> None:
    """Let the C library reuse the memory of large messages.

    It would otherwise map each one anew, whose page faults cost as much as all
    the rest of handling 1 MiB. Where its allocator is another one, nothing is done.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return
    mallopt(_M_MMAP_THRESHOLD, _MAPPED_BYTES_MIN)
    mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES_MAX)
