"""A wait of one task, which continues in the call that wakes it. Hot path.

A future wakes its task in the next pass of the event loop, which costs more than handling a
small message. A task can await a `Waiter` instead (it has the few methods that a task needs of
a future); it steps the task at once, unless another task is running.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from contextvars import Context
from typing import Any


class Waiter:
    """Awaited by one task at a time, any number of times. May wake it without cause."""

    __slots__ = ("_asyncio_future_blocking", "_callback", "_cancelled", "_context", "_loop")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._callback: Callable[[Waiter], object] | None = None
        self._context: Context | None = None
        self._cancelled = False
        self._asyncio_future_blocking = False

    @property
    def waiting(self) -> bool:
        """Whether a task waits."""
        return self._callback is not None

    def wake(self) -> None:
        """Let the task go on: now, or soon if this is called from within a task."""
        if self._callback is None or self._cancelled:
            return
        if asyncio.current_task(self._loop) is None:
            self._step()
        else:
            self._loop.call_soon(self._step)

    def _step(self) -> None:
        callback, context = self._callback, self._context
        if callback is not None:
            assert context is not None
            self._callback = self._context = None
            context.run(callback, self)

    def __await__(self) -> Generator[Any, None, None]:
        self._cancelled = False
        self._asyncio_future_blocking = True
        yield self

    # --- what a task asks of a future

    def get_loop(self) -> asyncio.AbstractEventLoop:
        return self._loop

    def add_done_callback(self, callback: Callable[[Any], object], *, context: Context) -> None:
        self._callback = callback
        self._context = context

    def cancel(self, msg: object = None) -> bool:
        if self._callback is None or self._cancelled:
            return False
        self._cancelled = True
        self._loop.call_soon(self._step)
        return True

    def result(self) -> None:
        if self._cancelled:
            raise asyncio.CancelledError
