"""What a transport is held to, ours as well as the event loop's own, on each event loop."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.net.conftest import LOOPS, Factory
from tests.net.helpers import patience, until

from holdfast.net import sockets
from holdfast.net.sockets import COMPILED, Sockets

Adopt = Callable[[asyncio.Protocol, socket.socket], None]
MIB = 1024 * 1024
FILLING = 4 * MIB
"""More than the kernel takes between a transport and a peer that does not read."""


def by_us(protocol: asyncio.Protocol, sock: socket.socket) -> None:
    Sockets(asyncio.get_running_loop()).adopt(protocol, sock)


def by_the_loop(protocol: asyncio.Protocol, sock: socket.socket) -> None:
    sock.setblocking(False)
    sockets._adopt_by_loop(asyncio.get_running_loop(), protocol, sock)


needs_ours = pytest.mark.skipif(not COMPILED, reason="the compiled sockets were not built")
BOTH = [pytest.param(by_us, id="ours", marks=needs_ours), pytest.param(by_the_loop, id="loop-s")]
FAMILIES = ["tcp", "unix"]
every_transport = pytest.mark.parametrize("adopt", BOTH)
every_family = pytest.mark.parametrize("family", FAMILIES)


def connected_pair(family: str) -> tuple[socket.socket, socket.socket]:
    """Two ends of a connection; the second never blocks."""
    if family == "unix":
        ends = socket.socketpair()
    else:
        with socket.create_server(("127.0.0.1", 0)) as listening:
            peer = socket.create_connection(listening.getsockname())
            ends = listening.accept()[0], peer
        # Where the kernel sizes them itself, it takes nearly all, or stalls for long.
        ends[0].setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 256 * 1024)
        ends[1].setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 256 * 1024)
    ends[1].setblocking(False)
    return ends


def reset(peer: socket.socket) -> None:
    """Close it with a RST."""
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
    peer.close()


class Heard(asyncio.Protocol):
    """A protocol that writes down what it hears."""

    transport: asyncio.Transport

    def __init__(self, *, half_open: bool = False) -> None:
        self.calls: list[str] = []
        self.data = bytearray()
        self.cause: Exception | None = None
        self._half_open = half_open

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.calls.append("made")

    def data_received(self, data: bytes) -> None:
        self.data += data

    def eof_received(self) -> bool:
        self.calls.append("eof")
        return self._half_open

    def pause_writing(self) -> None:
        self.calls.append("pause")

    def resume_writing(self) -> None:
        self.calls.append("resume")

    def connection_lost(self, exc: Exception | None) -> None:
        self.calls.append("lost")
        self.cause = exc

    @property
    def lost(self) -> bool:
        return "lost" in self.calls


@contextlib.asynccontextmanager
async def standing(adopt: Adopt, family: str, heard: Heard) -> AsyncIterator[socket.socket]:
    """A transport under `heard`; the block is given the peer's end. All ends with the block."""
    ours, peer = connected_pair(family)
    try:
        adopt(heard, ours)
        await until(lambda: heard.calls)
        yield peer
    finally:
        peer.close()
        if not heard.lost:
            heard.transport.abort()
        await until_lost(heard)
    assert heard.calls.count("lost") == 1
    assert heard.calls[-1] == "lost"


async def until_heard(size: int, *crowd: Heard) -> None:
    """Wait until each has heard so many bytes."""
    await until(lambda: all(len(heard.data) >= size for heard in crowd))


async def until_lost(*crowd: Heard) -> None:
    await until(lambda: all(heard.lost for heard in crowd))


async def read_all(peer: socket.socket) -> bytes:
    """All up to the end."""
    data = bytearray()
    async with patience():
        while piece := await asyncio.get_running_loop().sock_recv(peer, MIB):
            data += piece
    return bytes(data)


async def send_all(peer: socket.socket, data: bytes) -> None:
    async with patience():
        await asyncio.get_running_loop().sock_sendall(peer, data)


def fill(heard: Heard) -> bytes:
    """Write until the kernel takes no more, and far more than that."""
    data = random.Random(1).randbytes(FILLING)
    heard.transport.write(data)
    return data


# --- bytes

SIZES = st.one_of(st.integers(0, 2_000), st.integers(0, 400_000))
STEPS = st.one_of(
    st.tuples(st.sampled_from(["write", "send", "recv"]), SIZES),
    st.tuples(st.just("lines"), st.lists(SIZES, max_size=150)),
    st.tuples(st.sampled_from(["pause", "resume", "turn"]), st.none()),
)


