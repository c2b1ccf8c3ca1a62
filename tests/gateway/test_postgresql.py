"""A gateway whose sessions are in PostgreSQL."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

import pytest
import pytest_asyncio
from msgspec import structs
from tests.gateway.clients import v1
from tests.gateway.running import SECONDS, WS, configured, serving
from tests.postgresql import Cluster
from websockets.exceptions import ConnectionClosed

from holdfast.core.limits import Limits, StoreLimits
from holdfast.gateway.config import Config
from holdfast.gateway.gateway import Gateway
from holdfast.gateway.store_config import StoreConfig
from holdfast.sessions.stores.base import StoreBusyError, StoreFencedError

LIMITS = Limits(store=StoreLimits(beat_seconds_max=0.05, busy_seconds_max=SECONDS))


class Place:
    """A database, and the configurations of gateways that use it."""

    def __init__(self, cluster: Cluster, database: str, folder: Path) -> None:
        self.cluster = cluster
        self.database = database
        self.folder = folder

    def config(
        self, durability: Literal["fast", "durable"] = "fast", node: str = "gateway"
    ) -> Config:
        config = configured(self.folder, [WS], durability=durability, backend="echo", limits=LIMITS)
        url = self.cluster.url(self.database)
        return structs.replace(config, node=node, store=StoreConfig(url=url))

    async def run(self, statement: str) -> list[Any]:
        return await self.cluster.run(self.database, statement)


@pytest_asyncio.fixture
async def place(postgresql: Cluster, tmp_path: Path) -> AsyncIterator[Place]:
    database = await postgresql.empty_database()
    yield Place(postgresql, database, tmp_path)
    await postgresql.give_back(database)


async def said_one(gateway: Gateway) -> dict[str, Any]:
    """A session of a client that has said "one". Its `hello`."""
    async with v1(gateway) as client:
        welcome = await client.expect("welcome")
        await client.say("cmd", c=1, d="one")
        await client.expect("text")
        await client.expect("ack")
    return {"token": welcome["token"], "epoch": welcome["epoch"], "last": 0}


async def goes_on(gateway: Gateway, hello: dict[str, Any]) -> None:
    """The client resumes with all that it has missed."""
    async with v1(gateway, **hello) as client:
        resumed = await client.expect("resumed")
        assert (resumed["from"], resumed["to"], resumed["cin"]) == (1, 1, 1)
        await client.say("cmd", c=2, d="two")
        assert await client.texts("two") == [(1, "one"), (2, "two")]
        await client.expect("ack")


async def test_a_session_waits_for_its_client_while_the_gateway_restarts(place: Place) -> None:
    async with serving(place.config()) as gateway:
        hello = await said_one(gateway)
    async with serving(place.config()) as gateway:
        assert gateway.manager.total == 1
        await goes_on(gateway, hello)


async def test_another_gateway_takes_over_what_an_ended_one_has_left(place: Place) -> None:
    async with serving(place.config(node="a")) as gateway:
        hello = await said_one(gateway)
    async with serving(place.config(node="b")) as gateway:
        await goes_on(gateway, hello)


async def test_a_durable_session_waits_while_the_server_restarts(place: Place) -> None:
    async with serving(place.config("durable")) as gateway, v1(gateway) as client:
        welcome = await client.expect("welcome")
        place.cluster.stop(signal.SIGQUIT)
        await client.say("cmd", c=1, d="one")
        await asyncio.to_thread(place.cluster.start)
        assert await client.texts("one") == [(1, "one")]
        await client.say("cmd", c=2, d="two")
        assert await client.texts("two") == [(2, "two")]
    assert not [message for message in client.got if message["t"] in ("reset", "bye")][:-1]
    hello = {"token": welcome["token"], "epoch": welcome["epoch"], "last": 1}
    async with serving(place.config("durable")) as gateway, v1(gateway, **hello) as client:
        await client.expect("resumed")
        assert await client.texts("two") == [(2, "two")]


async def test_a_gateway_whose_sessions_were_taken_ends(place: Place) -> None:
    gateway, started = Gateway(place.config("durable")), asyncio.Event()

    async def ends_fenced() -> None:
        with pytest.raises(StoreFencedError, match="because this one was silent for too long"):
            await gateway.run(started.set)

    async with asyncio.timeout(SECONDS), asyncio.TaskGroup() as tasks:
        running = tasks.create_task(ends_fenced())
        await started.wait()
        async with v1(gateway) as client:
            await client.expect("welcome")
            await place.run("UPDATE holdfast.node SET fenced = true")
            with suppress(ConnectionClosed):  # a sign of life may have been refused before
                await client.say("cmd", c=1, d="never answered")
            await client.closed()
        await running
    assert not [message for message in client.got if message["t"] in ("text", "ack")]


async def test_a_second_gateway_of_one_name_is_refused(place: Place) -> None:
    async with serving(place.config()) as gateway:
        with pytest.raises(StoreBusyError, match="another gateway has the name 'gateway'"):
            await Gateway(place.config()).run()
        await said_one(gateway)
