"""Tasks that end nothing but themselves: with one that fails, a task group cancels all others."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final

from holdfast.net.log import log_failure

_PAUSE_SECONDS: Final = 1.0


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
