"""A thread that runs one blocking call after the other for an event loop. Hot path.

`run_in_executor` does the same with two futures, a semaphore and three locks for each call.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from threading import Thread
from typing import Any, Final, TypeVar, TypeVarTuple

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

_Work = tuple[asyncio.Future[Any], Callable[..., Any], tuple[Any, ...]]
_END: Final = None


class WorkerThread:
    """Runs calls in the order in which they are given. The thread starts with the first one.

    It does not keep the process from ending.
    """

    __slots__ = ("_name", "_queue", "_started")

    def __init__(self, name: str) -> None:
        self._name = name
        self._queue: SimpleQueue[_Work | None] = SimpleQueue()
        self._started = False

    async def run(self, call: Callable[[*Ts], T], *args: *Ts) -> T:
        """Return what `call` returns, or raise what it raises.

        A call that is waiting or running is not stopped by the cancellation of its caller.
        """
        if not self._started:
            self._started = True
            Thread(target=_work, args=(self._queue,), name=self._name, daemon=True).start()
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._queue.put((future, call, args))
        return await future

    def stop(self) -> None:
        """Let the thread end after the calls so far. No call may follow."""
        self._queue.put(_END)


def _work(queue: SimpleQueue[_Work | None]) -> None:
    while (work := queue.get()) is not _END:
        future, call, args = work
        try:
            result, error = call(*args), None
        except BaseException as raised:
            result, error = None, raised
        with suppress(RuntimeError):  # the loop is closed: nobody waits
            future.get_loop().call_soon_threadsafe(_end, future, result, error)
        del work, future, call, args, result, error  # nothing is kept until the next call


def _end(future: asyncio.Future[Any], result: object, error: BaseException | None) -> None:
    if future.done():  # its caller was cancelled
        return
    if error is None:
        future.set_result(result)
    else:
        future.set_exception(error)
