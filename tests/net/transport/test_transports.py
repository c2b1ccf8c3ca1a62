"""What every transport is held to: bytes, and what it is."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
from functools import partial
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.loops import LOOPS, Factory
from tests.net.helpers import until
from tests.net.transports import (
    MIB,
    Adopt,
    Heard,
    Peer,
    adopted,
    by_tls,
    every_family,
    every_transport,
    fill,
    plain_transports,
    read_all,
    receive,
    reset,
    send_all,
    spare_asyncio,
    standing,
    until_heard,
    until_lost,
)

pytestmark = pytest.mark.usefixtures("nothing_unhandled")

# --- bytes

SIZES = st.one_of(st.integers(0, 2_000), st.integers(0, 400_000))
STEPS = st.one_of(
    st.tuples(st.sampled_from(["write", "send", "recv"]), SIZES),
    st.tuples(st.just("lines"), st.lists(SIZES, max_size=150)),
    st.tuples(st.sampled_from(["pause", "resume", "turn"]), st.none()),
)


class Exchange:
    """Does one step after the other, and knows what must have come of them in the end."""

    def __init__(self, heard: Heard, peer: Peer) -> None:
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
        await send_all(self._peer, b"")
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
    spare_asyncio(adopt, on_asyncio=loop is asyncio.new_event_loop)

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


@plain_transports
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


@plain_transports
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


@plain_transports
async def test_files_sent_to_us_do_not_stop_the_bytes_and_are_not_kept(adopt: Adopt) -> None:
    heard = Heard()
    async with standing(adopt, "unix", heard) as peer:
        assert isinstance(peer, socket.socket)
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
    with await adopted(adopt, family, heard) as peer:
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
        assert (transport.get_extra_info("ssl_object") is None) is (adopt is not by_tls)
        assert transport.get_extra_info("unheard of", 7) == 7
        assert transport.get_protocol() is heard
    assert transport.get_extra_info("unheard of", 7) == 7
    assert (transport.get_extra_info("sslcontext") is None) is (adopt is not by_tls)


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
            words = f"{number}/{turn}".encode() * 50
            with await adopted(adopt, family, heard) as peer:
                await send_all(peer, words)
                answer = b""
                while len(answer) < len(words):
                    answer += await receive(peer)
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
        crowd.append(Ending())
        peers.append(await adopted(adopt, "unix", crowd[-1]))
    await until(lambda: all(heard.calls for heard in crowd))
    for peer in peers:
        peer.send(b"hello")
    await until(lambda: sum(heard.lost for heard in crowd) == 19)
    assert sum(bool(heard.data) for heard in crowd) == 1
    for peer in peers:
        peer.close()
    await until_lost(*crowd)
