"""Gateways on one PostgreSQL database that fail as processes: killed, stopped, cut off."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import pytest
from tests.cli.process import program
from tests.gateway.admin.asking import administered
from tests.gateway.clients import V1, v1, v1_at
from tests.gateway.relay import relay_to
from tests.gateway.running import SECONDS, serving
from tests.gateway.test_cluster import PATIENT, hurry
from tests.gateway.test_metrics import scraped
from tests.gateway.test_postgresql import Place, acknowledged, goes_on, said_one
from tests.ports import free_port
from websockets.exceptions import ConnectionClosed

from holdfast.core.clock import monotonic

Durability = Literal["fast", "durable"]

CLOCK = """
import os, time
real = time.time
def read():
    with open(os.environ["AHEAD"]) as file:
        return float(file.read() or 0)
time.time = lambda: real() + read()
"""
"""A wall clock that is ahead by the seconds in a file, for a process whose path has it."""


def configuration(
    place: Place,
    node: str,
    where: int,
    durability: str,
    *,
    url: str = "",
    lease: int = 1,
    busy: float = 2.0,
) -> Path:
    """The configuration of a node with one listener, at the port `where`."""
    path = place.folder / f"{node}.toml"
    path.write_text(
        f'node = "{node}"\n[store]\nurl = "{url or place.cluster.url(place.database)}"\n'
        f"[limits.store]\nlease_seconds_max = {lease}\nbeat_seconds_max = 0.1\n"
        f"claim_seconds_max = {SECONDS}\nbusy_seconds_max = {busy}\n"
        f'[[listener]]\nurl = "ws://127.0.0.1:{where}/"\nbackend = "echo"\n'
        f'durability = "{durability}"\n'
    )
    return path


# --- a node is killed


@pytest.mark.parametrize(("durability", "seen"), [("fast", "at once"), ("durable", "by its lease")])
async def test_clients_of_a_killed_gateway_go_on_at_another_one(
    place: Place, durability: Durability, seen: str
) -> None:
    where = free_port()
    path = configuration(place, "a", where, durability)
    async with (
        serving(administered(place.config(durability, "b", PATIENT))) as second,
        program("serve", str(path), folder=place.folder) as it,
    ):
        await it.logged("listening for clients")
        hello = await said_one(where)
        if seen == "by its lease":
            await place.run("UPDATE holdfast.node SET host = 'elsewhere' WHERE name = 'a'")
        it.send(signal.SIGKILL)
        await it.ends()
        if seen == "by its lease":
            hurry(second)
        await goes_on(second, hello)
        assert (await scraped(second))["holdfast_nodes_fenced_total"] == 1


async def test_a_killed_gateway_that_starts_again_at_once_fences_its_own_earlier_run(
    place: Place,
) -> None:
    """It does not wait for the lease: on its own machine, it sees that the process is gone."""
    where = free_port()
    path = configuration(place, "a", where, "durable", lease=3600)
    async with program("serve", str(path), folder=place.folder) as it:
        await it.logged("listening for clients")
        hello = await said_one(where)
        it.send(signal.SIGKILL)
        assert await it.ends() == -signal.SIGKILL
    async with program("serve", str(path), folder=place.folder) as it:
        await it.logged("listening for clients")
        await goes_on(where, hello)
        (fenced,) = await it.logged("run of a gateway fenced")
        assert fenced["node"] == "a"


# --- a node is stopped, and awakes


class Heard(NamedTuple):
    """Something that a client was sent for its session."""

    sid: str
    generation: int
    """Of the session's owner that has sent it."""
    at: float


async def listen(client: V1, sid: str, generation: int, heard: list[Heard]) -> None:
    """Note what comes, until the connection is closed."""
    with contextlib.suppress(ConnectionClosed):
        while True:
            await client.ws.recv()
            heard.append(Heard(sid, generation, monotonic()))


def overlaps(heard: Sequence[Heard]) -> list[str]:
    """The sessions of which an earlier owner has said something after a later one."""
    by_sid: dict[str, list[int]] = {}
    for each in sorted(heard, key=lambda each: each.at):
        by_sid.setdefault(each.sid, []).append(each.generation)
    return [sid for sid, generations in by_sid.items() if generations != sorted(generations)]


async def test_no_session_has_output_of_two_gateways_when_one_was_stopped_and_awakes(
    place: Place,
) -> None:
    where, heard, hellos = free_port(), list[Heard](), dict[str, dict[str, object]]()
    path = configuration(place, "a", where, "fast")
    async with (
        contextlib.AsyncExitStack() as clients,
        asyncio.TaskGroup() as tasks,
        serving(place.config("fast", "b", PATIENT)) as second,
        program("serve", str(path), folder=place.folder) as it,
    ):
        await it.logged("listening for clients")
        connected = [await clients.enter_async_context(v1_at(where)) for _ in range(4)]
        for client in connected:
            welcome = await client.expect("welcome")
            await client.say("cmd", c=1, d="one")
            await client.expect("text")
            await acknowledged(client)
            sid = str(welcome["sid"])
            hellos[sid] = {"token": welcome["token"], "epoch": welcome["epoch"], "last": 0}
            heard.append(Heard(sid, 1, monotonic()))
        it.send(signal.SIGSTOP)
        hearing = [
            tasks.create_task(listen(client, sid, 1, heard))
            for client, sid in zip(connected, hellos, strict=True)
        ]
        for client in connected:
            await client.say("cmd", c=2, d="never")  # it reads that when it is awake
        hurry(second)
        for sid, hello in hellos.items():
            await goes_on(second, hello)
            heard.append(Heard(sid, 2, monotonic()))
        it.send(signal.SIGCONT)
        assert await it.ends() == 1
        await asyncio.wait(hearing)
        owners = await place.run("SELECT sid, gen FROM holdfast.session")
        assert {each["sid"]: each["gen"] for each in owners} == dict.fromkeys(hellos, 2)
    assert len(heard) >= 8
    assert overlaps(heard) == []
    assert "because this one was silent for too long" in it.err


