"""The overview of a running gateway, as an operator asks for it."""

from __future__ import annotations

import asyncio
from itertools import count
from pathlib import Path
from typing import Any

from tests.backends.test_upstreams import at, bridged
from tests.gateway.admin.asking import administered, told
from tests.gateway.clients import person, v1
from tests.gateway.running import TCP, WS, configured, eventually, serving, staged
from tests.gateway.servers import mud

from holdfast import __version__
from holdfast.gateway.admin.overview import Overviews
from holdfast.gateway.gateway import Gateway


async def overview(gateway: Gateway) -> Any:
    return await told(gateway, "/api/overview")


async def test_of_a_gateway_with_an_application(tmp_path: Path) -> None:
    config = administered(configured(tmp_path, [WS, TCP]))
    async with staged(config) as (gateway, stage), v1(gateway) as client:
        await client.expect("welcome")
        await stage.noted("open")
        await client.say("cmd", c=1, d="look")
        await stage.noted("text", "look")
        await stage.session.text("one")
        await client.texts("one")
        await eventually(lambda: gateway.journal.idle)
        seen = await overview(gateway)
        expected = {
            "node": config.node,
            "version": __version__,
            "status": "ready",
            "draining": False,
            "watch": False,
            "connections": {"websocket": 1},
            "sessions": {"active": 1},
            "viewers": 0,
            "outputs": 1,
            "commands": 1,
            "created": 1,
            "resumed": 0,
            "upstreams": [],
        }
        assert {key: seen[key] for key in expected} == expected
        assert 0 <= seen["counted_seconds"] <= seen["uptime_seconds"]
        assert 0 < seen["commits"]["count"] <= gateway.journal.commits  # more may have followed
        assert seen["commits"]["seconds"] > 0
        (backend,) = seen["backends"]
        assert (backend["kind"], backend["app"]) == ("link", "stage")
        (instance,) = backend["instances"]
        assert (instance["sessions"], instance["serves"], instance["leaving"]) == (1, True, False)
        kinds = {one["address"]: (one["kind"], one["connections"]) for one in seen["listeners"]}
        assert kinds == {
            **{str(address): ("clients", 0) for address in gateway.addresses},
            str(gateway.addresses[0]): ("clients", 1),
            str(gateway.link_address): ("applications", 1),
        }
        assert await told(gateway, "/api/nodes") == {"items": []}  # it has its store alone


async def test_of_upstreams_and_their_breakers(tmp_path: Path) -> None:
    async with mud() as server:
        address = at(server, "telnet")
        async with (
            serving(administered(bridged(tmp_path, address, urls=(TCP,)))) as gateway,
            person(gateway, "tcp"),
        ):
            await server.visit()
            (upstream,) = (await overview(gateway))["upstreams"]
            (one,) = upstream["servers"]
            assert upstream["refused"] == 0
            assert (one["connections"], one["connects"], one["failures"]) == (1, 1, 0)
            assert (one["breaker"], one["up"], one["trouble"]) == ("closed", True, "")
            (pool,) = (each.pool for each in gateway.upstreams.values())
            (target,) = pool.targets
            for _ in range(pool.limits.failures_max):
                target.breaker.failed(gateway.context.runtime.timers.now, 0.5)
            target.breaker.until += 3600  # longer than the question may take
            (upstream,) = (await overview(gateway))["upstreams"]
            (one,) = upstream["servers"]
            assert one["breaker"] == "open"
            assert one["trouble"].startswith("has failed and is tried again in")


async def test_a_count_that_took_long_is_good_for_longer(tmp_path: Path) -> None:
    """Counting all sessions takes a small part of the time, however many ask."""
    async with serving(administered(configured(tmp_path, [TCP], backend="echo"))) as gateway:
        clock = count(100, 10)  # each look at it is ten seconds later: a count takes as long

        overviews = Overviews(gateway._view(), lambda: next(clock), watch=True)
        async with person(gateway, "tcp") as someone:
            await someone.shown_code()
            async with asyncio.TaskGroup() as tasks:
                asked = [tasks.create_task(overviews.make()) for _ in range(5)]
            first = [task.result() for task in asked]
            async with person(gateway, "tcp") as another:
                await another.shown_code()
                again = await overviews.make()
                assert [seen.sessions for seen in (*first, again)] == [{"active": 1}] * 6
                assert len({seen.counted_seconds for seen in (*first, again)}) == 1
                for _ in range(100):
                    next(clock)
                later = await overviews.make()
                assert later.sessions == {"active": 2}
                assert later.counted_seconds > again.counted_seconds + 500
