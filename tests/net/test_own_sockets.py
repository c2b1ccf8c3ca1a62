"""Our own sockets: what only they promise, and what could go wrong only with them."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import socket
import sys
import tempfile
import weakref
from collections.abc import Iterator
from typing import Any, cast

import pytest
from tests.loops import LOOPS, Factory
from tests.net.helpers import PATIENCE_SECONDS, until
from tests.net.transports import (
    FILLING,
    MIB,
    Heard,
    Peer,
    by_us,
    connected_pair,
    every_family,
    fill,
    needs_ours,
    read_all,
    receive,
    reset,
    standing,
    until_heard,
    until_lost,
)

from holdfast.net.transport.transports import Sockets

pytestmark = needs_ours
on_every_loop = pytest.mark.parametrize("loop", LOOPS.values(), ids=LOOPS)


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


# --- what protocols raise


def failing(place: str, error: BaseException) -> Heard:
    """A protocol that raises, once."""

    def fail(heard: Heard, *arguments: Any) -> Any:
        result = getattr(Heard, place)(heard, *arguments)
        if "failed" not in heard.calls:
            heard.calls.append("failed")
            raise error
        return result

    return cast(Heard, type("Failing", (Heard,), {place: fail})())


PLACES = ["connection_made", "data_received", "eof_received", "pause_writing", "resume_writing"]


async def go_everywhere(heard: Heard, peer: Peer) -> None:
    """Have a protocol called wherever it can be, so far as it is there."""
    if not heard.transport.is_closing():
        fill(heard)
    await drain(peer, FILLING)
    if not heard.transport.is_closing():
        peer.send(b"hello")
        peer.shutdown(socket.SHUT_WR)


async def drain(peer: Peer, size: int) -> None:
    """Read so much, or up to the end."""
    while size and (piece := await receive(peer)):
        size -= len(piece)


@pytest.mark.parametrize("error", [ValueError("a defect"), asyncio.CancelledError("a defect")])
@pytest.mark.parametrize("place", PLACES)
async def test_a_defect_ends_its_own_transport_and_is_told(
    place: str, error: BaseException
) -> None:
    told: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))
    heard, other = failing(place, error), Heard()
    async with standing(by_us, "unix", other) as neighbour:
        async with standing(by_us, "unix", heard) as peer:
            await go_everywhere(heard, peer)
            neighbour.send(b"still here")
            await until_lost(heard)
        assert heard.cause is error
        await until(lambda: other.data)
        assert other.calls == ["made"]
    (context,) = told
    assert context["exception"] is error
    assert context["transport"] is heard.transport
    assert context["protocol"] is heard


@on_every_loop
@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("place", ["data_received", "resume_writing"])
def test_who_ends_the_program_loses_nothing_of_the_others(
    place: str, error: type[BaseException], loop: Factory
) -> None:
    """All are ready at once, and the loop is run again, as it is to end in order."""
    running = loop()
    crowd = [Heard() for _ in range(20)]
    crowd[3] = failing(place, error())
    peers: list[socket.socket] = []
    left = 0

    async def begin() -> None:
        nonlocal left
        for heard in crowd:
            ours, peer = connected_pair("unix")
            by_us(heard, ours)
            peers.append(peer)
        written = len(fill(crowd[3]))
        if place == "resume_writing":
            queued = crowd[3].transport.get_write_buffer_size()
            crowd[3].transport.set_write_buffer_limits(high=queued, low=queued - 1)
        for peer in peers:
            peer.send(b"hello")
        left = written - len(peers[3].recv(MIB))

    def go_until_it_ends() -> None:
        running.run_until_complete(begin())
        running.call_later(PATIENCE_SECONDS, running.stop)
        running.run_forever()

    async def end() -> None:
        await drain(peers[3], left)
        await until(lambda: all(heard.data == b"hello" for heard in crowd))
        for heard, peer in zip(crowd, peers, strict=True):
            heard.transport.close()
            peer.close()
        await until_lost(*crowd)

    try:
        with pytest.raises(error):
            go_until_it_ends()
        with contextlib.suppress(RuntimeError):  # uvloop ends its next run, too
            running.run_until_complete(asyncio.sleep(0))
        running.run_until_complete(end())
    finally:
        running.close()
    assert [heard.data for heard in crowd] == [b"hello"] * 20


async def test_pieces_that_are_none_leave_nothing_behind() -> None:
    heard = Heard()
    async with standing(by_us, "unix", heard) as peer:
        with pytest.raises(TypeError):
            heard.transport.writelines([b"first", cast(Any, 5)])
        assert heard.transport.get_write_buffer_size() == 0
        heard.transport.close()
        assert await read_all(peer) == b""


# --- what is queued


@every_family
async def test_the_size_of_what_is_queued_is_what_the_kernel_has_not(family: str) -> None:
    heard = Heard()
    async with standing(by_us, family, heard) as peer:
        transport = heard.transport
        assert transport.get_write_buffer_size() == 0
        transport.write(b"x" * 10)
        assert transport.get_write_buffer_size() == 0
        written = 10 + len(fill(heard))
        queued = transport.get_write_buffer_size()
        assert 0 < queued < written
        transport.write(b"y" * 500)
        transport.writelines([b"z" * 300, b"", b"z" * 200])
        assert transport.get_write_buffer_size() == queued + 1_000
        taken = 0

        def takes_some() -> bool:
            nonlocal taken
            with contextlib.suppress(BlockingIOError):
                taken += len(peer.recv(MIB))
            return transport.get_write_buffer_size() < queued

        await until(takes_some)
        rest = transport.get_write_buffer_size()
        transport.abort()
        assert transport.get_write_buffer_size() == 0
        assert taken + len(await read_all(peer)) == written + 1_000 - rest


async def test_writing_is_paused_above_the_one_limit_and_resumed_at_the_other() -> None:
    class Watching(Heard):
        at: list[int]

        def pause_writing(self) -> None:
            super().pause_writing()
            self.at = [self.transport.get_write_buffer_size()]

        def resume_writing(self) -> None:
            super().resume_writing()
            self.at.append(self.transport.get_write_buffer_size())

    heard = Watching()
    async with standing(by_us, "unix", heard) as peer:
        transport = heard.transport
        transport.set_write_buffer_limits(high=1 << 30)
        fill(heard)
        queued = transport.get_write_buffer_size()
        transport.set_write_buffer_limits(high=queued + 100, low=queued // 2)
        transport.write(b"x" * 100)
        assert heard.calls == ["made"]
        transport.write(b"x")
        assert (heard.calls, heard.at) == (["made", "pause"], [queued + 101])
        transport.write(b"x")
        for _ in range(1_000):
            if "resume" in heard.calls:
                break
            before = transport.get_write_buffer_size()
            peer.recv(64 * 1024)
            await asyncio.sleep(0)
            assert ("resume" in heard.calls) or before > queued // 2
        assert heard.calls == ["made", "pause", "resume"]
        assert heard.at[1] <= queued // 2
        transport.set_write_buffer_limits(high=1)
        assert heard.calls == ["made", "pause", "resume", "pause"]


@pytest.fixture
def unruly_collector() -> Iterator[None]:
    """What the garbage collector calls changes errno."""

    def disturb(phase: str, info: dict[str, int]) -> None:
        assert not os.access("/nowhere", os.F_OK)

    threshold = gc.get_threshold()
    gc.callbacks.append(disturb)
    yield
    gc.set_threshold(*threshold)
    gc.callbacks.remove(disturb)


@pytest.mark.usefixtures("unruly_collector")
async def test_what_the_kernel_said_is_not_taken_from_the_collector() -> None:
    calm = gc.get_threshold()
    for number in range(-2, 6):
        heard = Heard()
        async with standing(by_us, "unix", heard):
            with contextlib.suppress(BlockingIOError):
                while True:
                    heard.transport.get_extra_info("socket")._sock.send(b"x" * 1_000)
            write = heard.transport.write
            gc.set_threshold(gc.get_count()[0] + number)  # it runs at each place, once
            write(b"later")
            gc.set_threshold(*calm)
            assert not heard.transport.is_closing()
            assert heard.transport.get_write_buffer_size() == 5


# --- many, and one that is busy

ROUNDS_MAX = 50_000


async def test_who_always_sends_leaves_the_others_their_turn() -> None:
    class Busy(Heard):
        rounds = 0

        def data_received(self, data: bytes) -> None:
            self.rounds += 1
            if not self.transport.is_closing() and self.rounds < ROUNDS_MAX:
                source.send(data)

    busy, crowd, peers = Busy(), [Heard() for _ in range(100)], []
    async with standing(by_us, "unix", busy) as source:
        for heard in crowd:
            ours, peer = connected_pair("unix")
            by_us(heard, ours)
            peers.append(peer)
        source.send(b"x" * 1_000)
        for turn in range(1, 4):
            for peer in peers:
                peer.send(b"hello")
            await until_heard(5 * turn, *crowd)
        for heard, peer in zip(crowd, peers, strict=True):
            peer.close()
            await until_lost(heard)
        assert 0 < busy.rounds < ROUNDS_MAX


async def test_who_always_writes_leaves_the_others_their_turn() -> None:
    class Busy(Heard):
        rounds = 0

        def resume_writing(self) -> None:
            super().resume_writing()
            self.rounds += 1
            if self.rounds < ROUNDS_MAX:
                while True:
                    try:
                        drained.recv(MIB)
                    except BlockingIOError:
                        break
                self.transport.write(b"x" * 50_000)

    busy, other = Busy(), Heard()
    async with standing(by_us, "unix", other) as peer, standing(by_us, "unix", busy) as drained:
        busy.transport.set_write_buffer_limits(high=40_000, low=40_000)
        fill(busy)
        peer.send(b"hello")
        await until(lambda: other.data)

        def begins() -> int:
            with contextlib.suppress(BlockingIOError):
                drained.recv(MIB)
            return busy.rounds

        await until(begins)
        peer.send(b"hello")
        await until(lambda: len(other.data) == 10)
        assert busy.rounds < ROUNDS_MAX


async def test_more_that_are_ready_at_once_than_one_turn_takes() -> None:
    crowd, peers = [Heard() for _ in range(520)], []
    for heard in crowd:
        ours, peer = connected_pair("unix")
        by_us(heard, ours)
        peers.append(peer)
    for peer in peers:
        peer.send(b"hello")
        peer.close()
    await until_lost(*crowd)
    assert all(heard.data == b"hello" for heard in crowd)


# --- what is left


async def test_a_transport_is_small_and_leaves_nothing_to_the_collector() -> None:
    heard = Heard()
    ours, peer = connected_pair("tcp")
    by_us(heard, ours)
    assert sys.getsizeof(heard.transport) <= 256
    fill(heard)
    reset(peer)
    await until_lost(heard)
    await asyncio.sleep(0)
    gone = weakref.ref(heard.transport), weakref.ref(heard)
    gc.collect()
    gc.disable()
    try:
        del heard
        assert [find() for find in gone] == [None, None]
    finally:
        gc.enable()


def leave_a_closed_loop() -> None:
    """Leave the files that any event loop with sockets of ours leaves: those of one set."""

    async def visit() -> None:
        ours, peer = connected_pair("unix")
        heard = Heard()
        Sockets(asyncio.get_running_loop()).adopt(heard, ours)
        peer.close()
        await until_lost(heard)

    asyncio.run(visit())
    gc.collect()


@on_every_loop
@pytest.mark.parametrize("ended", [True, False], ids=["ended", "open"])
def test_a_closed_loop_leaves_no_files_behind(loop: Factory, ended: bool) -> None:
    leave_a_closed_loop()
    files = open_files()
    running = loop()
    crowd = [Heard() for _ in range(10)]

    async def visit(running: asyncio.AbstractEventLoop) -> None:
        before = open_files()
        for heard in crowd:
            ours, peer = connected_pair("unix")
            Sockets(running).adopt(heard, ours)  # all of them share what they are polled by
            peer.close()
        assert open_files() == before + 10, "the set of the closed loop is closed for this one's"
        if ended:
            await until_lost(*crowd)

    running.run_until_complete(visit(running))
    running.close()
    for heard in crowd:
        if not ended:
            heard.transport.get_extra_info("socket")._sock.close()
        del heard.transport
    del running, heard, visit
    gc.collect()
    assert open_files() == files


async def test_the_name_of_a_peer_that_has_reset_is_not_known_any_more() -> None:
    heard = Heard()
    async with standing(by_us, "tcp", heard) as peer:
        name = peer.getsockname()
        heard.transport.pause_reading()
        assert heard.transport.get_extra_info("peername") == name
        reset(peer)
        assert heard.transport.get_extra_info("peername", "nobody") == "nobody"
        assert heard.transport.get_extra_info("sockname") is not None


async def test_sendfile_is_said_not_to_be_there() -> None:
    """As uvloop says it: aiohttp then reads the file itself."""
    heard = Heard()
    async with standing(by_us, "unix", heard):
        with tempfile.TemporaryFile() as file, pytest.raises(NotImplementedError):
            await asyncio.get_running_loop().sendfile(heard.transport, file)
