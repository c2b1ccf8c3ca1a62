"""A byte stream passed on: real sockets on both sides, and ends in every order."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine
from itertools import product
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st
from tests.net.certificates import write_pems
from tests.net.helpers import Caller, Serving, Stand, call, patience, serving
from tests.net.peers.haproxy import haproxy
from tests.net.upstream.test_dialler import dialling, nowhere
from tests.ports import free_port

from holdfast.core.limits import KIB, MIB, ConnectionLimits, UpstreamLimits
from holdfast.core.states import UndefinedTransitionError
from holdfast.net.addresses import Address, parse_address
from holdfast.net.connection.connection import Connection
from holdfast.net.runtime.runtime import Runtime
from holdfast.net.server.server import Server
from holdfast.net.tls.contexts import client_context, server_context
from holdfast.net.upstream.dialler import Dialler
from holdfast.net.upstream.tunnel import TABLE, StreamInput, StreamProxy, StreamState, _Side

S, I = StreamState, StreamInput  # noqa: E741

ENDS = {
    "client-first": ([I.CONNECTED, I.CLIENT_ENDED, I.UPSTREAM_ENDED], "P U X"),
    "upstream-first": ([I.CONNECTED, I.UPSTREAM_ENDED, I.CLIENT_ENDED], "P C X"),
    "client-before-there-is-an-upstream": (
        [I.CLIENT_ENDED, I.CONNECTED, I.UPSTREAM_ENDED],
        ". PU X",
    ),
    "lost-while-connecting": ([I.LOST, I.CONNECTED, I.LOST], "X X ."),
    "lost": ([I.CONNECTED, I.LOST, I.LOST], "P X ."),
    "lost-when-half-closed": ([I.CONNECTED, I.CLIENT_ENDED, I.LOST, I.LOST], "P U X ."),
    "lost-when-half-closed-by-the-upstream": ([I.CONNECTED, I.UPSTREAM_ENDED, I.LOST], "P C X"),
    "broken": ([I.CONNECTED, I.BROKEN, I.LOST], "P R ."),
    "broken-while-connecting": ([I.BROKEN, I.CONNECTED, I.LOST], "R X ."),
    "broken-when-half-closed": ([I.CONNECTED, I.CLIENT_ENDED, I.BROKEN, I.BROKEN], "P U R ."),
    "broken-after-the-loss": ([I.CONNECTED, I.LOST, I.BROKEN], "P X ."),
    "an-end-after-the-loss": ([I.CONNECTED, I.LOST, I.CLIENT_ENDED, I.UPSTREAM_ENDED], "P X . ."),
}
SHORT = {
    "NOTHING": ".",
    "PASS_ON": "P",
    "PASS_ON_AND_END": "PU",
    "END_UPSTREAM": "U",
    "END_CLIENT": "C",
    "CLOSE": "X",
    "RESET": "R",
}


@pytest.mark.parametrize(("inputs", "effects"), ENDS.values(), ids=ENDS)
def test_ends_in_every_order(inputs: list[StreamInput], effects: str) -> None:
    state, found = S.CONNECTING, []
    for one in inputs:
        state, effect = TABLE.step(state, one)
        found.append(SHORT[effect.name])
    assert " ".join(found) == effects


FORBIDDEN = {
    (S.CONNECTING, I.UPSTREAM_ENDED),
    (S.CONNECTING_ENDED, I.UPSTREAM_ENDED),
    (S.CONNECTING_ENDED, I.CLIENT_ENDED),
    (S.OPEN, I.CONNECTED),
    (S.CLIENT_ENDED, I.CONNECTED),
    (S.CLIENT_ENDED, I.CLIENT_ENDED),
    (S.UPSTREAM_ENDED, I.CONNECTED),
    (S.UPSTREAM_ENDED, I.UPSTREAM_ENDED),
}


@pytest.mark.parametrize(("state", "given_"), list(product(S, I)))
def test_what_is_forbidden(state: StreamState, given_: StreamInput) -> None:
    assert TABLE.allows(state, given_) is ((state, given_) not in FORBIDDEN)


@given(st.lists(st.sampled_from(I), max_size=8))
def test_both_ends_are_told_once(inputs: list[StreamInput]) -> None:
    """However it ends: no side's end is passed on twice, and a loss closes both."""
    state, effects = S.CONNECTING, []
    for one in inputs:
        with contextlib.suppress(UndefinedTransitionError):
            state, effect = TABLE.step(state, one)
            effects.append(effect.name)
    assert effects.count("END_UPSTREAM") + effects.count("PASS_ON_AND_END") <= 1
    assert effects.count("END_CLIENT") <= 1
    if I.LOST in inputs or I.BROKEN in inputs:
        assert state is S.CLOSED


