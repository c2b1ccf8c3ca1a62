"""Programs that do not read, peers that do not read, pings, and broadcast."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from tests.net.helpers import READ_BYTES_MAX, Pusher, pusher
from tests.protocols.websocket.wire import frame
from tests.websocket.helpers import REQUEST, close_frame, echo, opened, patience, until, url

from holdfast.core.errors import BusyError
from holdfast.core.limits import ConnectionLimits, Limits
from holdfast.websocket import (
    ConnectionClosed,
    ConnectionClosedError,
    DeflateSettings,
    Server,
    ServerWebSocket,
    broadcast,
    connect,
    serve,
)
from holdfast.websocket.connection import _BURST_BYTES
from holdfast.websocket.lifecycle import SlowPolicy
from holdfast.websocket.options import Compression

needs_linux = pytest.mark.skipif(sys.platform != "linux", reason="asks Linux's kernel")

PIECE = b"x" * 100_000


def flood(
    sent: list[int], **options: bool
) -> Callable[[ServerWebSocket], Coroutine[Any, Any, None]]:
    """A handler that sends for ever, and counts."""

    async def handler(ws: ServerWebSocket) -> None:
        while True:
            await ws.send(PIECE, **options)
            sent[0] += 1

    return handler


# --- a program that does not read


async def test_a_program_that_does_not_read_stops_the_reading_and_loses_nothing() -> None:
    go = asyncio.Event()
    read: list[bytes | str] = []
    sockets: list[ServerWebSocket] = []

    async def handler(ws: ServerWebSocket) -> None:
        sockets.append(ws)
        await go.wait()
        read.extend([message async for message in ws])

    async with (
        serve(handler, max_queue=8, compression=None) as server,
        connect(url(server)) as ws,
        patience(),
    ):
        messages = [bytes([number]) * 200_000 for number in range(60)]

        async def send() -> None:
            for message in messages:
                await ws.send(message)

        async with asyncio.TaskGroup() as tasks:
            sending = tasks.create_task(send())
            await until(lambda: bool(sockets) and sockets[0]._paused)
            for _ in range(200):
                await asyncio.sleep(0)
            assert not sending.done()
            assert len(sockets[0]._messages) < 30
            go.set()
        await ws.close()
    assert read == messages


@pytest.mark.parametrize(
    ("message", "enough"),
    [("x" * 1000, True), (b"x" * 1000, True), ("😀" * 250, True), ("😀" * 249, False)],
    ids=["text", "bytes", "emoji", "fewer emoji"],
)
async def test_one_large_message_is_enough_to_stop_the_reading(
    message: str | bytes, enough: bool
) -> None:
    made = Limits().but(websocket={"queue_bytes_max": 1000})
    async with serve(echo, limits=made) as server, connect(url(server)) as ws:
        (socket,) = [*server.connections]
        socket._messages.append(message)
        socket._take_less()
        assert socket._paused is enough
        assert await socket.recv() == message
        assert not socket._paused
        del ws


async def test_while_the_peer_is_full_one_message_is_enough() -> None:
    async with serve(echo) as server, connect(url(server), close_timeout=0.1):
        (socket,) = server.connections
        socket._messages.append("x")
        socket._take_less()
        assert not socket._paused
        socket._connection.full = True
        socket._take_less()
        assert socket._paused


async def test_reading_goes_on_when_little_is_left_in_bytes_too() -> None:
    made = Limits().but(websocket={"queue_bytes_max": 1000})
    async with serve(echo, limits=made) as server, connect(url(server)):
        (socket,) = server.connections
        socket._messages.extend(["x" * 600, "y" * 600, "z" * 200])
        socket._take_less()
        paused = []
        for _ in range(3):
            await socket.recv()
            paused.append(socket._paused)
        assert paused == [True, False, False]


async def test_two_readers_at_once_are_refused() -> None:
    async with serve(echo) as server, connect(url(server)) as ws, asyncio.TaskGroup() as tasks:
        reading = tasks.create_task(ws.recv())
        await asyncio.sleep(0)
        with pytest.raises(BusyError):
            await ws.recv()
        await ws.send("x")
        async with patience():
            assert await reading == "x"


async def test_a_deadline_for_a_message_breaks_nothing() -> None:
    async with serve(echo) as server, connect(url(server)) as ws, patience():
        for number in range(3):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.01):
                    await ws.recv()
            await ws.send(str(number))
            assert await ws.recv() == str(number)


@pytest.mark.parametrize("steps", range(6))
async def test_reading_may_be_cancelled_at_any_step(steps: int) -> None:
    async with serve(echo) as server, connect(url(server)) as ws, patience():
        got: list[str | bytes] = []

        async def read() -> None:
            got.append(await ws.recv())

        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(read())
            await ws.send("a")
            for _ in range(steps):
                await asyncio.sleep(0)
            task.cancel()
        await ws.send("b")
        while len(got) < 2:
            got.append(await ws.recv())
        assert got == ["a", "b"]


# --- a peer that does not read


@pytest.mark.parametrize("slow", ["wait", "drop-volatile"])
async def test_a_slow_consumer_is_met_by_the_policy(slow: SlowPolicy) -> None:
    sent = [0]
    volatile = {"volatile": True} if slow == "drop-volatile" else {}
    async with (
        serve(flood(sent, **volatile), slow=slow, compression=None) as server,
        opened(server) as caller,
    ):
        (socket,) = server.connections
        connection = socket._connection
        async with patience():
            await until(lambda: connection.full)
            before = sent[0]
            for _ in range(100):
                await asyncio.sleep(0)
            assert connection.unsent < 1_000_000
            if slow == "wait":
                assert sent[0] <= before + 1
                await caller.read(20_000_000)  # and it goes on
            else:
                assert sent[0] > before + 10


async def test_the_policy_may_be_to_close() -> None:
    ends: list[ConnectionClosed] = []

    async def handler(ws: ServerWebSocket) -> None:
        try:
            while True:
                await ws.send(PIECE)
        except ConnectionClosed as error:
            ends.append(error)

    async with serve(handler, slow="close", compression=None) as server, opened(server), patience():
        await until(lambda: bool(ends))
        assert ends[0].sent is not None
        assert ends[0].sent.code == 1013
        await until(lambda: not server.connections)


async def test_a_peer_that_never_reads_is_dropped_at_the_limit() -> None:
    made = Limits().but(connection={"stalled_seconds_max": 0.1})
    ends: list[ConnectionClosed] = []

    async def handler(ws: ServerWebSocket) -> None:
        try:
            while True:
                await ws.send(PIECE)
        except ConnectionClosed as error:
            ends.append(error)

    async with serve(handler, limits=made, compression=None) as server, opened(server), patience():
        (socket,) = server.connections
        await socket.wait_closed()
        await asyncio.sleep(0)
        assert [end.sent and end.sent.code for end in ends] == [1013]


async def test_a_sender_that_waits_hears_of_the_end() -> None:
    async with serve(flood([0]), compression=None) as server, opened(server) as caller, patience():
        (socket,) = server.connections
        await until(lambda: socket._connection.full)
        caller.reset()
        await socket.wait_closed()
    assert server.connections == set()


@contextlib.asynccontextmanager
async def non_reader(server: Server) -> AsyncIterator[tuple[Pusher, ServerWebSocket]]:
    """A client that is let in, and its socket at the server."""
    async with pusher(server.addresses[0]) as client:
        await client.push(REQUEST, len(REQUEST))
        await asyncio.get_running_loop().sock_recv(client.sock, 1000)
        client.pushed = 0
        (socket,) = server.connections
        yield client, socket


@pytest.mark.parametrize("size", [100, 4_000, 65_535, 1 << 20])
@pytest.mark.parametrize("kind", ["tcp", "unix"])
async def test_what_is_kept_for_a_peer_that_never_reads_is_bounded(
    kind: str, size: int, tmp_path: Path
) -> None:
    where: dict[str, Any] = {"host": None, "unix": str(tmp_path / "s")} if kind == "unix" else {}
    limits = ConnectionLimits()
    async with (
        serve(echo, compression=None, **where) as server,
        non_reader(server) as (client, socket),
    ):
        await client.push(frame(2, bytes(size)), 8_000_000)
        assert socket._connection.bytes_in < 8_000_000
        kept = socket._connection.unsent + sum(map(len, socket._messages))
        assert kept <= limits.write_buffer_bytes_max + _BURST_BYTES + READ_BYTES_MAX + 2 * size


async def test_pings_of_a_peer_that_never_reads_fill_no_memory(tmp_path: Path) -> None:
    async with (
        serve(echo, None, unix=str(tmp_path / "s")) as server,
        non_reader(server) as (client, socket),
    ):
        await client.push(frame(9, bytes(125)) * 100, 8_000_000)
        assert client.pushed < 8_000_000
        assert socket._connection.unsent <= 64 * 1024 + READ_BYTES_MAX
        # Once it reads, it is listened to again.
        pong = frame(10, bytes(125), key=None)
        got = await client.read_on(client.pushed // len(frame(9, bytes(125))) * len(pong))
        assert got == pong * (len(got) // len(pong))


# --- pings


async def test_a_ping_measures_the_round_trip() -> None:
    async with serve(echo) as server, connect(url(server)) as ws, patience():
        assert ws.latency == 0.0
        first, second = await ws.ping(), await ws.ping(b"second")
        assert 0 < await first < 5
        assert await second == ws.latency
        await ws.pong(b"unasked")
        await ws.send("and")
        assert await ws.recv() == "and"


async def test_a_pong_answers_the_pings_before_it() -> None:
    async with serve(echo) as server, opened(server) as caller, patience():
        (socket,) = server.connections
        first, second, third = [await socket.ping(name) for name in ("1", "2", "3")]
        await caller.write(frame(10, b"2"))
        await second
        assert (first.done(), third.done()) == (True, False)
        with pytest.raises(BusyError, match="under way"):
            await socket.ping("3")
        caller.reset()
        with pytest.raises(ConnectionClosedError):
            await third


async def test_pings_under_way_are_limited() -> None:
    made = Limits().but(websocket={"pings_max": 2})
    async with serve(echo, limits=made) as server, opened(server):
        (socket,) = server.connections
        await socket.ping()
        await socket.ping()
        with pytest.raises(BusyError, match="2 pings are under way"):
            await socket.ping()


async def test_a_ping_is_answered_while_the_program_is_busy() -> None:
    async def busy(ws: ServerWebSocket) -> None:
        await ws.wait_closed()

    async with serve(busy) as server, connect(url(server)) as ws, patience():
        await (await ws.ping())


async def test_keep_alive_drops_a_dead_peer_and_spares_a_busy_one() -> None:
    async with (
        serve(echo, ping_interval=0.1, ping_timeout=0.2) as server,
        opened(server) as dead,
        opened(server) as busy,
        patience(),
    ):
        async with asyncio.TaskGroup() as tasks:
            ended = tasks.create_task(dead.reader.read())
            while not ended.done():
                await busy.write(frame(2, b""))  # anything counts as life, pong or not
                await asyncio.sleep(0.02)
        assert b"\x89" in ended.result()
        assert len(server.connections) == 1


@needs_linux
async def test_keep_alive_spares_one_that_is_not_read_itself() -> None:
    async with (
        serve(echo, compression=None, ping_interval=0.1, ping_timeout=0.1) as server,
        non_reader(server) as (client, socket),
    ):
        await client.push(frame(2, bytes(1_000)) * 10, 4_000_000)
        await until(lambda: socket._connection.held)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.6):
                await socket.wait_closed()


async def test_a_message_that_drips_is_cut_off_and_a_busy_peer_is_not() -> None:
    limits = Limits().but(websocket={"message_seconds_max": 0.3})
    whole = frame(2, bytes(50_000))

    async def read(ws: ServerWebSocket) -> None:
        async for _ in ws:
            pass

    async with (
        serve(read, ping_interval=0.1, ping_timeout=0.1, close_timeout=60, limits=limits) as server,
        opened(server) as dripping,
        opened(server) as busy,
        patience(),
    ):
        async with asyncio.TaskGroup() as tasks:
            ended = tasks.create_task(dripping.reader.readuntil(b"a message took too long"))
            await busy.write(whole[:10])
            await dripping.write(whole[:10])
            while not ended.done():
                dripping.writer.write(b"x")
                await busy.write(whole[10:] + whole[:10])
                await asyncio.sleep(0.02)
        assert close_frame(1008, b"a message took too long") in ended.result()
        dripping.writer.close()
        await until(lambda: len(server.connections) == 1)


async def test_without_an_interval_nothing_is_pinged() -> None:
    async with serve(echo, ping_interval=None) as server, connect(url(server), ping_interval=0.1):
        (socket,) = server.connections
        assert socket._pings is None


async def test_latency_is_known_without_asking() -> None:
    async with serve(echo, ping_interval=0.1) as server, connect(url(server)), patience():
        (socket,) = server.connections
        await until(lambda: socket.latency > 0)


# --- broadcast


@pytest.mark.parametrize("message", ["news " * 50, b"\0" * 500, "a"])
async def test_a_broadcast_reaches_all_who_are_open(message: str | bytes) -> None:
    async with serve(echo) as server, contextlib.AsyncExitStack() as stack, patience():
        settings: tuple[Compression, ...] = (
            None,
            "deflate",
            DeflateSettings(server_no_context_takeover=True),
        )
        clients = [
            await stack.enter_async_context(connect(url(server), compression=compression))
            for compression in settings
        ]
        gone = await connect(url(server))
        sockets = list(server.connections)
        await gone.close()
        await until(lambda: len(server.connections) == 3)
        for _ in range(2):
            left_out = broadcast(sockets, message)
            assert [socket.close_code for socket in left_out] == [1000]
            for client in clients:
                assert await client.recv() == message
                await client.send("own")
                assert await client.recv() == "own"


async def test_a_broadcast_waits_for_nobody() -> None:
    async with serve(flood([0]), compression=None) as server, opened(server), patience():
        (socket,) = server.connections
        await until(lambda: socket._connection.full)
        unsent = socket._connection.unsent
        assert list(broadcast(server.connections, PIECE)) == [socket]
        assert socket._connection.unsent == unsent


async def test_a_broadcast_may_close_the_slow() -> None:
    async with serve(echo, slow="close", compression=None) as server, opened(server), patience():
        (socket,) = server.connections
        await until(lambda: bool(broadcast([socket], PIECE)))
        await socket.wait_closed()
