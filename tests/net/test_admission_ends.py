"""Sockets that are counted, refused or lost on their way to a connection."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from contextlib import AsyncExitStack
from typing import Any

import pytest
from structlog.testing import capture_logs
from tests.net.helpers import Serving, Stand, call, serving, until

from holdfast.core.limits import ConnectionLimits
from holdfast.net.addresses import Address, parse_address
from holdfast.net.connection.connection import Connection
from holdfast.net.connection.stream import Stream, serve
from holdfast.net.dial.dial import dial
from holdfast.net.server import workers
from holdfast.net.server.admission import AdmissionRefusal
from holdfast.net.server.handshake import ProxyOptions
from holdfast.net.server.listener import Listener
from holdfast.net.server.server import ListenOptions, Server
from holdfast.protocols.proxy import Endpoint, Family, ProxyHeader, encode_v1

TRUSTING = ListenOptions(proxy=ProxyOptions(trust=("127.0.0.0/8",)))


def header(port: int = 4000) -> bytes:
    source, here = Endpoint("192.0.2.1", port), Endpoint("192.0.2.2", 80)
    return encode_v1(ProxyHeader(1, Family.INET, source, here))


async def listen(server: Serving, options: ListenOptions = TRUSTING) -> Address:
    return await server.server.listen(
        parse_address("tcp://127.0.0.1:0"), server.factory, options=options
    )


# --- PROXY and the limit of connections


async def test_a_proxy_s_clients_are_as_many_as_may_come() -> None:
    async with serving(ConnectionLimits(connections_max=2)) as server:
        address = await listen(server)
        async with AsyncExitStack() as stack:
            for number in range(2):
                caller = await stack.enter_async_context(call(address))
                await caller.write(header(number + 1))
                await server.stand(number)
            third = await stack.enter_async_context(call(address))
            await third.write(header(3))
            await third.dropped()
            assert server.server.refusals == {AdmissionRefusal.TOO_MANY: 1}


async def test_a_client_that_is_refused_is_not_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its bytes come in one piece with the header."""
    async with serving() as server:
        address = await listen(server)
        monkeypatch.setattr(server.server, "opened", lambda connection: False)
        async with call(address) as caller:
            await caller.write(header() + b"hello")
            await caller.dropped()
        assert [stand.calls for stand in server.stands] == [[]]


async def test_nothing_is_heard_after_a_handler_has_failed() -> None:
    class Failing(Stand):
        def connected(self) -> None:
            super().connected()
            raise ValueError("a defect")

    async with serving(make=Failing) as server:
        address = await listen(server)
        async with call(address) as caller:
            await caller.write(header() + b"hello")
            await caller.dropped()
        (stand,) = server.stands
        await stand.until_lost()
        assert stand.calls == ["connected", "lost"]


# --- what cannot be taken


async def test_a_socket_that_cannot_be_used_is_counted_and_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with serving() as server:
        address = await server.listen("tcp://127.0.0.1:0")

        def fail(protocol: Any, sock: socket.socket) -> None:
            sock.close()
            raise OSError(28, "No space left on device")

        sockets = server.server.runtime.sockets
        monkeypatch.setattr(type(sockets), "adopt", lambda _, *arguments: fail(*arguments))
        with capture_logs() as logs:
            async with call(address) as caller:
                await caller.dropped()
        (counters,) = server.server.tallies.values()
        assert counters.failed == 1
        assert logs[0]["why"] == "the socket cannot be used: No space left on device"
        monkeypatch.undo()
        async with call(address):
            await server.stand(1)


# --- urgent data


def in_place(sock: Any) -> bool:
    return bool(sock.getsockopt(socket.SOL_SOCKET, socket.SO_OOBINLINE))


async def test_urgent_data_stays_in_its_place_on_every_socket() -> None:
    """RFC 854: on bound, inherited and dialled ones."""
    async with serving() as server:
        address = await server.listen("tcp://127.0.0.1:0")
        stands: list[Stand] = []

        def factory(connection: Connection) -> Stand:
            stands.append(Stand(connection))
            return stands[-1]

        runtime, limits = server.server.runtime, ConnectionLimits()
        connection = await dial(address, factory, clockwork=runtime, limits=limits)
        assert in_place(connection.extra("socket"))
        assert in_place((await server.stand()).connection.extra("socket"))
        connection.abort()
        await stands[0].until_lost()
        inherited = socket.create_server(("127.0.0.1", 0))
        listener = Listener(runtime.loop, address, [inherited], limits, lambda *_: True)
        assert in_place(inherited)
        listener.close()


# --- the end


async def test_no_time_to_drain_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[float] = []
    drain = Server.drain

    async def note(self: Server, seconds: float) -> None:
        given.append(seconds)
        await drain(self, seconds)

    async def wait(stream: Stream) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(Server, "drain", note)
    with capture_logs() as logs:
        async with (
            serve(wait, "tcp://127.0.0.1:0", drain_seconds=0) as server,
            call(server.addresses[0]),
        ):
            await until(lambda: server.connections)
        async with serve(wait, "tcp://127.0.0.1:0", drain_seconds=0):
            pass
    assert given == [0, 0]
    assert len([log for log in logs if log["event"] == "drain timed out"]) <= 1


def test_a_signal_for_a_worker_that_was_just_reaped_is_lost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pid = os.fork()
    if not pid:
        os._exit(0)
    os.waitpid(pid, 0)
    parent = workers._Workers(1, [], lambda *_: None, lambda _: None)  # type: ignore[arg-type]
    parent._born[pid] = 0.0
    sent: list[int] = []
    kill = os.kill

    def note(number: int, which: int) -> None:
        sent.append(number)
        kill(number, which)

    monkeypatch.setattr(os, "kill", note)
    parent._pass_on(signal.SIGTERM, None)
    assert sent == [pid]
    os.close(parent._lifeline)
    os.close(parent._life)
