"""A gateway whose sessions are in PostgreSQL."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

import asyncpg
import pytest
from msgspec import structs
from tests.cli.process import program
from tests.gateway.clients import V1, v1, v1_at
from tests.gateway.running import SECONDS, WS, configured, eventually, port, serving
from tests.ports import free_port
from tests.postgresql import Cluster
from websockets.exceptions import ConnectionClosed

from holdfast.core.limits import Limits, StoreLimits
from holdfast.gateway.config import Config
from holdfast.gateway.gateway import Gateway
from holdfast.gateway.store_config import StoreConfig
from holdfast.sessions.records import Stored
from holdfast.sessions.stores.base import StoreBusyError, StoreFencedError

LIMITS = Limits(store=StoreLimits(beat_seconds_max=0.05, busy_seconds_max=SECONDS))

BEAT = "SELECT beat FROM holdfast.node"


class Place:
    """A database, and the configurations of gateways that use it."""

    def __init__(self, cluster: Cluster, database: str, folder: Path) -> None:
        self.cluster = cluster
        self.database = database
        self.folder = folder

    def config(
        self,
        durability: Literal["fast", "durable"] = "fast",
        node: str = "gateway",
        limits: Limits = LIMITS,
        urls: Sequence[str] = (WS,),
    ) -> Config:
        folder = self.folder / node
        folder.mkdir(exist_ok=True)
        config = configured(folder, urls, durability=durability, backend="echo", limits=limits)
        url = self.cluster.url(self.database)
        return structs.replace(config, node=node, store=StoreConfig(url=url))

    async def run(self, statement: str) -> list[Any]:
        return await self.cluster.run(self.database, statement)


async def acknowledged(client: V1) -> None:
    """Wait for the acknowledgement of a command, which may have come before its answer."""
    if not any(message["t"] == "ack" for message in client.got):
        await client.expect("ack")


async def said_one(where: Gateway | int) -> dict[str, Any]:
    """A session of a client that has said "one" at a gateway, or a port. Its `hello`."""
    at = where if isinstance(where, int) else port(where, "ws")
    async with v1_at(at) as client:
        welcome = await client.expect("welcome")
        await client.say("cmd", c=1, d="one")
        await client.expect("text")
        await acknowledged(client)
    return {"token": welcome["token"], "epoch": welcome["epoch"], "last": 0}


async def goes_on(where: Gateway | int, hello: dict[str, Any]) -> None:
    """The client resumes at a gateway, or a port, with all that it has missed."""
    at = where if isinstance(where, int) else port(where, "ws")
    async with v1_at(at, **hello) as client:
        resumed = await client.expect("resumed")
        assert (resumed["from"], resumed["to"], resumed["cin"]) == (1, 1, 1)
        await client.say("cmd", c=2, d="two")
        assert await client.texts("two") == [(1, "one"), (2, "two")]
        await acknowledged(client)


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


async def test_a_gateway_that_takes_up_many_sessions_is_alive_meanwhile(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    beats: set[int] = set()
    restore = Gateway._restore

    async def restore_slowly(gateway: Gateway, stored: Stored) -> None:
        async with asyncio.timeout(SECONDS):
            while len(beats) < 3:
                beats.update(each["beat"] for each in await place.run(BEAT))
        await restore(gateway, stored)

    monkeypatch.setattr(Gateway, "_restore", restore_slowly)
    async with serving(place.config()) as gateway:
        await said_one(gateway)


async def test_a_second_gateway_of_one_name_is_refused(place: Place) -> None:
    async with serving(place.config()) as gateway:
        with pytest.raises(StoreBusyError, match="another gateway has the name 'gateway'"):
            await Gateway(place.config()).run()
        await said_one(gateway)


@pytest.mark.parametrize("durability", ["fast", "durable"])
async def test_outages_that_last_lose_nothing_and_store_nothing_twice(
    place: Place, durability: Literal["fast", "durable"]
) -> None:
    """Commits fail with an unknown outcome: they may be stored, and come again with more."""
    impatient = LIMITS.but(store={"busy_seconds_max": 0.01, "retry_seconds_max": 0.05})
    lines = [(number, str(number)) for number in range(1, 41)]
    async with serving(place.config(durability, limits=impatient)) as gateway, v1(gateway) as it:
        welcome = await it.expect("welcome")
        for number, text in lines:
            await it.say("cmd", c=number, d=text)
            if number % 15 == 0:
                place.cluster.stop(signal.SIGQUIT)
                await eventually(lambda: gateway.journal.broken is not None)
            elif number % 15 == 5 and number > 15:
                await asyncio.to_thread(place.cluster.start)
                await eventually(lambda: gateway.journal.broken is None)
        assert await it.texts(lines[-1][1]) == lines
    assert not [message for message in it.got if message["t"] == "reset"]
    hello = {"token": welcome["token"], "epoch": welcome["epoch"], "last": 0}
    async with serving(place.config(durability)) as gateway, v1(gateway, **hello) as it:
        assert (await it.expect("resumed"))["cin"] == len(lines)
        assert await it.texts(lines[-1][1]) == lines


async def test_a_killed_gateway_s_sessions_are_taken_by_the_next_one(place: Place) -> None:
    url = place.cluster.url(place.database)
    where = free_port()
    config = place.folder / "holdfast.toml"
    config.write_text(
        f'node = "a"\n[store]\nurl = "{url}"\n[[listener]]\nurl = "ws://127.0.0.1:{where}/"\n'
        'backend = "echo"\ndurability = "durable"\n'
    )
    async with program("serve", str(config), folder=place.folder) as it:
        await it.logged("listening for clients")
        async with v1_at(where) as client:
            welcome = await client.expect("welcome")
            await client.say("cmd", c=1, d="one")
            await client.expect("text")
            await acknowledged(client)
            it.send(signal.SIGKILL)
            await client.closed()
        assert await it.ends() == -signal.SIGKILL
    async with serving(place.config("durable", node="b")) as gateway:
        await goes_on(gateway, {"token": welcome["token"], "epoch": welcome["epoch"], "last": 0})


async def test_output_waits_while_the_store_does_not_answer(place: Place) -> None:
    limits = LIMITS.but(store={"lease_seconds_max": 0.5})
    async with serving(place.config(limits=limits)) as gateway, v1(gateway) as client:
        await client.expect("welcome")
        other = await asyncpg.connect(place.cluster.url(place.database))
        try:
            async with other.transaction():
                await other.fetch("SELECT * FROM holdfast.node FOR UPDATE")
                await asyncio.sleep(0.5)  # the lease is over: nothing tells of that
                await client.say("cmd", c=1, d="one")
                (session,) = gateway.manager.sessions.values()
                await eventually(lambda: session.out.top == 1)
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.2):
                        await client.ws.recv()
        finally:
            await other.close()
        assert await client.texts("one") == [(1, "one")]


async def test_a_process_that_was_stopped_says_nothing_for_sessions_that_were_taken(
    place: Place,
) -> None:
    url, port = place.cluster.url(place.database), free_port()
    config = place.folder / "holdfast.toml"
    config.write_text(
        f'node = "a"\n[store]\nurl = "{url}"\n[limits.store]\nlease_seconds_max = 1\n'
        f'beat_seconds_max = 0.1\n[[listener]]\nurl = "ws://127.0.0.1:{port}/"\n'
        'backend = "echo"\ndurability = "fast"\n'
    )
    short = LIMITS.but(store={"lease_seconds_max": 1.0})
    async with program("serve", str(config), folder=place.folder) as it:
        await it.logged("listening for clients")
        async with v1_at(port) as client:
            welcome = await client.expect("welcome")
            await client.say("cmd", c=1, d="one")
            await client.expect("text")
            await acknowledged(client)
            it.send(signal.SIGSTOP)
            await place.run("UPDATE holdfast.node SET host = 'elsewhere'")
            await client.say("cmd", c=2, d="never")
            async with serving(place.config(node="b", limits=short)) as gateway:
                it.send(signal.SIGCONT)
                assert (await client.closed())[0] != 1000
                assert await it.ends() == 1
                assert not [each for each in client.got if each.get("d") == "never"]
                hello = {"token": welcome["token"], "epoch": welcome["epoch"], "last": 0}
                await goes_on(gateway, hello)
    assert "because this one was silent for too long" in it.err
