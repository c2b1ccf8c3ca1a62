"""The thread that runs blocking calls for an event loop."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress

import pytest

from holdfast.net.runtime.worker_thread import WorkerThread


async def test_calls_run_one_after_the_other_in_the_thread() -> None:
    worker = WorkerThread("test-worker")
    seen: list[tuple[int, str]] = []

    def call(number: int) -> int:
        seen.append((number, threading.current_thread().name))
        return number * 2

    async with asyncio.TaskGroup() as tasks:
        calls = [tasks.create_task(worker.run(call, number)) for number in range(20)]
    assert [each.result() for each in calls] == [number * 2 for number in range(20)]
    assert seen == [(number, "test-worker") for number in range(20)]
    worker.stop()


@pytest.mark.parametrize("error", [ValueError("no"), SystemExit(3)], ids=repr)
async def test_an_exception_is_raised_where_the_result_is_awaited(error: BaseException) -> None:
    worker = WorkerThread("test-worker")

    def fail() -> None:
        raise error

    with pytest.raises(type(error)) as caught:
        await worker.run(fail)
    assert caught.value is error
    assert await worker.run(str, 1) == "1"
    worker.stop()


async def test_a_call_goes_on_when_its_caller_is_cancelled() -> None:
    worker = WorkerThread("test-worker")
    begun, may_end = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()
    ended: list[int] = []

    def call() -> None:
        loop.call_soon_threadsafe(begun.set)
        may_end.wait(30)
        ended.append(1)

    task = loop.create_task(worker.run(call))
    await begun.wait()
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    may_end.set()
    assert await worker.run(lambda: list(ended)) == [1]
    worker.stop()


async def test_the_thread_ends_after_the_calls_so_far() -> None:
    worker = WorkerThread("test-worker")
    thread = await worker.run(threading.current_thread)
    last = asyncio.get_running_loop().create_task(worker.run(str, 2))
    await asyncio.sleep(0)
    worker.stop()
    assert await last == "2"
    thread.join(30)
    assert not thread.is_alive()


def test_a_call_whose_event_loop_has_ended_is_no_fault() -> None:
    worker = WorkerThread("test-worker")
    may_end = threading.Event()

    async def leave() -> threading.Thread:
        thread = await worker.run(threading.current_thread)
        asyncio.get_running_loop().create_task(worker.run(may_end.wait, 30))
        await asyncio.sleep(0)
        return thread

    thread = asyncio.run(leave())
    may_end.set()
    worker.stop()
    thread.join(30)
    assert not thread.is_alive()


async def test_a_long_call_lets_others_go_first_up_to_the_one_that_ends_it() -> None:
    worker = WorkerThread("test-worker")
    ran: list[str] = []
    begun, queued = threading.Event(), threading.Event()

    def end() -> None:
        ran.append("end")

    def work() -> list[bool]:
        begun.set()
        assert queued.wait(30)
        went = [worker.run_waiting(end), worker.run_waiting(end)]
        ran.append("long")
        return went

    async with asyncio.TaskGroup() as tasks:
        long = tasks.create_task(worker.run(work))
        await asyncio.to_thread(begun.wait, 30)
        tasks.create_task(worker.run(ran.append, "first"))
        tasks.create_task(worker.run(end))
        tasks.create_task(worker.run(ran.append, "after"))
        await asyncio.sleep(0)  # they are in the queue
        queued.set()
        assert await long == [False, False]
    assert ran == ["first", "long", "end", "after"]
    worker.stop()