# --- the database


async def test_a_gateway_without_the_database_stops_and_the_others_go_on(place: Place) -> None:
    """Its sessions are taken after the lease; before that, it says nothing any more."""
    where = free_port()
    async with relay_to(place.cluster.port) as relay:
        url = place.cluster.network_url(place.database)
        url = url.replace(str(place.cluster.port), str(relay.port))
        path = configuration(place, "a", where, "fast", url=url, busy=0.1)
        async with (
            serving(place.config("fast", "b", PATIENT)) as second,
            program("serve", str(path), folder=place.folder) as it,
        ):
            await it.logged("listening for clients")
            async with v1_at(where) as client:
                welcome = await client.expect("welcome")
                await client.say("cmd", c=1, d="one")
                await client.expect("text")
                await acknowledged(client)
                relay.open = False
                relay.cut()
                hurry(second)
                hello = {"token": welcome["token"], "epoch": welcome["epoch"], "last": 0}
                await goes_on(second, hello)
                await client.say("cmd", c=2, d="never")
                relay.open = True
                assert await it.ends() == 1
                await client.closed()
            assert not [each for each in client.got if each.get("d") == "never"]


async def test_a_database_that_has_lost_its_last_commits_gets_every_session_again(
    place: Place,
) -> None:
    """A standby takes over that had not got them: a move, and what the client has said since."""
    where, cluster = free_port(), place.cluster
    path = configuration(place, "a", where, "durable", lease=3600, busy=SECONDS)
    async with (
        serving(place.config("durable", "b", PATIENT)) as second,
        program("serve", str(path), folder=place.folder) as it,
    ):
        await it.logged("listening for clients")
        hello = await said_one(second)
        cluster.stop()
        cluster.save()
        await asyncio.to_thread(cluster.start)
        async with v1_at(where, **hello) as client:
            resumed = await client.expect("resumed")
            hello["token"] = resumed["token"]
            await client.say("cmd", c=2, d="two")
            await client.texts("two")
            await acknowledged(client)
            cluster.stop()
            cluster.restore()
            await asyncio.to_thread(cluster.start)
            await client.say("cmd", c=3, d="three")
            await client.texts("three")
        await it.logged("every session is stored again")
        it.send(signal.SIGKILL)
        await it.ends()
        async with v1(second, **hello) as client:
            resumed = await client.expect("resumed")
            assert (resumed["cin"], resumed["to"]) == (3, 3)
            assert await client.texts("three") == [(1, "one"), (2, "two"), (3, "three")]
        assert not [each for each in client.got if each["t"] == "reset"]


# --- two clients, and clocks


async def test_of_two_clients_with_one_token_at_two_nodes_one_is_superseded(place: Place) -> None:
    wheres = [free_port(), free_port()]
    paths = [
        configuration(place, node, where, "durable", lease=3600)
        for node, where in zip("ab", wheres, strict=True)
    ]
    async with (
        program("serve", str(paths[0]), folder=place.folder) as one,
        program("serve", str(paths[1]), folder=place.folder) as two,
    ):
        for it in (one, two):
            await it.logged("listening for clients")
        hello = await said_one(wheres[0])
        async with (
            asyncio.TaskGroup() as tasks,
            v1_at(wheres[0], **hello) as first,
            v1_at(wheres[1], **hello) as second,
        ):
            closing = {tasks.create_task(each.closed()): each for each in (first, second)}
            async with asyncio.timeout(SECONDS):
                (done,), (left,) = await asyncio.wait(closing, return_when=asyncio.FIRST_COMPLETED)
            # The second one's node may have looked for the session before the first one had it.
            expected = (4001, 4506) if closing[done] is second else (4001,)
            assert done.result()[0] in expected
            left.cancel()
            await asyncio.wait([left])
            await closing[left].say("cmd", c=2, d="two")
            await closing[left].texts("two")


async def test_a_wall_clock_that_jumps_ends_nothing(place: Place) -> None:
    where, ahead = free_port(), place.folder / "ahead"
    ahead.write_text("0")
    (place.folder / "sitecustomize.py").write_text(CLOCK)
    environment = {"PYTHONPATH": str(place.folder), "AHEAD": str(ahead)}
    path = configuration(place, "a", where, "durable", lease=3600)
    async with (
        serving(place.config("durable", "b", PATIENT)) as second,
        program("serve", str(path), folder=place.folder, environment=environment) as it,
    ):
        await it.logged("listening for clients")
        hello = await said_one(where)
        ahead.write_text("3600")
        await goes_on(second, hello)
        assert (second.manager.counts.moved_in, second.manager.counts.adopted) == (1, 0)
        it.send(signal.SIGTERM)
        assert await it.ends() == 0
    async with program("serve", str(path), folder=place.folder, environment=environment) as it:
        assert await it.ends() == 1
        await it.over()
    assert "this machine's clock is 3600 s ahead of the server's" in it.err