class Exchange:
    """Does one step after the other, and knows what must have come of them in the end."""

    def __init__(self, heard: Heard, peer: socket.socket) -> None:
        self.sent = bytearray()
        self.written = bytearray()
        self.read = bytearray()
        self._heard = heard
        self._peer = peer
        self._random = random.Random(7)

    def _bytes(self, size: int) -> bytes:
        return self._random.randbytes(size)

    async def do(self, step: str, argument: Any) -> None:
        transport = self._heard.transport
        match step:
            case "write":
                data = self._bytes(argument)
                self.written += data
                transport.write(data)
            case "lines":
                pieces = [self._bytes(size % 9_000) for size in argument]
                self.written += b"".join(pieces)
                transport.writelines(pieces)
            case "send":
                data = self._bytes(argument)
                with contextlib.suppress(BlockingIOError):
                    self.sent += data[: self._peer.send(data)]
            case "recv":
                with contextlib.suppress(BlockingIOError):
                    self.read += self._peer.recv(argument + 1)
            case "pause":
                transport.pause_reading()
            case "resume":
                transport.resume_reading()
            case _:
                await asyncio.sleep(0)

    async def end(self) -> None:
        self._heard.transport.resume_reading()
        await until(lambda: len(self._heard.data) >= len(self.sent))
        self._heard.transport.close()
        self.read += await read_all(self._peer)