# --- real sockets


class Passing:
    """A proxy, and who calls it."""

    def __init__(self, address: Address, server: Server, dialler: Dialler) -> None:
        self.address = address
        self.server = server
        self.dialler = dialler

    @property
    def upstreams(self) -> list[Connection]:
        """The connections to servers, of clients that are connected."""
        sides = [connection.handler for connection in self.server.connections]
        return [side.to for side in sides if isinstance(side, _Side) and side.to is not None]

    def call(self, **options: object) -> contextlib.AbstractAsyncContextManager[Caller]:
        return call(self.address, **options)


@contextlib.asynccontextmanager
async def passing(
    *upstreams: Address | str,
    limits: UpstreamLimits | None = None,
    client_limits: ConnectionLimits | None = None,
    tls: ssl.SSLContext | None = None,
    proxy_version: int = 0,
) -> AsyncIterator[Passing]:
    """A proxy in front of these, while the block runs."""
    runtime = Runtime(asyncio.get_running_loop())
    runtime.timers.start()
    async with (
        dialling(
            *upstreams, limits=limits or UpstreamLimits(), tls=tls, proxy_version=proxy_version
        ) as dialler,
        asyncio.TaskGroup() as tasks,
    ):

        def spawn(work: Coroutine[Any, Any, None]) -> None:
            tasks.create_task(work)

        proxy = StreamProxy(dialler, spawn)
        server = Server(client_limits or ConnectionLimits(), runtime)
        server.start()
        address = await server.listen(parse_address("tcp://127.0.0.1:0"), proxy.handler)
        try:
            yield Passing(address, server, dialler)
        finally:
            await server.close()
            runtime.timers.stop()


class Half(Stand):
    """A server that keeps its own direction open when the other ends."""

    def ended(self) -> None:
        self._heard("ended")


@contextlib.asynccontextmanager
async def one_upstream(
    make: type[Stand] = Half,
) -> AsyncIterator[tuple[Serving, Address]]:
    async with serving(make=make) as server:
        yield server, await server.listen("tcp://127.0.0.1:0")


async def test_bytes_both_ways_and_half_closes_by_the_client_first() -> None:
    async with one_upstream() as (server, at), passing(at) as proxy, proxy.call() as client:
        await client.write(b"hel")
        stand = await server.stand()
        await client.write(b"lo")
        await stand.until(lambda stand: stand.data == b"hello")
        client.writer.write_eof()
        await stand.until(lambda stand: "ended" in stand.calls)
        stand.connection.write(b"still here")  # the other direction goes on
        assert await client.read(10) == b"still here"
        stand.connection.close()
        assert await client.read_all() == b""
        await stand.until_lost()


async def test_a_half_close_by_the_upstream_first() -> None:
    async with one_upstream() as (server, at), passing(at) as proxy, proxy.call() as client:
        stand = await server.stand()
        stand.connection.write(b"all I have to say")
        stand.connection.end()
        assert await client.read_all() == b"all I have to say"
        await client.write(b"and I")
        await stand.until(lambda stand: stand.data == b"and I")
        client.writer.write_eof()
        await stand.until(lambda stand: "ended" in stand.calls)
        async with patience():
            while proxy.dialler.pool.targets[0].active:  # noqa: ASYNC110
                await asyncio.sleep(0.001)


async def test_what_comes_before_there_is_an_upstream_is_passed_on_with_its_end() -> None:
    async with one_upstream() as (server, at), passing(at) as proxy, proxy.call() as client:
        client.writer.write(b"everything")
        client.writer.write_eof()
        stand = await server.stand()
        await stand.until(lambda stand: "ended" in stand.calls)
        assert stand.data == b"everything"


async def test_a_client_that_is_reset_resets_the_upstream() -> None:
    async with one_upstream() as (server, at), passing(at) as proxy, proxy.call() as client:
        await client.write(b"half of")
        stand = await server.stand()
        await stand.until(lambda stand: stand.data == b"half of")
        client.reset()
        await stand.until_lost()
        assert "ended" not in stand.calls
        assert isinstance(stand.cause, ConnectionResetError)


