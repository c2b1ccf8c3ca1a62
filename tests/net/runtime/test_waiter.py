"""The wait that goes on in the call that wakes it."""

from __future__ import annotations

import asyncio

import pytest

from holdfast.net.runtime.waiter import Waiter


async def test_a_task_is_stepped_in_the_call_that_wakes_it() -> None:
    loop = asyncio.get_running_loop()
    waiter = Waiter(loop)
    steps: list[int] = []

    async def walk() -> None:
        for number in range(3):
            await waiter
            steps.append(number)

    seen: list[list[int]] = []

    def wake() -> None:
        for _ in range(2):
            waiter.wake()
            seen.append(list(steps))

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(walk())
        await asyncio.sleep(0)
        loop.call_soon(wake)
        await asyncio.sleep(0)
        assert seen == [[0], [0, 1]]
        waiter.wake()  # from within a task: soon
        assert steps == [0, 1]
    assert steps == [0, 1, 2]
    waiter.wake()  # nobody waits
    assert not waiter.waiting


@pytest.mark.parametrize("wake_too", [False, True])
async def test_a_wait_may_be_cancelled(wake_too: bool) -> None:
    waiter = Waiter(asyncio.get_running_loop())
    ends: list[str] = []

    async def wait() -> None:
        try:
            await waiter
        except asyncio.CancelledError:
            ends.append("cancelled")
            raise

    task = asyncio.get_running_loop().create_task(wait())
    await asyncio.sleep(0)
    task.cancel()
    assert not waiter.cancel()  # once is enough
    if wake_too:
        waiter.wake()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ends == ["cancelled"]
    assert not waiter.cancel()


async def test_the_task_keeps_its_context_and_its_name() -> None:
    waiter = Waiter(asyncio.get_running_loop())
    names: list[str] = []

    async def wait() -> None:
        await waiter
        current = asyncio.current_task()
        assert current is not None
        names.append(current.get_name())

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(wait(), name="walker")
        await asyncio.sleep(0)
        asyncio.get_running_loop().call_soon(waiter.wake)
    assert names == ["walker"]


async def test_a_time_out_ends_a_wait() -> None:
    waiter = Waiter(asyncio.get_running_loop())
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.001):
            await waiter