@pytest.mark.parametrize("loop", LOOPS.values(), ids=LOOPS)
@every_family
@every_transport
@settings(max_examples=15, deadline=None)
@given(script=st.lists(STEPS, max_size=25))
def test_what_is_written_is_what_is_read(
    adopt: Adopt, family: str, loop: Factory, script: list[tuple[str, Any]]
) -> None:
    async def play() -> None:
        heard = Heard()
        async with standing(adopt, family, heard) as peer:
            exchange = Exchange(heard, peer)
            for step, argument in script:
                await exchange.do(step, argument)
            await exchange.end()
            assert heard.data == exchange.sent
            assert exchange.read == exchange.written
        assert heard.cause is None
        flow = [call for call in heard.calls if call in ("pause", "resume")]
        assert flow == ["pause", "resume"] * (len(flow) // 2)

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(play())


@every_family
@every_transport
async def test_many_mebibytes_at_once_each_way(adopt: Adopt, family: str) -> None:
    heard = Heard()
    async with standing(adopt, family, heard) as peer:
        data = fill(heard)
        assert heard.calls == ["made", "pause"]
        heard.transport.close()
        assert await read_all(peer) == data
        await until_lost(heard)
        assert heard.calls == ["made", "pause", "resume", "lost"]
    heard = Heard()
    async with standing(adopt, family, heard) as peer:
        await send_all(peer, data)
        await until_heard(len(data), heard)
        assert heard.data == data


@every_family
@every_transport
async def test_thousands_of_pieces_at_once(adopt: Adopt, family: str) -> None:
    """More than one `sendmsg` takes, and more than one turn."""
    heard = Heard()
    pieces = [bytes([number % 251]) * (number % 300) for number in range(10_000)]
    async with standing(adopt, family, heard) as peer:
        heard.transport.writelines(bytearray(piece) for piece in pieces)
        heard.transport.close()
        assert await read_all(peer) == b"".join(pieces)


# --- reading


@every_family
@every_transport
async def test_what_came_during_a_pause_is_read_after_it(adopt: Adopt, family: str) -> None:
    heard = Heard()
    async with standing(adopt, family, heard) as peer:
        for number in range(3):
            heard.transport.pause_reading()
            assert not heard.transport.is_reading()
            await send_all(peer, b"unread")
            await asyncio.sleep(0.01)
            assert len(heard.data) == 6 * number
            heard.transport.resume_reading()
            assert heard.transport.is_reading()
            await until_heard(6 * number + 6, heard)


@every_family
@every_transport
async def test_a_pause_may_begin_and_end_while_bytes_are_handled(adopt: Adopt, family: str) -> None:
    class Halting(Heard):
        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self.transport.pause_reading()
            if len(self.calls) % 2:
                self.transport.resume_reading()
            else:
                asyncio.get_running_loop().call_soon(self.transport.resume_reading)
            self.calls.append("data")

    heard = Halting()
    data = random.Random(2).randbytes(3 * MIB)
    async with standing(adopt, family, heard) as peer:
        await send_all(peer, data)
        await until_heard(len(data), heard)
        assert heard.data == data


@every_family
@every_transport
async def test_the_end_of_who_left_during_a_pause_comes_after_its_bytes_once(
    adopt: Adopt, family: str
) -> None:
    heard = Heard()
    async with standing(adopt, family, heard) as peer:
        heard.transport.pause_reading()
        await send_all(peer, b"the last words")
        peer.close()
        await asyncio.sleep(0.01)
        assert heard.calls == ["made"]
        heard.transport.resume_reading()
        heard.transport.resume_reading()
        await until_lost(heard)
        assert heard.data == b"the last words"
        assert heard.calls == ["made", "eof", "lost"]
        assert heard.cause is None


def plain(heard: Heard) -> bytes:
    """Without the bytes that were urgent until another one was."""
    return bytes(heard.data).replace(b"!", b"")


def heard_plainly(heard: Heard, size: int) -> bool:
    return len(plain(heard)) >= size


@every_transport
async def test_urgent_bytes_do_not_stop_the_others(adopt: Adopt) -> None:
    """A read ends where the last of them stands, although there is more."""
    heard = Heard()
    async with standing(adopt, "tcp", heard) as peer:
        for number in range(1, 50):
            peer.send(b"before")
            peer.send(b"!", socket.MSG_OOB)
            if number % 3:
                peer.send(b"after")
            size = 6 * number + 5 * (number - number // 3)
            await until(partial(heard_plainly, heard, size))


@every_transport
async def test_urgent_bytes_in_a_pause_do_not_stop_the_others(adopt: Adopt) -> None:
    heard = Heard()
    async with standing(adopt, "tcp", heard) as peer:
        heard.transport.pause_reading()
        for _ in range(20):
            peer.send(b"before")
            peer.send(b"!", socket.MSG_OOB)
            peer.send(b"after")
            await asyncio.sleep(0)
        heard.transport.resume_reading()
        await until(lambda: len(plain(heard)) >= 220)
        assert plain(heard) == b"beforeafter" * 20


@every_transport
async def test_files_sent_to_us_do_not_stop_the_bytes_and_are_not_kept(adopt: Adopt) -> None:
    heard = Heard()
    async with standing(adopt, "unix", heard) as peer:
        reading, writing = socket.socketpair()
        with reading:
            for _ in range(3):
                peer.send(b"before")
                socket.send_fds(peer, [b"with"], [writing.fileno()])
                peer.send(b"after")
            writing.close()
            await until_heard(45, heard)
            assert heard.data == b"beforewithafter" * 3
            reading.setblocking(False)
            assert reading.recv(1) == b"", "the last one who could write is gone"


@every_family
@every_transport
async def test_another_protocol_hears_what_comes_from_then_on(adopt: Adopt, family: str) -> None:
    other = Heard()

    class Moving(Heard):
        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self.transport.set_protocol(other)
            other.connection_made(self.transport)

    heard = Moving()
    ours, peer = connected_pair(family)
    with peer:
        adopt(heard, ours)
        peer.send(b"one")
        await until(lambda: heard.data)
        assert other.transport.get_protocol() is other
        peer.send(b"two")
        await until(lambda: other.data)
        other.transport.write(b"three")
        peer.shutdown(socket.SHUT_WR)
        assert await read_all(peer) == b"three"
        await until_lost(other)
    assert (bytes(heard.data), heard.calls) == (b"one", ["made"])
    assert (bytes(other.data), other.calls) == (b"two", ["made", "eof", "lost"])


# --- writing and the end


@every_family
@every_transport
async def test_who_hears_no_more_may_still_be_told(adopt: Adopt, family: str) -> None:
    heard = Heard(half_open=True)
    async with standing(adopt, family, heard) as peer:
        peer.shutdown(socket.SHUT_WR)
        await until(lambda: "eof" in heard.calls)
        data = fill(heard)
        heard.transport.write(b"the end")
        heard.transport.close()
        assert await read_all(peer) == data + b"the end"
        await until_lost(heard)
        assert heard.cause is None


@every_family
@every_transport
async def test_the_half_closed_is_still_read_from(adopt: Adopt, family: str) -> None:
    heard = Heard()
    async with standing(adopt, family, heard) as peer:
        data = fill(heard)
        assert heard.transport.can_write_eof()
        heard.transport.write_eof()
        heard.transport.write_eof()
        with pytest.raises(RuntimeError, match="write_eof"):
            heard.transport.write(b"too late")
        with pytest.raises(RuntimeError, match="write_eof"):
            heard.transport.writelines([b"too late"])
        assert await read_all(peer) == data
        await send_all(peer, b"thanks")
        await until(lambda: heard.data)
        assert heard.data == b"thanks"
        assert not heard.lost
        peer.close()
        await until_lost(heard)


@every_family
@every_transport
async def test_after_close_all_is_still_said(adopt: Adopt, family: str) -> None:
    heard = Heard()
    async with standing(adopt, family, heard) as peer:
        data = fill(heard)
        heard.transport.close()
        heard.transport.close()
        assert heard.transport.is_closing()
        assert await read_all(peer) == data
        await until_lost(heard)
        assert heard.cause is None
        heard.transport.close()
        heard.transport.resume_reading()
        heard.transport.pause_reading()


@every_family
@every_transport
async def test_after_close_nothing_is_heard(adopt: Adopt, family: str) -> None:
    heard = Heard()
    async with standing(adopt, family, heard) as peer:
        fill(heard)
        heard.transport.close()
        heard.transport.resume_reading()
        await send_all(peer, b"not heard")
        await asyncio.sleep(0.01)
        assert heard.calls == ["made", "pause"]
        with contextlib.suppress(ConnectionResetError):  # it is unread
            await read_all(peer)
        await until_lost(heard)
        assert heard.data == b""


@every_family
@every_transport
async def test_abort_drops_what_is_queued(adopt: Adopt, family: str) -> None:
    heard = Heard()
    async with standing(adopt, family, heard) as peer:
        data = fill(heard)
        heard.transport.close()
        heard.transport.abort()
        heard.transport.abort()
        assert heard.calls == ["made", "pause"], "it is lost later, by the loop"
        with contextlib.suppress(ConnectionResetError):
            assert len(await read_all(peer)) < len(data)
        await until_lost(heard)
        assert heard.cause is None


@every_transport
@pytest.mark.parametrize("queued", [False, True], ids=["idle", "with-a-queue"])
async def test_a_reset_is_told_as_one(adopt: Adopt, queued: bool) -> None:
    heard = Heard()
    async with standing(adopt, "tcp", heard) as peer:
        if queued:
            fill(heard)
        reset(peer)
        await until_lost(heard)
        assert isinstance(heard.cause, ConnectionResetError)
        assert "eof" not in heard.calls


@every_family
@every_transport
async def test_writing_to_who_is_gone_is_an_end_and_no_signal(adopt: Adopt, family: str) -> None:
    heard = Heard(half_open=True)
    async with standing(adopt, family, heard) as peer:
        peer.close()
        await until(lambda: "eof" in heard.calls)
        async with patience():
            while not heard.lost:
                heard.transport.write(b"hello?")
                await asyncio.sleep(0)
        assert isinstance(heard.cause, BrokenPipeError | ConnectionResetError)


CALLS: dict[str, Callable[[asyncio.Transport], None]] = {
    "close": lambda transport: transport.close(),
    "abort": lambda transport: transport.abort(),
    "write": lambda transport: transport.write(b"x" * FILLING),
    "resume_reading": lambda transport: transport.resume_reading(),
    "set_write_buffer_limits": lambda transport: transport.set_write_buffer_limits(high=1 << 30),
}
PLACES = ["connection_made", "data_received", "eof_received", "pause_writing", "resume_writing"]


@every_transport
@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
@pytest.mark.parametrize("place", PLACES)
async def test_whatever_is_called_from_wherever(
    adopt: Adopt, place: str, call: Callable[[asyncio.Transport], None]
) -> None:
    """Nothing is told out of turn, and there is one end."""
    inside = False

    class Calling(Heard):
        times = 0

        def __getattribute__(self, name: str) -> Any:
            found = super().__getattribute__(name)
            if name == "connection_lost":
                assert not inside, "connection_lost inside of a call"
            return found

    def calling(heard: Calling, *arguments: Any) -> Any:
        nonlocal inside
        result = getattr(Heard, place)(heard, *arguments)
        if heard.times < 3:
            heard.times += 1
            inside = True
            call(heard.transport)
            inside = False
        return result

    heard = type("Called", (Calling,), {place: calling})()
    ours, peer = connected_pair("unix")
    with peer:
        adopt(heard, ours)
        await until(lambda: heard.calls)
        if not heard.transport.is_closing():
            heard.transport.write(b"x" * FILLING)
        with contextlib.suppress(BrokenPipeError):
            peer.send(b"hello")
        await asyncio.sleep(0)
        peer.shutdown(socket.SHUT_WR)
        with contextlib.suppress(ConnectionResetError):
            await read_all(peer)
        await until_lost(heard)
    assert heard.calls.count("lost") == 1
    assert heard.times
    flow = [word for word in heard.calls if word in ("pause", "resume")]
    assert all(word == ("pause", "resume")[number % 2] for number, word in enumerate(flow))


# --- what it is


@every_family
@every_transport
async def test_what_it_knows(adopt: Adopt, family: str) -> None:
    heard = Heard()
    async with standing(adopt, family, heard) as peer:
        transport = heard.transport
        assert transport.get_extra_info("socket").fileno() >= 0
        assert transport.get_extra_info("socket").family == peer.family
        assert transport.get_extra_info("peername") == peer.getsockname()
        assert transport.get_extra_info("sockname") == peer.getpeername()
        assert transport.get_extra_info("ssl_object") is None
        assert transport.get_extra_info("unheard of", 7) == 7
        assert transport.get_protocol() is heard
    assert transport.get_extra_info("unheard of", 7) == 7
    assert transport.get_extra_info("sslcontext") is None


@every_transport
async def test_the_limits_of_what_is_queued(adopt: Adopt) -> None:
    heard = Heard()
    async with standing(adopt, "unix", heard):
        transport = cast(Any, heard.transport)
        for given_, expected in (
            ({"high": 1000}, (250, 1000)),
            ({"low": 100}, (100, 400)),
            ({"high": 10, "low": 10}, (10, 10)),
            ({"high": 0}, (0, 0)),
            ({}, (16 * 1024, 64 * 1024)),
        ):
            transport.set_write_buffer_limits(**given_)
            assert transport.get_write_buffer_limits() == expected
        for wrong in ({"high": 1, "low": 2}, {"high": 1, "low": -1}):
            with pytest.raises(ValueError, match="high"):
                transport.set_write_buffer_limits(**wrong)


@every_transport
@pytest.mark.parametrize("wrong", ["text", 5, [1, 2]])
async def test_only_bytes_are_written(adopt: Adopt, wrong: Any) -> None:
    heard = Heard()
    async with standing(adopt, "unix", heard) as peer:
        with pytest.raises(TypeError):
            heard.transport.write(wrong)
        with pytest.raises(TypeError):
            heard.transport.writelines([b"first", wrong])
        heard.transport.write(memoryview(b"view, "))
        heard.transport.write(bytearray(b"array"))
        heard.transport.close()
        assert (await read_all(peer)).endswith(b"view, array")


@every_family
@every_transport
async def test_a_number_that_is_used_again_is_another_connection(adopt: Adopt, family: str) -> None:
    """Each echoes its own, while hundreds come and go, ended in every way."""

    class Echo(Heard):
        def data_received(self, data: bytes) -> None:
            self.transport.write(data)

    async def visit(number: int) -> None:
        for turn in range(8):
            heard = Echo()
            ours, peer = connected_pair(family)
            adopt(heard, ours)
            words = f"{number}/{turn}".encode() * 50
            with peer:
                await send_all(peer, words)
                answer = b""
                async with patience():
                    while len(answer) < len(words):
                        answer += await asyncio.get_running_loop().sock_recv(peer, 65536)
                assert answer == words
                match number % 4:
                    case 0:
                        heard.transport.abort()
                    case 1:
                        heard.transport.close()
                    case 2:
                        reset(peer)
                    case _:
                        peer.close()
            await until_lost(heard)

    async with asyncio.TaskGroup() as tasks:
        for number in range(40):
            tasks.create_task(visit(number))


@every_transport
async def test_one_may_end_another_that_is_ready_too(adopt: Adopt) -> None:
    """All have bytes at once; the first to hear ends all the others."""
    crowd: list[Heard] = []

    class Ending(Heard):
        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            for number, other in enumerate(crowd):
                if other is not self:
                    other.transport.abort() if number % 2 else other.transport.close()

    peers = []
    for _ in range(20):
        ours, peer = connected_pair("unix")
        crowd.append(Ending())
        adopt(crowd[-1], ours)
        peers.append(peer)
    await until(lambda: all(heard.calls for heard in crowd))
    for peer in peers:
        peer.send(b"hello")
    await until(lambda: sum(heard.lost for heard in crowd) == 19)
    assert sum(bool(heard.data) for heard in crowd) == 1
    for peer in peers:
        peer.close()
    await until_lost(*crowd)


@pytest.fixture(autouse=True)
def nothing_unhandled(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """No test here lets the loop be told of an error."""
    yield
    assert not [record for record in caplog.records if record.name == "asyncio"]