@pytest.mark.parametrize(("answer", "failed"), [(b"half of", 0), (b"", 1)])
async def test_an_upstream_that_is_reset_resets_the_client(answer: bytes, failed: int) -> None:
    async with one_upstream() as (server, at), passing(at) as proxy, proxy.call() as client:
        await client.write(b"x")
        stand = await server.stand()
        await stand.until(lambda stand: stand.data == b"x")
        stand.connection.write(answer)
        assert await client.read(len(answer)) == answer
        stand.connection.reset()
        with pytest.raises(ConnectionResetError):
            await client.read_all()
        (target,) = proxy.dialler.pool.targets
        assert (target.connected, target.failed) == (1, failed)


async def test_a_reset_behind_a_half_close_is_passed_on() -> None:
    async with one_upstream() as (server, at), passing(at) as proxy, proxy.call() as client:
        client.writer.write_eof()
        stand = await server.stand()
        await stand.until(lambda stand: "ended" in stand.calls)
        stand.connection.reset()
        with pytest.raises(ConnectionResetError):
            await client.read_all()


async def test_an_upstream_that_hangs_up_without_a_word_is_blamed_and_left_alone() -> None:
    limits = UpstreamLimits(failures_max=2, attempts_max=1)

    class Hanging(Stand):
        def connected(self) -> None:
            super().connected()
            self.connection.close()

    async with (
        one_upstream(Hanging) as (_, at),
        passing(at, limits=limits) as proxy,
    ):
        for _ in range(3):
            async with proxy.call() as client:
                await client.dropped()
        (target,) = proxy.dialler.pool.targets
        assert (target.connected, target.failed) == (2, 2)
        assert proxy.dialler.pool.refused == 1


async def test_an_upstream_that_only_listens_is_not_blamed() -> None:
    async with one_upstream() as (server, at), passing(at) as proxy, proxy.call() as client:
        await client.write(b"a log line\n")
        stand = await server.stand()
        await stand.until(lambda stand: stand.data)
        stand.connection.close()
        await client.dropped()
        assert proxy.dialler.pool.targets[0].failed == 0


async def test_an_upstream_that_is_down_closes_the_client() -> None:
    async with passing(nowhere()) as proxy, proxy.call() as client:
        client.writer.write(b"anybody?")
        await client.dropped()
        async with patience():
            while proxy.server.connections:  # noqa: ASYNC110
                await asyncio.sleep(0.001)


async def test_a_client_that_leaves_while_its_upstream_is_dialled_leaves_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        at = f"tls://127.0.0.1:{mute.getsockname()[1]}"
        limits = UpstreamLimits(connect_seconds_max=0.1, attempts_max=1)
        async with passing(at, limits=limits) as proxy:
            async with proxy.call() as client:
                client.reset()
            async with patience():
                while proxy.dialler.pool.targets[0].active:  # noqa: ASYNC110
                    await asyncio.sleep(0.001)
            assert not proxy.server.connections


