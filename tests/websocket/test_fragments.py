"""Messages in fragments, while others send too (RFC 6455 section 5.4)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from tests.websocket.helpers import opened, patience, until, url

from holdfast.core.limits import Limits
from holdfast.websocket import ConnectionClosed, ServerWebSocket, broadcast, connect, serve


class Parts:
    """A message whose second part waits."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.go_on = asyncio.Event()

    async def __aiter__(self) -> AsyncIterator[str]:
        yield "part one, "
        self.begun.set()
        await self.go_on.wait()
        yield "part two"


async def test_others_wait_for_the_end_of_a_message_in_fragments() -> None:
    parts, second = Parts(), Parts()
    second.go_on.set()

    async def handler(ws: ServerWebSocket) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(ws.send(parts))
            await parts.begun.wait()
            tasks.create_task(ws.send("a notice"))
            tasks.create_task(ws.send(second))
            tasks.create_task(ws.send(b"bytes"))
            await asyncio.sleep(0)
            assert broadcast([ws], "to all") == []
            await ws.ping()
            parts.go_on.set()

    async with serve(handler) as server, connect(url(server)) as ws, patience():
        got = [message async for message in ws]
    assert got[:2] == ["part one, part two", "to all"]
    assert sorted(map(str, got[2:])) == sorted(["a notice", "part one, part two", "b'bytes'"])


async def test_a_message_that_is_not_finished_lets_the_others_hear_of_the_end() -> None:
    parts = Parts()
    heard: list[BaseException] = []

    async def say(ws: ServerWebSocket) -> None:
        try:
            await ws.send("a notice")
        except ConnectionClosed as error:
            heard.append(error)

    async def handler(ws: ServerWebSocket) -> None:
        async with asyncio.TaskGroup() as tasks:
            sending = tasks.create_task(ws.send(parts))
            await parts.begun.wait()
            tasks.create_task(say(ws))
            assert broadcast([ws], "to all") == []
            await asyncio.sleep(0)
            sending.cancel()

    async with serve(handler) as server, connect(url(server)) as ws, patience():
        with pytest.raises(ConnectionClosed) as caught:
            await ws.recv()
        assert caught.value.code == 1011
        await until(lambda: bool(heard))


async def test_who_waits_behind_a_message_hears_that_the_client_is_gone() -> None:
    parts = Parts()
    heard = asyncio.Event()

    async def handler(ws: ServerWebSocket) -> None:
        async with asyncio.TaskGroup() as tasks:
            sending = tasks.create_task(ws.send(parts))
            await parts.begun.wait()
            try:
                await ws.send("a notice")
            except ConnectionClosed:
                heard.set()
            sending.cancel()

    async with serve(handler) as server, patience(), opened(server) as caller:
        await parts.begun.wait()
        caller.reset()
        await heard.wait()


async def test_broadcasts_that_wait_are_bounded() -> None:
    parts = Parts()
    limits = Limits().but(connection={"write_buffer_bytes_max": 1000})
    left_out: list[int] = []

    async def handler(ws: ServerWebSocket) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(ws.send(parts))
            await parts.begun.wait()
            left_out.extend(len(broadcast([ws], "x" * 100)) for _ in range(20))
            parts.go_on.set()

    async with serve(handler, limits=limits) as server, connect(url(server)) as ws, patience():
        got = [message async for message in ws]
    assert left_out == [0] * 10 + [1] * 10
    assert got == ["part one, part two"] + ["x" * 100] * 10
