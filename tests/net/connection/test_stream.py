"""Connections as streams, on real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from pathlib import Path
from typing import Any

import pytest
import structlog
from tests.net.certificates import write_pems
from tests.net.helpers import Stand, call, patience, until

from holdfast.core.errors import ConfigurationError, LimitExceededError, Source
from holdfast.core.limits import ConnectionLimits
from holdfast.net.addresses import InvalidAddressError, parse_address
from holdfast.net.connection.connection import Connection
from holdfast.net.connection.handler import Phase
from holdfast.net.connection.observer import Observer
from holdfast.net.connection.stream import (
    IdleTimeoutError,
    InvalidHandlerError,
    Stream,
    StreamClosedError,
    serve,
)
from holdfast.net.server.bind import AddressInUseError
from holdfast.net.server.lifecycle import ServerState
from holdfast.net.server.server import ServerClosedError
from holdfast.net.tls.contexts import client_context
from holdfast.net.tls.options import TlsOptions
from holdfast.protocols.frames import FrameError, Netstring

ANYWHERE = "tcp://127.0.0.1:0"


async def echo(stream: Stream) -> None:
    async for data in stream:
        await stream.write(data)


async def test_an_echo(tmp_path: Path) -> None:
    async with serve(echo, ANYWHERE, f"unix:{tmp_path / 's'}") as server:
        for address in server.addresses:
            async with call(address) as caller:
                for message in (b"x", bytes(1_000_000)):
                    await caller.write(message)
                    assert await caller.read(len(message)) == message
                caller.writer.write_eof()
                assert await caller.read_all() == b""
        await until(lambda: not server.connections)


async def test_what_there_is_to_know(tmp_path: Path) -> None:
    seen: list[Any] = []

    async def look(stream: Stream) -> None:
        seen.append((stream.peer, stream.tls, stream.state))
        await stream.write(b"done")

    pems = write_pems(tmp_path)
    tls = TlsOptions(certificates=(pems.certificate,), alpn=("x",))
    async with serve(look, "tls://127.0.0.1:0", tls=tls) as server:
        context = client_context(pems.authority)
        context.set_alpn_protocols(["x"])
        async with call(server.addresses[0], ssl=context, server_hostname="localhost") as caller:
            assert await caller.read_all() == b"done"
            peer = caller.writer.get_extra_info("sockname")
    ((name, info, state),) = seen
    assert name == f"127.0.0.1:{peer[1]}"
    assert (info.version, info.alpn, info.subject) == ("TLSv1.3", "x", "")
    assert state is Phase.ESTABLISHED


async def test_reading_by_count_and_by_delimiter() -> None:
    async def answer(stream: Stream) -> None:
        size = int(await stream.read_until(b"\n", 10))
        await stream.write(b"<" + await stream.read_exactly(size) + b">")

    async with serve(answer, ANYWHERE) as server, call(server.addresses[0]) as caller:
        for part in (b"1", b"1\nhello", b" world and more"):
            await caller.write(part)
            await asyncio.sleep(0)
        assert await caller.read_all() == b"<hello world>"


async def test_frames() -> None:
    faults: list[str] = []

    async def answer(stream: Stream) -> None:
        framing = Netstring(100)
        try:
            async for frame in stream.frames(framing):
                await stream.write(framing.encode(frame[::-1]))
        except FrameError as error:
            faults.append(str(error))

    async with serve(answer, ANYWHERE) as server, call(server.addresses[0]) as caller:
        await caller.write(b"3:abc,2:")
        await caller.write(b"de,4:x")
        caller.writer.write_eof()
        assert await caller.read_all() == b"3:cba,2:ed,"
    assert faults == ["expected the rest of a frame after 3 bytes"]


@pytest.mark.parametrize(
    ("sent", "fault"),
    [
        (b"abc", "expected 4 bytes, found the end after 3 bytes"),
        (b"", "expected 4 bytes, found the end after 0 bytes"),
    ],
)
async def test_an_end_that_comes_too_soon_is_told(sent: bytes, fault: str) -> None:
    caught: list[StreamClosedError] = []

    async def read(stream: Stream) -> None:
        with pytest.raises(StreamClosedError) as error:
            await stream.read_exactly(4)
        caught.append(error.value)

    async with serve(read, ANYWHERE) as server, call(server.addresses[0]) as caller:
        await caller.write(sent)
        caller.writer.write_eof()
        assert await caller.read_all() == b""
    (error,) = caught
    assert str(error) == fault
    assert error.partial == sent
    assert error.retryable


async def test_what_is_too_long_is_told() -> None:
    faults: list[str] = []

    async def read(stream: Stream) -> None:
        for reading in (stream.read_until(b"\n", 8), stream.read_exactly(10**9)):
            with pytest.raises(LimitExceededError) as error:
                await reading
            assert error.value.source is Source.REMOTE
            faults.append(str(error.value))

    async with serve(read, ANYWHERE) as server, call(server.addresses[0]) as caller:
        await caller.write(b"123456789")
        assert await caller.read_all() == b""
    assert faults[0] == "expected b'\\n' within 8 bytes"
    assert faults[1].startswith("expected at most read_buffer_bytes_max = 262144 bytes")


async def test_who_sends_ahead_is_held_back() -> None:
    limits = ConnectionLimits(read_buffer_bytes_max=10_000)
    go_on = asyncio.Event()
    total = 0

    async def slow(stream: Stream) -> None:
        nonlocal total
        await go_on.wait()
        async for data in stream:
            assert len(data) <= 10_000
            total += len(data)

    async with serve(slow, ANYWHERE, limits=limits) as server, call(server.addresses[0]) as caller:
        caller.writer.write(bytes(8_000_000))
        await until(lambda: server.connections)
        (connection,) = server.connections
        await until(lambda: connection.bytes_in >= 10_000)
        before = connection.bytes_in
        await asyncio.sleep(0.05)
        assert connection.bytes_in == before
        go_on.set()
        async with patience():
            await caller.writer.drain()
        caller.writer.write_eof()
        assert await caller.read_all() == b""
    assert total == 8_000_000


async def test_who_does_not_read_holds_the_writer_back() -> None:
    limits = ConnectionLimits(write_buffer_bytes_max=10_000)
    written = 0

    async def fill(stream: Stream) -> None:
        nonlocal written
        for _ in range(300):
            await stream.write(bytes(100_000))
            await asyncio.sleep(0)
            written += 1

    async with serve(fill, ANYWHERE, limits=limits) as server, call(server.addresses[0]) as caller:
        await until(lambda: any(connection.full for connection in server.connections))
        stuck = written
        assert stuck < 300
        assert len(await caller.read(30_000_000)) == 30_000_000
        await until(lambda: written == 300)


async def test_a_silent_client_is_told_of_and_ended() -> None:
    caught: list[Exception] = []

    async def read(stream: Stream) -> None:
        try:
            await stream.read(10)
        except IdleTimeoutError as error:
            caught.append(error)
            await stream.write(b"too slow")

    limits = ConnectionLimits(idle_seconds_max=0.05)
    async with serve(read, ANYWHERE, limits=limits) as server, call(server.addresses[0]) as caller:
        assert await caller.read_all() == b"too slow"
    assert len(caught) == 1


async def test_a_handler_that_fails_ends_its_own_connection() -> None:
    async def fail(stream: Stream) -> None:
        if await stream.read(1) == b"x":
            raise ValueError("a defect")
        await stream.write(b"fine")

    with structlog.testing.capture_logs() as logs:
        async with (
            serve(fail, ANYWHERE) as server,
            call(server.addresses[0]) as first,
            call(server.addresses[0]) as second,
        ):
            await first.write(b"x")
            await first.dropped()
            await second.write(b"y")
            assert await second.read_all() == b"fine"
    (line,) = (log for log in logs if log["event"] == "a handler failed")
    assert "a defect" in line["traceback"]


# --- the end


async def test_a_drain_ends_reading_after_what_has_come() -> None:
    begun = asyncio.Event()

    async def polite(stream: Stream) -> None:
        async for data in stream:
            begun.set()
            await stream.write(data)
        assert stream.draining.is_set()
        await stream.write(b"goodbye")

    async with serve(polite, ANYWHERE) as server:
        address = server.addresses[0]
        async with contextlib.AsyncExitStack() as stack:
            caller = await stack.enter_async_context(call(address))
            await caller.write(b"hello")
            assert await caller.read(5) == b"hello"
            async with patience(), asyncio.TaskGroup() as tasks:
                tasks.create_task(server.drain(5))
                assert await caller.read_all() == b"goodbye"
                caller.writer.close()
        assert server.state is ServerState.STOPPED


async def test_a_handler_that_outstays_the_drain_is_cancelled() -> None:
    ended: list[str] = []

    async def stubborn(stream: Stream) -> None:
        try:
            await asyncio.sleep(3_600)
        finally:
            ended.append("cancelled")

    with structlog.testing.capture_logs() as logs:
        async with patience(), serve(stubborn, ANYWHERE, drain_seconds=0.01) as server:
            stack = contextlib.AsyncExitStack()
            caller = await stack.enter_async_context(call(server.addresses[0]))
            await until(lambda: server.connections)
    await caller.dropped()
    await stack.aclose()
    assert ended == ["cancelled"]
    assert [log["count"] for log in logs if log["event"] == "handlers were cancelled"] == [1]


async def test_writing_to_who_is_gone_is_told() -> None:
    caught: list[str] = []

    async def write(stream: Stream) -> None:
        await stream.read(1)
        await until(lambda: stream.state is Phase.LOST)
        try:
            await stream.write(b"x")
        except StreamClosedError as error:
            caught.append(str(error))

    async with serve(write, ANYWHERE) as server:
        async with call(server.addresses[0]) as caller:
            await caller.write(b"x")
            await until(lambda: server.connections)
            caller.reset()
        await until(lambda: caught)
    assert caught == ["the connection is gone"]


async def test_a_reader_is_told_of_a_lost_connection() -> None:
    caught: list[StreamClosedError] = []

    async def read(stream: Stream) -> None:
        await stream.read_exactly(1)
        try:
            await stream.read_exactly(4)
        except StreamClosedError as error:
            caught.append(error)

    async with serve(read, ANYWHERE) as server, call(server.addresses[0]) as caller:
        await caller.write(b"x")
        await until(lambda: server.connections)
        caller.reset()
        await until(lambda: caught)
    assert str(caught[0]) == "expected 4 bytes, found the end after 0 bytes"


# --- what cannot be served


@pytest.mark.parametrize(
    ("handler", "url", "error", "fault"),
    [
        (None, ANYWHERE, InvalidHandlerError, "handler: expected a coroutine function, found None"),
        (echo, "ws://127.0.0.1:0/", InvalidAddressError, "expected tcp, tls or unix for a stream"),
        (echo, "tls://127.0.0.1:0", ConfigurationError, r"expected tls=TlsOptions\(\.\.\.\)"),
        (echo, "tcp://192.0.2.1:0", ConfigurationError, "cannot listen there"),
    ],
)
async def test_what_cannot_be_served_is_told_at_once(
    handler: Any, url: str, error: type[Exception], fault: str
) -> None:
    with pytest.raises(error, match=fault):
        async with serve(handler, url):
            pass


async def test_a_server_that_is_closed_listens_no_more() -> None:
    async with serve(echo, ANYWHERE) as server:
        await server.close()
        with pytest.raises(ServerClosedError, match="this server listens no more"):
            await server.listen(parse_address(ANYWHERE), Stand)


async def test_an_address_in_use_leaves_nothing_behind() -> None:
    async with serve(echo, ANYWHERE) as server:
        (taken,) = server.addresses
        with pytest.raises(AddressInUseError):
            async with serve(echo, ANYWHERE, str(taken)):
                pass


# --- writing within one tick


async def test_who_writes_without_a_pause_is_held_back() -> None:
    unsent: list[int] = []

    async def pour(stream: Stream) -> None:
        if await stream.read(10) == b"hello":
            await stream.write(b"hello")
            return
        while True:
            await stream.write(bytes(10_000))
            unsent.append(stream.connection.unsent)

    async with serve(pour, ANYWHERE) as server:
        (address,) = server.addresses
        async with call(address, limit=1024) as pouring:
            pouring.writer.write(b"pour")
            await until(lambda: unsent)
            async with call(address) as other:  # it is others' turn, too
                await other.write(b"hello")
                assert await other.read(5) == b"hello"
            assert max(unsent) < 4 << 20
            pouring.writer.transport.abort()
        limits = ConnectionLimits()
        assert max(unsent) < limits.write_buffer_bytes_max + 4 * 64 * 1024


# --- tracking and callbacks


class Notes(Observer):
    """Writes down what it is told."""

    def __init__(self) -> None:
        self.told: list[Any] = []

    def state_changed(self, state: Any) -> None:
        self.told.append(state.name)

    def opened(self, connection: Connection) -> None:
        self.told.append(("opened", connection.id))

    def read(self, connection: Connection, size: int) -> None:
        self.told.append(("read", connection.id, size))

    def wrote(self, connection: Connection, size: int) -> None:
        self.told.append(("wrote", connection.id, size))

    def closed(self, connection: Connection) -> None:
        self.told.append(("closed", connection.id, connection.cause))

    def failed(self, peer: str, error: Exception) -> None:
        self.told.append(("failed", str(error)))


async def test_an_observer_is_told_of_everything() -> None:
    notes = Notes()
    async with serve(echo, ANYWHERE, observer=notes) as server:
        async with call(server.addresses[0]) as caller:
            await caller.write(b"hello")
            assert await caller.read(5) == b"hello"
        await until(lambda: not server.connections)
    assert notes.told == [
        "RUNNING",
        ("opened", 1),
        ("read", 1, 5),
        ("wrote", 1, 5),
        ("closed", 1, None),
        "DRAINING",
        "STOPPED",
    ]


async def test_an_observer_tunes_the_socket_of_a_new_connection() -> None:
    class Tuning(Observer):
        def opened(self, connection: Connection) -> None:
            connection.extra("socket").setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)

    async with (
        serve(echo, ANYWHERE, observer=Tuning()) as server,
        call(server.addresses[0]) as caller,
    ):
        await caller.write(b"x")
        assert await caller.read(1) == b"x"
        (connection,) = server.connections
        sock = connection.extra("socket")
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)


async def test_an_observer_is_told_of_failures(tmp_path: Path) -> None:
    notes = Notes()
    tls = TlsOptions(certificates=(write_pems(tmp_path).certificate,))
    async with serve(echo, "tls://127.0.0.1:0", tls=tls, observer=notes) as server:
        async with call(server.addresses[0]) as caller:
            await caller.write(b"GET / HTTP/1.0\r\n\r\n")
            with contextlib.suppress(ConnectionResetError):
                await caller.read_all()
        await until(lambda: len(notes.told) > 1)
    assert notes.told[1] == ("failed", "TLS: expected TLS, found a plain HTTP request")


async def test_an_observer_is_told_of_a_handler_that_raises() -> None:
    async def fail(stream: Stream) -> None:
        await stream.read(1)
        raise ValueError("a defect")

    notes = Notes()
    async with (
        serve(fail, ANYWHERE, observer=notes) as server,
        call(server.addresses[0]) as caller,
    ):
        await caller.write(b"x")
        await caller.dropped()
        await until(lambda: not server.connections)
    assert [told for told in notes.told if told[0] == "failed"] == [("failed", "a defect")]


async def test_a_client_s_fault_is_one_line_at_info() -> None:
    async def frames(stream: Stream) -> None:
        async for _ in stream.frames(Netstring(10)):
            pass

    notes = Notes()
    with structlog.testing.capture_logs() as logs:
        async with (
            serve(frames, ANYWHERE, observer=notes) as server,
            call(server.addresses[0]) as caller,
        ):
            await caller.write(b"11:")
            await caller.dropped()
            await until(lambda: not server.connections)
    (line,) = (log for log in logs if log["event"] != "handlers were cancelled")
    fault = "expected a frame of at most 10 bytes, found 11"
    assert line["peer"].startswith("127.0.0.1:")
    assert (line["event"], line["log_level"]) == ("protocol error of a peer", "info")
    assert line["fault"] == fault
    assert "traceback" not in line
    assert ("failed", fault) in notes.told


async def test_connections_are_listed_counted_and_kicked() -> None:
    async with serve(echo, ANYWHERE, ANYWHERE) as server:
        here, there = server.addresses
        async with call(here) as first, call(there) as second:
            for caller, size in ((first, 10), (second, 20)):
                await caller.write(bytes(size))
                assert await caller.read(size) == bytes(size)
            found = {each.id: each for each in server.connections}
            assert sorted(found) == [1, 2]
            assert found[1].listener == here
            assert (found[2].bytes_in, found[2].bytes_out) == (20, 20)
            assert server.find(2) is found[2]
            assert server.tallies[here].open == server.tallies[there].open == 1
            assert server.kick(2)
            assert await second.read_all() == b""
            second.writer.close()
            await until(lambda: len(server.connections) == 1)
            assert not server.kick(2)
            assert server.tallies[there].bytes_in == 20
            assert (server.tallies[there].open, server.tallies[there].accepted) == (0, 1)
            await first.write(b"still here")
            assert await first.read(10) == b"still here"
