"""A host of pages that is made for the first request."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine
from typing import Any

from aiohttp import web
from tests.net.helpers import Stand, call, patience, serving, until

from holdfast.net.connection.connection import Connection
from holdfast.net.http.handover import HttpHost
from holdfast.net.http.on_demand import HostOnDemand

REQUEST = b"GET / HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n"


class Making:
    """Makes hosts when it is let, and counts them."""

    def __init__(self) -> None:
        self.begun = 0
        self.may = asyncio.Event()
        self.error: Exception | None = None

    async def make(self) -> HttpHost:
        self.begun += 1
        await self.may.wait()
        if self.error is not None:
            raise self.error
        app = web.Application()
        app.router.add_get("/", self._answer)
        return HttpHost(app)

    async def _answer(self, request: web.Request) -> web.Response:
        return web.Response(text="here it is")


class Before(Stand):
    """Gives its connection to the pages at the first byte."""

    def __init__(self, connection: Connection, host: HostOnDemand) -> None:
        super().__init__(connection)
        self._host = host
        self.told: list[Exception | None] = []

    def received(self, data: bytes) -> None:
        self._host.take_over(self.connection, data, self)

    def lost(self, cause: Exception | None) -> None:
        super().lost(cause)
        self.told.append(cause)


class Setting:
    """A server whose connections are given to pages."""

    def __init__(self, tasks: asyncio.TaskGroup) -> None:
        self.making = Making()
        self.host = HostOnDemand(self.making.make, self._spawn)
        self.handlers: list[Before] = []
        self._tasks = tasks

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        self._tasks.create_task(work)

    def handler(self, connection: Connection) -> Before:
        self.handlers.append(Before(connection, self.host))
        return self.handlers[-1]


@contextlib.asynccontextmanager
async def at_work() -> AsyncIterator[tuple[Setting, Any]]:
    async with asyncio.TaskGroup() as tasks, patience():
        setting = Setting(tasks)
        async with serving(make=setting.handler) as server:
            yield setting, await server.listen("tcp://127.0.0.1:0")
            await setting.host.stop()


async def test_nothing_is_made_without_a_request_and_one_host_serves_all() -> None:
    async with at_work() as (setting, address):
        async with call(address), call(address) as one, call(address) as other:
            assert setting.making.begun == 0
            await one.write(REQUEST)
            await other.write(REQUEST)
            await until(lambda: setting.making.begun == 1)
            setting.making.may.set()
            for caller in (one, other):
                assert (await caller.reader.read()).endswith(b"here it is")
        async with call(address) as later:
            await later.write(REQUEST)
            assert (await later.reader.read()).endswith(b"here it is")
        assert setting.making.begun == 1


async def test_a_request_in_pieces_is_whole() -> None:
    async with at_work() as (setting, address), call(address) as caller:
        await caller.write(REQUEST[:10])
        await until(lambda: setting.making.begun == 1)
        await caller.write(REQUEST[10:])
        setting.making.may.set()
        assert (await caller.reader.read()).endswith(b"here it is")


async def test_who_leaves_meanwhile_is_served_nothing_and_the_handler_before_hears_of_it() -> None:
    async with at_work() as (setting, address):
        async with call(address) as caller:
            await caller.write(REQUEST)
            await until(lambda: setting.making.begun == 1)
            caller.reset()
        setting.making.may.set()
        async with call(address) as other:
            await other.write(REQUEST)
            assert (await other.reader.read()).endswith(b"here it is")
        await until(lambda: all(handler.told for handler in setting.handlers))
        assert [len(handler.told) for handler in setting.handlers] == [1, 1]


async def test_what_fails_ends_those_who_wait_and_the_next_request_tries_again() -> None:
    async with at_work() as (setting, address):
        setting.making.error = OSError("no files")
        async with call(address) as caller:
            await caller.write(REQUEST)
            setting.making.may.set()
            with contextlib.suppress(ConnectionError):
                assert await caller.reader.read() == b""
        setting.making.error = None
        async with call(address) as other:
            await other.write(REQUEST)
            assert (await other.reader.read()).endswith(b"here it is")
        assert setting.making.begun == 2


async def test_a_drain_ends_those_who_wait() -> None:
    async with at_work() as (setting, address), call(address) as caller:
        await caller.write(REQUEST)
        await until(lambda: setting.making.begun == 1)
        setting.handlers[0].connection.drain()
        assert await caller.reader.read() == b""
        setting.making.may.set()
