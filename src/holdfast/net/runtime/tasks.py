"""Tasks that end nothing but themselves: with one that fails, a task group cancels all others."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final

from holdfast.net.log import log_failure

_PAUSE_SECONDS: Final = 1.0


def spawn(
    tasks: asyncio.TaskGroup,
    work: Coroutine[Any, Any, None],
    failed: Callable[[Exception], None],
) -> asyncio.Task[None] | None:
    """Run `work` in a task of its own: what it raises is given to `failed`, and goes no further.

    `None` if the group is ending: then `work` is not run. A task that is cancelled before its
    first step runs none of its body; `work` is closed then, too.
    """
    body = contained(work, failed)
    try:
        task = tasks.create_task(body)
    except RuntimeError:
        body.close()
        work.close()
        return None
    task.add_done_callback(lambda _: work.close())
    return task


async def contained(work: Awaitable[object], failed: Callable[[Exception], None]) -> None:
    """Await `work`. What it raises is given to `failed`, and goes no further."""
    try:
        await work
    except Exception as error:
        failed(error)


async def restarted(
    make: Callable[[], Awaitable[object]], log: Any, event: str, **fields: object
) -> None:
    """Await what `make` gives; when it fails, log `event` and begin again after a pause."""
    while True:
        try:
            await make()
            return
        except Exception as error:
            log_failure(log, event, error, **fields)
        await asyncio.sleep(_PAUSE_SECONDS)


def consists_of(error: BaseException, kind: type[BaseException]) -> bool:
    """Whether `error` is a `kind`, or a group of nothing else."""
    if isinstance(error, BaseExceptionGroup):
        return all(consists_of(each, kind) for each in error.exceptions)
    return isinstance(error, kind)
