"""Peers that send and do not read: what they can make us take is bounded, by bytes."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import sys
import time
from collections.abc import AsyncIterator, Callable
from itertools import pairwise
from pathlib import Path

import pytest
from tests.net.fakes import FakeLoop, runtime
from tests.net.helpers import READ_BYTES_MAX, Pusher, Stand, pusher, serving, unix, until

from holdfast.core.errors import Reason
from holdfast.core.limits import ConnectionLimits
from holdfast.net.connection import backpressure
from holdfast.net.connection.backpressure import ReadPause, UnreadOutput
from holdfast.net.connection.connection import Connection
from holdfast.net.transport.tcp_info import input_held, output_held, tcp_info

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="asks Linux's kernel")

PIECE = bytes(range(256)) * 64
MANY_BYTES = 6_000_000
"""More than the kernel would take of our answers."""


class Echo(Stand):
    """Says back what it hears, and does not listen while its answers are not taken."""

    answers = True

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        connection.answers = self.answers
        self.most_unsent = 0

    def received(self, data: bytes) -> None:
        self.connection.write(data)
        self.most_unsent = max(self.most_unsent, self.connection.unsent)
        if self.connection.full:
            self.connection.pause_reading()
        self._heard("received")

    def writable(self) -> None:
        self.connection.resume_reading()

    def ended(self) -> None:
        self._heard("ended")
        self.connection.close()


class Stream(Echo):
    """Its two directions have nothing to do with each other."""

    answers = False

    def connected(self) -> None:
        self.connection.write(bytes(500_000))
        super().connected()

    def received(self, data: bytes) -> None:
        self._heard("received")


@contextlib.asynccontextmanager
async def besieged(
    make: Callable[[Connection], Echo] = Echo,
    limits: ConnectionLimits | None = None,
    *,
    at: str = "tcp://127.0.0.1:0",
    most: int = MANY_BYTES,
) -> AsyncIterator[tuple[Echo, Pusher]]:
    """A server, and a client of it that has sent what it was let, and has read nothing."""
    async with serving(limits, make=make) as server, pusher(await server.listen(at)) as client:
        stand = await server.stand()
        await client.push(PIECE, most)
        assert isinstance(stand, Echo)
        yield stand, client


async def test_who_does_not_read_is_not_read_and_loses_nothing() -> None:
    async with besieged() as (stand, client):
        connection = stand.connection
        assert connection.bytes_in < 5 * READ_BYTES_MAX
        assert stand.most_unsent <= connection._limits.write_buffer_bytes_max + READ_BYTES_MAX
        assert connection.unsent == 0
        assert client.pushed < MANY_BYTES
        # It reads, and everything goes on.
        expected = PIECE * (client.pushed // len(PIECE) + 1)
        assert await client.read_on(client.pushed) == expected[: client.pushed]


async def test_a_stream_goes_on_being_read() -> None:
    async with besieged(Stream) as (stand, _):
        await until(lambda: stand.connection.bytes_in == MANY_BYTES)


async def test_without_the_kernel_s_word_the_write_buffer_is_the_bound(tmp_path: Path) -> None:
    async with besieged(at=unix(tmp_path)) as (stand, client):
        assert client.pushed < MANY_BYTES
        most = stand.connection._limits.write_buffer_bytes_max + READ_BYTES_MAX
        assert 0 < stand.most_unsent <= most


async def test_who_reads_nothing_for_too_long_is_a_slow_consumer() -> None:
    limits = ConnectionLimits(stalled_seconds_max=0.3)
    async with besieged(limits=limits, most=1_000_000) as (stand, _):
        await stand.until(lambda stand: stand.reasons == [Reason.SLOW_CONSUMER])


async def test_who_reads_a_little_now_and_then_is_none() -> None:
    limits = ConnectionLimits(stalled_seconds_max=1.5)
    async with besieged(limits=limits, most=1_000_000) as (stand, client):
        for _ in range(15):
            await client.read(20_000)
            await asyncio.sleep(0.12)
        assert stand.reasons == []


async def test_the_reset_of_one_that_is_not_read_is_noticed() -> None:
    async with besieged() as (stand, client):
        client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.sock.close()
        await stand.until_lost()
        assert stand.cause is not None


async def test_who_has_said_all_is_read_to_its_end() -> None:
    async with besieged() as (stand, client):
        client.sock.shutdown(socket.SHUT_WR)
        await client.read_on(client.pushed)
        await stand.until_lost()
        assert stand.cause is None


async def test_a_server_that_closes_does_not_wait_for_who_does_not_read() -> None:
    limits = ConnectionLimits(close_seconds_max=0.2)
    async with besieged(limits=limits) as (stand, _):
        stand.connection.close()
        await stand.until_lost()


# --- how often it is looked at

MUCH = backpressure._MUCH_BYTES


def looks(monkeypatch: pytest.MonkeyPatch, found: list[UnreadOutput]) -> tuple[list[float], float]:
    """The pauses between the looks of a hold that finds this, and when it last saw progress."""
    loop = FakeLoop(start=0.0)
    times: list[float] = []
    over: list[float] = []
    answers = iter(found)

    def look(_: object) -> UnreadOutput | None:
        times.append(loop.time())
        return next(answers, None)

    monkeypatch.setattr(backpressure, "unread_output", look)
    with socket.socket() as sock:
        pause = ReadPause(
            runtime(loop), sock, UnreadOutput(MUCH, 0), lambda: over.append(loop.time())
        )
        loop.advance(60)
    assert over == times[-1:]
    return [later - earlier for earlier, later in pairwise(times)], pause.progress_at


def test_the_looks_become_rare_while_nothing_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses, progress_at = looks(monkeypatch, [UnreadOutput(MUCH, 0)] * 14)
    assert pauses == pytest.approx([*(2**n / 1000 for n in range(1, 10)), *[1.0] * 5])
    assert progress_at == 0.0


def test_a_reader_is_looked_at_when_it_should_be_done(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [
        UnreadOutput(MUCH + 1_000_000, 0),
        UnreadOutput(MUCH + 100_000, 1_000),  # in 3 ms: 300 ms for the rest
        UnreadOutput(MUCH + 90_000, 11_000),  # in 300 ms: 2.7 s, which is too long to wait
        UnreadOutput(MUCH, 101_000),
    ]
    pauses, progress_at = looks(monkeypatch, found)
    assert pauses == pytest.approx([0.002, 0.3, 1.0, 0.001])
    assert progress_at == pytest.approx(1.303)


# --- what the kernel tells


def test_nothing_is_known_of_what_is_no_tcp_or_closed() -> None:
    first, second = socket.socketpair()
    with first, second:
        assert tcp_info(first) is None
        first.send(b"abc")
        assert input_held(second) == 3
    closed = socket.socket()
    closed.close()
    for sock in (closed, None):
        assert tcp_info(sock) is None
        assert (input_held(sock), output_held(sock)) == (0, 0)


def test_a_closed_window_is_told() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        socket.create_connection(listener.getsockname()) as peer,
        listener.accept()[0] as ours,
    ):
        info = tcp_info(ours)
        assert info is not None
        assert info.established
        assert info.window
        ours.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                ours.send(bytes(65_536))
        for _ in range(1_000):  # the peer's kernel takes a moment to say so
            info = tcp_info(ours)
            assert info is not None
            if info.window == 0:
                break
            time.sleep(0.005)
        assert info.window == 0
        assert 0 < info.acked <= info.sent
        assert output_held(ours) > 100_000
        assert input_held(peer) > 0
