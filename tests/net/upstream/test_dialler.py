"""Connecting to real servers that are there, gone, silent or full."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Iterator
from random import Random

import pytest
import structlog
from tests.net.helpers import Serving, Stand, patience, serving

from holdfast.core.limits import ConnectionLimits, UpstreamLimits
from holdfast.net.addresses import Address, parse_address
from holdfast.net.dial.dial import DialError
from holdfast.net.runtime.runtime import Runtime
from holdfast.net.upstream.balance import Balance
from holdfast.net.upstream.circuit_breaker import BreakerState
from holdfast.net.upstream.dialler import Dialler
from holdfast.net.upstream.pool import NoUpstreamError, UpstreamPool, UpstreamServer
from holdfast.net.upstream.proxy_header import ProxiedClient

SOMEBODY = ProxiedClient("192.0.2.7:4711")
QUICK = UpstreamLimits(
    backoff_seconds_max=0.01,
    check_interval_seconds_max=0.01,
    check_seconds_max=0.5,
    connect_seconds_max=0.5,
)


@contextlib.asynccontextmanager
async def dialling(
    *addresses: Address | str,
    limits: UpstreamLimits = QUICK,
    tls: ssl.SSLContext | None = None,
    proxy_version: int = 0,
) -> AsyncIterator[Dialler]:
    """What connects to these, in turn; whatever it opened is closed."""
    runtime = Runtime(asyncio.get_running_loop())
    runtime.timers.start()
    random = Random(1)
    servers = [UpstreamServer(parse_address(str(address))) for address in addresses]
    pool = UpstreamPool(
        "mud", servers, Balance.ROUND_ROBIN, limits, draw=random.randrange, entropy=random.random
    )
    try:
        yield Dialler(pool, runtime, ConnectionLimits(), tls, proxy_version)
    finally:
        runtime.timers.stop()


async def connect(dialler: Dialler) -> Stand:
    async with patience():
        connection = await dialler.connect(lambda connection, _: Stand(connection), SOMEBODY)
    stand = connection.handler
    assert isinstance(stand, Stand)
    return stand


async def drop(stand: Stand) -> None:
    stand.connection.abort()
    await stand.until_lost()


def nowhere() -> str:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return f"tcp://127.0.0.1:{sock.getsockname()[1]}"


@contextlib.contextmanager
def mute() -> Iterator[str]:
    """A server that lets the kernel accept, and never speaks."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        yield f"tls://127.0.0.1:{sock.getsockname()[1]}"


@contextlib.asynccontextmanager
async def two() -> AsyncIterator[tuple[Serving, list[Address]]]:
    async with serving() as server:
        yield server, [await server.listen("tcp://127.0.0.1:0") for _ in range(2)]


async def test_connections_are_spread_and_counted_and_given_back() -> None:
    async with two() as (_, addresses), dialling(*addresses) as dialler:
        stands = [await connect(dialler) for _ in range(4)]
        first, second = dialler.pool.targets
        assert (first.active, second.active) == (2, 2)
        stands[0].connection.write(b"ping")
        stands[0].connection.flush()
        for stand in stands:
            await drop(stand)
        assert (first.active, second.active) == (0, 0)
        assert (first.connected, first.failed, first.bytes_out) == (2, 0, 4)


async def test_a_server_that_is_gone_is_passed_over() -> None:
    async with two() as (_, addresses), dialling(nowhere(), *addresses) as dialler:
        for _ in range(12):
            await drop(await connect(dialler))
        gone = dialler.pool.targets[0]
        assert gone.failed == QUICK.failures_max
        assert gone.breaker.state is BreakerState.OPEN
        assert sum(target.connected for target in dialler.pool.targets) == 12


async def test_when_every_attempt_fails_the_last_cause_is_told() -> None:
    limits = UpstreamLimits(attempts_max=3, failures_max=100, backoff_seconds_max=0.01)
    async with dialling(nowhere(), limits=limits) as dialler:
        with pytest.raises(DialError, match=r"^tcp://127\.0\.0\.1:\d+: .*(refused|failed)"):
            await connect(dialler)
        (target,) = dialler.pool.targets
        assert (target.failed, target.active) == (3, 0)


async def test_a_broken_circuit_ends_the_attempts_and_refuses_the_next_at_once() -> None:
    async with dialling(nowhere()) as dialler:
        with pytest.raises(DialError):
            await connect(dialler)
        (target,) = dialler.pool.targets
        assert target.failed == QUICK.failures_max
        with pytest.raises(NoUpstreamError, match=r"no server can be used: .* again"):
            await connect(dialler)
        assert target.failed == QUICK.failures_max  # nobody was asked


async def test_a_server_that_says_nothing_is_given_up() -> None:
    limits = UpstreamLimits(connect_seconds_max=0.05, attempts_max=1)
    with mute() as address:
        async with dialling(address, limits=limits) as dialler:
            with pytest.raises(DialError, match=r"no answer within 0\.05 s"):
                await connect(dialler)


async def test_all_attempts_together_have_a_limit() -> None:
    limits = UpstreamLimits(dial_seconds_max=0.05)
    with mute() as address:
        async with dialling(address, limits=limits) as dialler:
            with pytest.raises(DialError, match=r"^upstream mud: no answer within 0\.05 s$"):
                await connect(dialler)
            assert dialler.pool.targets[0].active == 0


async def test_cancelling_gives_the_place_back_at_every_step() -> None:
    async with two() as (server, addresses), dialling(addresses[0]) as dialler:
        for step in range(12):
            async with asyncio.TaskGroup() as tasks:
                task = tasks.create_task(
                    dialler.connect(lambda connection, _: Stand(connection), SOMEBODY)
                )
                for _ in range(step):
                    await asyncio.sleep(0)
                task.cancel()
            if not task.cancelled():
                task.result().abort()
        for stand in server.stands:
            if "connected" in stand.calls:
                await stand.until_lost()
        async with patience():
            while dialler.pool.targets[0].active:  # noqa: ASYNC110
                await asyncio.sleep(0)


async def test_checks_find_a_server_that_goes_and_comes_back() -> None:
    async with serving() as server:
        address = await server.listen("tcp://127.0.0.1:0")
        async with dialling(address) as dialler, asyncio.TaskGroup() as tasks:
            (target,) = dialler.pool.targets
            checking = tasks.create_task(dialler.check())
            with structlog.testing.capture_logs() as logs:
                await server.stand(1)  # visited twice
            assert logs == []
            assert target.health.up
            await server.server.close()
            await until_up(target.health, False)
            with pytest.raises(NoUpstreamError, match="is down, by its checks"):
                await connect(dialler)
            async with serving() as again:
                await again.listen(str(address))
                await until_up(target.health, True)
                await drop(await connect(dialler))
            checking.cancel()


async def until_up(health: object, up: bool) -> None:
    async with patience():
        while health.up is not up:  # type: ignore[attr-defined] # noqa: ASYNC110
            await asyncio.sleep(0.005)
