"""The event that one task waits for with a time limit."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from holdfast.net.runtime.timed_event import TimedEvent

AGES = 3600.0


async def test_an_event_that_is_set_is_not_waited_for() -> None:
    event = TimedEvent()
    event.set()
    assert await event.within(AGES)
    assert await event.within(AGES)


async def test_a_wait_ends_when_the_event_is_set() -> None:
    event = TimedEvent()
    async with asyncio.TaskGroup() as tasks:
        wait = tasks.create_task(event.within(AGES))
        await asyncio.sleep(0)
        event.set()
        event.set()
    assert wait.result()


async def test_a_wait_ends_with_its_time() -> None:
    event = TimedEvent()
    assert not await event.within(0.001)
    event.set()
    assert await event.within(0.001)


async def test_an_event_that_is_cleared_is_waited_for_again() -> None:
    event = TimedEvent()
    event.set()
    event.clear()
    assert not event.is_set
    assert not await event.within(0.001)


async def test_a_cancelled_wait_leaves_nothing() -> None:
    event = TimedEvent()
    wait = asyncio.get_running_loop().create_task(event.within(AGES))
    await asyncio.sleep(0)
    wait.cancel()
    with suppress(asyncio.CancelledError):
        await wait
    assert wait.cancelled()
    event.set()
    assert await event.within(AGES)
