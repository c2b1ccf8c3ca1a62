"""Servers behind a program: streams to them, and clients that are passed on."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from tests.net.helpers import call, patience, until
from tests.ports import free_port

from holdfast.core.errors import ClosedError
from holdfast.tcp import (
    Address,
    ConfigurationError,
    DialError,
    InvalidAddressError,
    NoUpstreamError,
    Stream,
    StreamClosedError,
    Upstream,
    UpstreamLimits,
    serve,
)

ANYWHERE = "tcp://127.0.0.1:0"
HURRY = UpstreamLimits(attempts_max=2, backoff_seconds_max=0.01, failures_max=2)


@contextlib.asynccontextmanager
async def named(*names: str) -> AsyncIterator[list[str]]:
    """Servers that say their name, then echo up to the client's end. Their URLs."""

    def handler(name: str) -> Callable[[Stream], Awaitable[None]]:
        async def answer(stream: Stream) -> None:
            await stream.write(name.encode())
            async for data in stream:
                await stream.write(data)

        return answer

    async with contextlib.AsyncExitStack() as stack:
        yield [
            str((await stack.enter_async_context(serve(handler(name), ANYWHERE))).addresses[0])
            for name in names
        ]


@contextlib.asynccontextmanager
async def proxying(upstream: Upstream) -> AsyncIterator[Address]:
    async with upstream, serve(upstream.proxy, ANYWHERE) as server:
        yield server.addresses[0]


def dead() -> str:
    return f"tcp://127.0.0.1:{free_port()}"


async def test_streams_go_to_the_servers_in_turn() -> None:
    async with named("a", "b") as urls, Upstream(*urls) as upstream, patience():
        found = []
        for _ in range(4):
            stream = await upstream.connect()
            found.append(await stream.read(10))
            await stream.write(b"x")
            assert await stream.read(10) == b"x"
            stream.close()
        assert sorted(found) == [b"a", b"a", b"b", b"b"]
        await until(lambda: not any(target.active for target in upstream.targets))
        assert [target.connected for target in upstream.targets] == [2, 2]


async def test_weights_are_kept_to() -> None:
    async with named("a", "b") as urls, Upstream(*urls, weights=(3, 1)) as upstream, patience():
        streams = [await upstream.connect() for _ in range(8)]
        assert [target.active for target in upstream.targets] == [6, 2]
        for stream in streams:
            stream.close()


async def test_a_server_that_is_down_is_left_out() -> None:
    async with named("a") as urls, Upstream(dead(), *urls, limits=HURRY) as upstream, patience():
        for _ in range(4):
            stream = await upstream.connect()
            assert await stream.read(10) == b"a"
            stream.close()
        assert upstream.targets[0].failed == HURRY.failures_max
        assert upstream.targets[1].connected == 4


async def test_no_server_at_all_is_told_with_the_cause() -> None:
    async with Upstream(dead(), limits=HURRY) as upstream, patience():
        with pytest.raises(DialError, match="refused"):
            await upstream.connect()
        with pytest.raises(NoUpstreamError, match="has failed and is tried again in"):
            await upstream.connect()


async def test_a_client_is_passed_on_both_ways_and_half_closes_are() -> None:
    async with (
        named("hello") as urls,
        proxying(Upstream(*urls)) as address,
        call(address) as caller,
    ):
        assert await caller.read(5) == b"hello"
        for message in (b"x", bytes(500_000)):
            await caller.write(message)
            assert await caller.read(len(message)) == message
        caller.writer.write_eof()
        assert await caller.read_all() == b""


async def test_what_a_program_has_not_read_is_passed_on() -> None:
    async with named("") as urls, Upstream(*urls) as upstream:

        async def after_a_line(stream: Stream) -> None:
            assert await stream.read_until(b"\n", 10) == b"one\n"
            await upstream.proxy(stream)

        async with serve(after_a_line, ANYWHERE) as server, call(server.addresses[0]) as caller:
            await caller.write(b"one\ntwo\n")
            caller.writer.write_eof()
            assert await caller.read_all() == b"two\n"


async def test_a_client_without_a_server_is_the_program_s_still() -> None:
    async with Upstream(dead(), limits=HURRY) as upstream:

        async def sorry(stream: Stream) -> None:
            try:
                await upstream.proxy(stream)
            except (DialError, NoUpstreamError):
                await stream.write(b"try later")

        async with serve(sorry, ANYWHERE) as server, call(server.addresses[0]) as caller:
            assert await caller.read_all() == b"try later"


async def test_a_client_that_leaves_while_it_waits_leaves_nothing_open() -> None:
    async with named("a") as urls, Upstream(*urls) as upstream:
        came: asyncio.Future[Stream] = asyncio.get_running_loop().create_future()
        may = asyncio.Event()

        async def wait(stream: Stream) -> None:
            came.set_result(stream)
            await may.wait()
            await upstream.proxy(stream)

        async with serve(wait, ANYWHERE) as server:
            async with call(server.addresses[0]) as caller:
                await came
                caller.reset()
            await until(lambda: not server.connections)
            may.set()
            await until(lambda: upstream.targets[0].connected == 1)
            await until(lambda: not upstream.targets[0].active)


async def test_a_reset_of_the_server_is_passed_on() -> None:
    async def reset(stream: Stream) -> None:
        await stream.read(1)
        stream.connection.reset()

    async with (
        serve(reset, ANYWHERE) as server,
        proxying(Upstream(str(server.addresses[0]))) as address,
        call(address) as caller,
    ):
        await caller.write(b"x")
        with pytest.raises(ConnectionResetError):
            await caller.read_all()


async def test_connections_are_kept_ready() -> None:
    async with named("a") as urls, Upstream(*urls, ready=2) as upstream, patience():
        await until(lambda: upstream.targets[0].connected == 2)
        stream = await upstream.connect()
        assert await stream.read(10) == b"a"
        stream.close()
        await until(lambda: upstream.targets[0].connected == 3)


async def test_what_is_open_at_the_end_is_dropped() -> None:
    async with named("a") as urls, patience():
        async with Upstream(*urls) as upstream:
            stream = await upstream.connect()
            assert await stream.read(10) == b"a"
        with pytest.raises(StreamClosedError):
            await stream.read_exactly(1)
        with pytest.raises(ClosedError, match="within its `async with` block"):
            await upstream.connect()


@pytest.mark.parametrize(
    ("urls", "options", "fault"),
    [
        ([], {}, "expected servers"),
        (["tcp://a:1"], {"weights": (1, 2)}, "1 servers and 2 weights"),
        (["tcp://a:1"], {"ready": 1, "balance": "hash"}, "ready: expected 0"),
        (["tcp://a:1"], {"ready": 1, "send_proxy": 2}, "ready: expected 0"),
    ],
)
def test_what_does_not_fit_is_refused(
    urls: list[str], options: dict[str, object], fault: str
) -> None:
    with pytest.raises(ConfigurationError, match=fault):
        Upstream(*urls, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("url", ["telnet://a:1", "tcp://a:0"])
def test_an_address_that_cannot_be_dialled_is_refused(url: str) -> None:
    with pytest.raises(InvalidAddressError):
        Upstream(url)
