"""Several gateways on one PostgreSQL database: a client comes back at any of them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Literal

import pytest
import pytest_asyncio
from tests.gateway.clients import v1
from tests.gateway.running import serving
from tests.gateway.test_postgresql import Place, acknowledged, goes_on, said_one
from tests.postgresql import Cluster

Durability = Literal["fast", "durable"]


@pytest_asyncio.fixture
async def place(postgresql: Cluster, tmp_path: Path) -> AsyncIterator[Place]:
    database = await postgresql.empty_database()
    yield Place(postgresql, database, tmp_path)
    await postgresql.give_back(database)


@pytest.mark.parametrize("durability", ["fast", "durable"])
async def test_a_client_comes_back_at_another_gateway(place: Place, durability: Durability) -> None:
    async with (
        serving(place.config(durability, "a")) as first,
        serving(place.config(durability, "b")) as second,
    ):
        hello = await said_one(first)
        await goes_on(second, hello)
        assert (first.manager.total, second.manager.total) == (0, 1)
        assert (first.manager.counts.moved_out, second.manager.counts.moved_in) == (1, 1)


async def test_a_session_moves_there_and_back(place: Place) -> None:
    async with serving(place.config(node="a")) as first, serving(place.config(node="b")) as second:
        hello = await said_one(first)
        for number in range(2, 8):
            gateway = second if number % 2 == 0 else first
            async with v1(gateway, **hello) as client:
                resumed = await client.expect("resumed")
                assert resumed["cin"] == number - 1
                assert resumed["epoch"] == hello["epoch"]  # a move ends no epoch
                await client.say("cmd", c=number, d=f"{number}")
                await client.texts(f"{number}")
                await acknowledged(client)
                hello |= {"token": resumed["token"], "last": number}


async def test_the_newer_of_two_connections_of_a_client_has_the_session(place: Place) -> None:
    async with (
        serving(place.config(node="a")) as first,
        serving(place.config(node="b")) as second,
        v1(first) as client,
    ):
        welcome = await client.expect("welcome")
        hello = {"token": welcome["token"], "epoch": welcome["epoch"], "last": 0}
        async with v1(second, **hello) as newer:
            await newer.expect("resumed")
            assert (await client.closed())[0] == 4001
            await newer.say("cmd", c=1, d="one")
            assert await newer.texts("one") == [(1, "one")]


async def test_a_token_without_a_session_is_refused_at_once(place: Place) -> None:
    async with serving(place.config(node="a")) as first, serving(place.config(node="b")) as second:
        hello = await said_one(first)
        wrong = hello["token"][:-2] + ("AA" if hello["token"][-2:] != "AA" else "BB")
        async with v1(second, **hello | {"token": wrong}) as client:
            await client.expect("refused")
        assert first.manager.total == 1


async def test_a_gateway_that_ends_leaves_its_sessions_to_the_others(place: Place) -> None:
    async with serving(place.config(node="b")) as second:
        async with serving(place.config(node="a")) as first:
            hello = await said_one(first)
        await goes_on(second, hello)
        assert second.manager.counts.adopted == 1
