from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from hypothesis import given
from hypothesis import strategies as st
from tests.net.helpers import Serving, Stand, patience, serving, until
from tests.net.upstream.test_dialler import QUICK, SOMEBODY, dialling, drop, nowhere

from holdfast.core.limits import UpstreamLimits
from holdfast.net.addresses import Address
from holdfast.net.upstream.idle_pool import IdleList, IdlePool

STEPS = st.lists(st.sampled_from(["put", "take", "wait", "expire", "forget"]), max_size=60)


@given(st.integers(1, 4), STEPS)
def test_a_shelf_never_holds_more_nor_gives_what_is_old(count: int, steps: list[str]) -> None:
    idle: IdleList[int] = IdleList(count, 10.0)
    model: list[tuple[int, float]] = []
    now, number = 0.0, 0
    for step in steps:
        match step:
            case "put":
                number += 1
                assert idle.put(number, now) is (len(model) < count)
                if len(model) < count:
                    model.append((number, now))
            case "take":
                fresh = [one for one in model if one[1] + 10.0 > now]
                taken = idle.take(now)
                assert taken == (fresh[-1][0] if fresh else None)
                model = [one for one in model if one[0] != taken]
            case "wait":
                now += 4.0
            case "expire":
                old = [one for one in model if one[1] + 10.0 <= now]
                assert idle.expire(now) == [one[0] for one in old]
                model = [one for one in model if one not in old]
            case _:
                if model:
                    idle.forget(model[0][0])
                    del model[0]
        assert idle.missing == count - len(model)


@contextlib.asynccontextmanager
async def filled_pool(
    *addresses: Address | str, count: int = 2, limits: UpstreamLimits = QUICK
) -> AsyncIterator[IdlePool]:
    async with dialling(*addresses, limits=limits) as dialler, asyncio.TaskGroup() as tasks:
        idle_pool = IdlePool(dialler, count)
        running = tasks.create_task(idle_pool.run())
        try:
            yield idle_pool
        finally:
            running.cancel()


@contextlib.asynccontextmanager
async def one() -> AsyncIterator[tuple[Serving, Address]]:
    async with serving() as server:
        yield server, await server.listen("tcp://127.0.0.1:0")


async def connect(idle_pool: IdlePool) -> Stand:
    made: list[Stand] = []

    def stand(connection: object, target: object) -> Stand:
        made.append(Stand(connection))  # type: ignore[arg-type]
        return made[-1]

    async with patience():
        await idle_pool.connect(stand, SOMEBODY)
    return made[-1]


async def test_who_comes_gets_what_is_ready_and_the_shelf_is_filled_again() -> None:
    async with one() as (server, at), filled_pool(at) as idle_pool:
        await until(lambda: idle_pool.ready == 2)
        stand = await connect(idle_pool)
        assert stand.calls == ["connected"]
        stand.connection.write(b"hello")
        theirs = await server.stand(1)  # the freshest
        await theirs.until(lambda theirs: theirs.data == b"hello")
        await server.stand(2)
        await until(lambda: idle_pool.ready == 2)
        await drop(stand)


async def test_a_greeting_is_kept_for_who_gets_the_connection() -> None:
    async with one() as (server, at), filled_pool(at, count=1) as idle_pool:
        theirs = await server.stand()
        theirs.connection.write(b"220 welcome\r\n")
        await until(lambda: idle_pool.ready == 1 and idle_pool.greeted)
        stand = await connect(idle_pool)
        assert stand.data == b"220 welcome\r\n"
        theirs.connection.write(b"more")
        await stand.until(lambda stand: stand.data.endswith(b"more"))
        await drop(stand)


async def test_what_the_server_ends_is_replaced() -> None:
    async with one() as (server, at), filled_pool(at, count=1) as idle_pool:
        (await server.stand()).connection.close()
        await server.stand(1)
        await until(lambda: idle_pool.ready == 1)
        await drop(await connect(idle_pool))


async def test_without_any_ready_one_is_made() -> None:
    async with one() as (_, at), dialling(at) as dialler:
        await drop(await connect(IdlePool(dialler, 1)))


async def test_what_is_old_is_closed_and_replaced() -> None:
    limits = UpstreamLimits(ready_seconds_max=0.1)
    async with one() as (server, at), filled_pool(at, count=1, limits=limits):
        await (await server.stand()).until_lost()
        await server.stand(1)


async def test_a_server_that_is_gone_does_not_end_it() -> None:
    async with filled_pool(nowhere()) as idle_pool:
        await asyncio.sleep(0.05)
        assert idle_pool.ready == 0


async def test_at_the_end_all_are_closed() -> None:
    async with one() as (server, at):
        async with filled_pool(at) as idle_pool:
            await until(lambda: idle_pool.ready == 2)
        for number in range(2):
            await (await server.stand(number)).until_lost()
