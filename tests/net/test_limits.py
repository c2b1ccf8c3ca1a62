"""What a server does about too many, too fast, too long and too much."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
from pathlib import Path
from typing import Any

import pytest
import structlog
from tests.net.certificates import write_pems
from tests.net.fakes import Bench
from tests.net.helpers import Stand, call, patience, serving, until

from holdfast.core.errors import Reason
from holdfast.core.limits import KIB, ConnectionLimits
from holdfast.net.connection.metering import METER_BYTES
from holdfast.net.log import RateLimitedLogger
from holdfast.net.server.admission import Admission, AdmissionRefusal
from holdfast.net.tls.contexts import client_context, server_context


class Echoing(Stand):
    """Says it back."""

    def received(self, data: bytes) -> None:
        super().received(data)
        self.connection.established()
        self.connection.write(data)


# --- how many come, and how fast


def test_an_address_may_come_so_fast() -> None:
    limits = ConnectionLimits(accepts_per_address_per_second_max=10, accept_burst_per_address_max=3)
    admission = Admission(limits)
    come = [admission.check("192.0.2.1", 100.0) for _ in range(5)]
    assert come == [None, None, None, *[AdmissionRefusal.TOO_FAST_FROM_ADDRESS] * 2]
    assert admission.check("192.0.2.2", 100.0) is None
    assert admission.check("192.0.2.1", 100.1) is None
    assert admission.check("192.0.2.1", 100.1) is AdmissionRefusal.TOO_FAST_FROM_ADDRESS


def test_all_together_may_come_so_fast() -> None:
    admission = Admission(ConnectionLimits(accepts_per_second_max=10, accept_burst_max=2))
    assert [admission.may_accept(100.0) for _ in range(3)] == [True, True, False]
    assert admission.may_accept(100.1)


async def test_a_flood_from_one_address_leaves_the_others_served_and_the_log_short() -> None:
    limits = ConnectionLimits(
        accepts_per_address_per_second_max=0.01, accept_burst_per_address_max=20
    )
    loop = asyncio.get_running_loop()
    with structlog.testing.capture_logs() as logs:
        async with serving(limits, Echoing) as server:
            address = await server.listen("tcp://127.0.0.1:0")
            over = asyncio.Event()

            async def flood() -> int:
                count = 0
                while not over.is_set():
                    with socket.socket() as sock, contextlib.suppress(OSError):
                        sock.setblocking(False)
                        sock.bind(("127.0.0.2", 0))
                        await loop.sock_connect(sock, ("127.0.0.1", address.port))
                    count += 1
                return count

            async with patience(), asyncio.TaskGroup() as tasks:
                floods = [tasks.create_task(flood()) for _ in range(10)]
                await until(lambda: server.server.refused > 200)
                async with call(address) as caller:
                    for _ in range(20):
                        before = server.server.refused
                        await caller.write(b"ping")
                        assert await caller.read(4) == b"ping"
                        await until(lambda before=before: server.server.refused > before)  # type: ignore[misc]
                over.set()
            assert sum(task.result() for task in floods) > 100
            assert server.server.accepted == 21
            refusals = server.server.refusals
            assert refusals == {AdmissionRefusal.TOO_FAST_FROM_ADDRESS: server.server.refused}
    assert len([log for log in logs if log["event"] == "refused"]) == 30


async def test_what_comes_too_fast_for_the_server_waits_and_is_served() -> None:
    limits = ConnectionLimits(
        accepts_per_second_max=1000, accept_burst_max=2, accept_pause_seconds_max=0.02
    )
    async with serving(limits, Echoing) as server:
        address = await server.listen("tcp://127.0.0.1:0")
        async with contextlib.AsyncExitStack() as stack:
            callers = [await stack.enter_async_context(call(address)) for _ in range(10)]
            for caller in callers:
                await caller.write(b"x")
            for caller in callers:
                assert await caller.read(1) == b"x"
        assert server.server.refused == 0


async def test_handshakes_that_are_not_over_count_too(tmp_path: Path) -> None:
    """Otherwise whoever never ends a handshake would not be limited."""
    pems = write_pems(tmp_path)
    elsewhere = {"local_addr": ("127.0.0.2", 0)}
    async with serving(ConnectionLimits(connections_max=2)) as server:
        address = await server.listen("tls://127.0.0.1:0", server_context(pems.certificate))
        async with call(address), call(address, **elsewhere):
            await until(lambda: len(server.server.pending) == 2)
            async with call(address, local_addr=("127.0.0.3", 0)) as third:
                await third.dropped()
            assert server.server.refusals == {AdmissionRefusal.TOO_MANY: 1}
        await until(lambda: not server.server.pending)


@pytest.mark.parametrize("limits", [{"connections_max": 8}, {"handshakes_per_address_max": 4}])
async def test_silent_sockets_of_one_address_leave_room_for_others(
    tmp_path: Path, limits: dict[str, int]
) -> None:
    pems = write_pems(tmp_path)
    async with serving(ConnectionLimits(**limits)) as server, contextlib.AsyncExitStack() as stack:
        address = await server.listen("tls://127.0.0.1:0", server_context(pems.certificate))
        for _ in range(4):
            await stack.enter_async_context(call(address))
        await until(lambda: len(server.server.pending) == 4)
        for _ in range(4):
            async with call(address) as fifth:
                await fifth.dropped()
        assert server.server.refusals == {AdmissionRefusal.TOO_MANY_FROM_ADDRESS: 4}
        tls = {"ssl": client_context(pems.authority), "server_hostname": "localhost"}
        async with call(address, local_addr=("127.0.0.2", 0), **tls):
            await server.stand()
        server.server.pending.copy().pop().abort()
        async with call(address, **tls):  # its place is free again
            await server.stand(1)


# --- no more files


class NoFiles:
    """A process that has no free file, as `accept` sees it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.active = False
        self.reserve_helps = True
        accept = socket.socket.accept
        self.tries = 0

        def fail(sock: socket.socket) -> Any:
            if self.active:
                self.tries += 1
                if not self.reserve_helps or self.tries % 2:  # every second time a file was freed
                    raise OSError(errno.EMFILE, "Too many open files")
            return accept(sock)

        monkeypatch.setattr(socket.socket, "accept", fail)