MUCH = bytes(range(256)) * (48 * MIB // 256)
"""More than the kernel's buffers on the way hold."""


class Slow(Half):
    """A server that does not read until it is told to, and then much."""

    def connected(self) -> None:
        self.much = bytearray()
        super().connected()

    def received(self, data: bytes) -> None:
        self.much += data
        self._heard("received")


async def test_a_slow_upstream_holds_its_client_back_and_nothing_is_lost() -> None:
    limits = UpstreamLimits(write_buffer_bytes_max=64 * KIB)
    async with (
        one_upstream(Slow) as (server, at),
        passing(at, limits=limits) as proxy,
        proxy.call() as client,
    ):
        stand = await server.stand()
        assert isinstance(stand, Slow)
        stand.connection.pause_reading()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(client.write(MUCH))
            (connection,) = proxy.server.connections
            await settled(lambda: connection.bytes_in)
            assert 0 < connection.bytes_in < len(MUCH)
            (other,) = proxy.upstreams
            assert other.unsent < 64 * KIB + 512 * KIB  # and what one read may bring
            stand.connection.resume_reading()
            await stand.until(lambda _: len(stand.much) == len(MUCH))
        assert stand.much == MUCH


async def test_a_slow_client_holds_its_upstream_back_and_nothing_is_lost() -> None:
    async with (
        one_upstream() as (server, at),
        passing(at) as proxy,
        proxy.call(limit=4096) as client,
    ):
        stand = await server.stand()
        stand.connection.write(MUCH)
        await settled(lambda: stand.connection.unsent)
        assert 0 < stand.connection.unsent < len(MUCH)  # what the proxy did not read
        (connection,) = proxy.server.connections
        assert connection.unsent < 256 * KIB + 512 * KIB
        stand.connection.end()
        assert await client.read_all(within=60.0) == MUCH


async def settled(value: Callable[[], int]) -> None:
    """Wait until a number does not change any more."""
    before, same = -1, 0
    async with patience():
        while same < 5:
            await asyncio.sleep(0.01)
            now = value()
            same = same + 1 if now == before and now > 0 else 0
            before = now


async def test_a_stream_is_idle_only_when_both_sides_are_silent() -> None:
    limits = UpstreamLimits(idle_seconds_max=0.5)
    client_limits = ConnectionLimits(idle_seconds_max=0.5)
    async with (
        one_upstream() as (server, at),
        passing(at, limits=limits, client_limits=client_limits) as proxy,
        proxy.call() as client,
    ):
        stand = await server.stand()
        for _ in range(8):  # the client itself says nothing for longer than the limit
            stand.connection.write(b".")
            assert await client.read(1) == b"."
            await asyncio.sleep(0.1)
        with structlog.testing.capture_logs() as logs:
            await client.dropped(within=5.0)
    (line,) = [log for log in logs if log["event"] == "stream closed"]
    assert line["reason"] == "timeout"


async def test_tls_on_the_way_to_the_upstream(tmp_path: Path) -> None:
    pems = write_pems(tmp_path)
    async with serving(make=Half) as server:
        at = await server.listen("tls://127.0.0.1:0", server_context(pems.certificate))
        tls = client_context(pems.authority)
        async with passing(at, tls=tls) as proxy, proxy.call() as client:
            await client.write(b"secret")
            stand = await server.stand()
            await stand.until(lambda stand: stand.data == b"secret")
            assert stand.connection.secure


async def test_a_drain_lets_streams_finish() -> None:
    async with one_upstream() as (server, at), passing(at) as proxy, proxy.call() as client:
        stand = await server.stand()
        async with asyncio.TaskGroup() as tasks:
            draining = tasks.create_task(proxy.server.drain(10.0))
            await asyncio.sleep(0)
            await client.write(b"last words")
            await stand.until(lambda stand: stand.data == b"last words")
            client.writer.write_eof()
            stand.connection.write(b"heard")
            stand.connection.close()
            assert await client.read_all() == b"heard"
            async with patience():
                await draining


SHOW = """\
listen x
    mode http
    bind 127.0.0.1:{port} accept-proxy
    http-request return status 200 content-type text/plain lf-string "%[src]:%[src_port] %[dst]:%[dst_port]"
"""  # noqa: E501


@pytest.mark.parametrize("version", [1, 2])
async def test_haproxy_behind_us_is_told_who_the_client_is(version: int, tmp_path: Path) -> None:
    port = free_port()
    async with (
        haproxy(tmp_path, port, SHOW.format(port=port)),
        passing(f"tcp://127.0.0.1:{port}", proxy_version=version) as proxy,
        proxy.call() as client,
    ):
        await client.write(b"GET / HTTP/1.0\r\nHost: localhost\r\n\r\n")
        host, number, *_ = client.writer.get_extra_info("sockname")
        shown = f"{host}:{number} 127.0.0.1:{proxy.address.port}"
        assert (await client.read_all()).decode().endswith("\r\n\r\n" + shown)


@pytest.mark.parametrize("kept", [True, False], ids=["kept-ready", "none"])
def test_connections_that_are_kept_ready_are_used_first(kept: bool) -> None:
    dialler, idle_pool = SimpleNamespace(connect="dialled"), SimpleNamespace(connect="kept")
    proxy = StreamProxy(dialler, lambda _: None, idle_pool if kept else None)  # type: ignore[arg-type]
    assert proxy.connect == ("kept" if kept else "dialled")  # type: ignore[comparison-overlap]
