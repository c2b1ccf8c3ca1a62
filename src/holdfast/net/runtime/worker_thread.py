"""A thread that runs one blocking call after the other for an event loop. Hot path.

`run_in_executor` does the same with two futures, a semaphore and three locks for each call.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue
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

    __slots__ = ("_held", "_name", "_queue", "_started")

    def __init__(self, name: str) -> None:
        self._name = name
        self._queue: SimpleQueue[_Work | None] = SimpleQueue()
        self._held: list[_Work | None] = []
        """What was taken from the queue and not run."""
        self._started = False

    async def run(self, call: Callable[[*Ts], T], *args: *Ts) -> T:
        """Return what `call` returns, or raise what it raises.

        A call that is waiting or running is not stopped by the cancellation of its caller.
        """
        if not self._started:
            self._started = True
            Thread(target=self._work, name=self._name, daemon=True).start()
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._queue.put((future, call, args))
        return await future

    def stop(self) -> None:
        """Let the thread end after the calls so far. No call may follow."""
        self._queue.put(_END)

    def run_waiting(self, last: Callable[..., Any]) -> bool:
        """From a long call, run the calls that wait, up to one of `last`.

        Returns false if that one waits, or the end of the thread: the long call has to end.
        """
        while not self._held:
            try:
                work = self._queue.get_nowait()
            except Empty:
                return True
            if work is _END or work[1] == last:
                self._held.append(work)
            else:
                _run(*work)
        return False

    def _work(self) -> None:
        while (work := self._held.pop() if self._held else self._queue.get()) is not _END:
            _run(*work)
            del work  # nothing is kept until the next call


def _run(future: asyncio.Future[Any], call: Callable[..., Any], args: tuple[Any, ...]) -> None:
    try:
        result, error = call(*args), None
    except BaseException as raised:
        result, error = None, raised
    with suppress(RuntimeError):  # the loop is closed: nobody waits
        future.get_loop().call_soon_threadsafe(_end, future, result, error)


def _end(future: asyncio.Future[Any], result: object, error: BaseException | None) -> None:
    if future.done():  # its caller was cancelled
        return
    if error is None:
        future.set_result(result)
    else:
        future.set_exception(error)