@pytest.mark.parametrize("reserve_helps", [True, False])
async def test_without_free_files_accepting_pauses_and_goes_on(
    monkeypatch: pytest.MonkeyPatch, reserve_helps: bool
) -> None:
    files = NoFiles(monkeypatch)
    limits = ConnectionLimits(accept_pause_seconds_max=0.05)
    with structlog.testing.capture_logs() as logs:
        async with serving(limits, Echoing) as server:
            address = await server.listen("tcp://127.0.0.1:0")
            async with call(address) as first:
                await server.stand()
                files.active, files.reserve_helps = True, reserve_helps
                async with call(address) as second:
                    await until(lambda: files.tries)
                    tries = files.tries
                    await first.write(b"still here")
                    assert await first.read(10) == b"still here"
                    assert files.tries - tries <= 2, "it spins"
                    if reserve_helps:
                        await second.dropped()
                    files.active = False
                    async with call(address) as third:
                        await third.write(b"x")
                        assert await third.read(1) == b"x"
            assert server.server.refusals[AdmissionRefusal.OUT_OF_FILES] == (
                1 if reserve_helps else 0
            )
    line = next(log for log in logs if log["event"] == "cannot accept")
    assert line["fault"] == "Too many open files"
    assert line["at"] == str(address)


# --- how long


async def test_a_connection_has_a_whole_life() -> None:
    limits = ConnectionLimits(life_seconds_max=0.3, handshake_seconds_max=0.1)
    async with serving(limits, Echoing) as server:
        address = await server.listen("tcp://127.0.0.1:0")
        async with call(address) as caller:
            stand = await server.stand()

            async def be_busy() -> None:
                with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
                    while True:
                        await caller.write(b"x")
                        await caller.read(1)

            async with patience():
                await be_busy()
            assert stand.reasons == [Reason.TIMEOUT]
            await stand.until_lost()


# --- how much


def test_input_faster_than_allowed_is_read_later() -> None:
    limits = ConnectionLimits(bytes_per_second_max=64 * KIB, idle_seconds_max=3_600)
    bench = Bench(limits)
    connection = bench.connect()
    connection.meter = Admission(limits).opened("192.0.2.1")
    connection.established()
    connection.data_received(bytes(METER_BYTES))
    assert bench.transport.reading  # the first of it is free
    connection.data_received(bytes(METER_BYTES))
    assert not bench.transport.reading
    bench.loop.advance(0.8)
    assert not bench.transport.reading
    bench.loop.advance(0.5)
    assert bench.transport.reading
    assert connection.bytes_in == 2 * METER_BYTES


def test_a_handler_that_reads_on_does_not_undo_the_limit_nor_the_other_way_round() -> None:
    limits = ConnectionLimits(bytes_per_second_max=64 * KIB, idle_seconds_max=3_600)
    bench = Bench(limits)
    connection = bench.connect()
    connection.meter = Admission(limits).opened("192.0.2.1")
    connection.data_received(bytes(3 * METER_BYTES))
    connection.pause_reading()
    connection.resume_reading()
    assert not bench.transport.reading
    connection.pause_reading()
    bench.loop.advance(5)
    assert not bench.transport.reading
    connection.resume_reading()
    assert bench.transport.reading


def test_the_connections_of_an_address_share_its_rate() -> None:
    limits = ConnectionLimits(bytes_per_address_per_second_max=64 * KIB)
    admission = Admission(limits)
    first, second = admission.opened("192.0.2.1"), admission.opened("192.0.2.1")
    assert first.spend(METER_BYTES, 100.0) == 0.0
    assert second.spend(METER_BYTES, 100.0) == pytest.approx(1.0)
    assert admission.opened("192.0.2.2").spend(METER_BYTES, 100.0) == 0.0


async def test_bytes_flow_as_fast_as_allowed_and_none_is_lost() -> None:
    size = 6 * METER_BYTES
    limits = ConnectionLimits(bytes_per_second_max=size)
    async with serving(limits) as server:
        address = await server.listen("tcp://127.0.0.1:0")
        async with call(address) as caller:
            stand = await server.stand()
            stand.connection.established()
            loop = asyncio.get_running_loop()
            begin = loop.time()
            await caller.write(bytes(size))
            await stand.until(lambda stand: len(stand.data) == size)
            assert loop.time() - begin > 0.2  # a second, but for what is free


def test_a_large_read_is_no_reason_to_hold_a_fast_connection() -> None:
    """A hold lasts as long as a slot of the timer wheel at least: an eternity at full speed."""
    meter = Admission(ConnectionLimits()).opened("192.0.2.1")
    assert [meter.spend(256 * KIB, 100.0 + n / 1000) for n in range(100)] == [0.0] * 100


# --- lines of the log


def test_lines_that_clients_cause_are_few_and_the_rest_is_counted() -> None:
    with structlog.testing.capture_logs() as logs:
        now = 100.0
        logger = RateLimitedLogger("test", per_minute=60.0, burst=2, clock=lambda: now)
        for _ in range(10):
            logger.info("a", peer="x")
        logger.info("b")
        now = 101.0
        logger.info("a", peer="y")
    assert [(log["event"], log.get("left_out")) for log in logs] == [
        ("a", None),
        ("a", None),
        ("b", None),
        ("a", 8),
    ]
