"""What TLS adds to a transport: two directions that end apart, and an end that is proven."""

from __future__ import annotations

import asyncio
import resource
import socket
import ssl
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.net.certificates import contexts, write_pems
from tests.net.helpers import Stand, patience, serving, until
from tests.net.tls_peer import TlsPeer
from tests.net.transports import (
    MIB,
    Heard,
    adopted,
    by_tls,
    read_all,
    receive,
    send_all,
    standing,
    until_lost,
)

from holdfast.core.errors import Source
from holdfast.net.connection.connection import Connection
from holdfast.net.connection.stream import Stream, StreamClosedError, serve
from holdfast.net.tls.contexts import client_context
from holdfast.net.tls.options import TlsOptions
from holdfast.net.transport.tls import TruncatedError

pytestmark = pytest.mark.usefixtures("nothing_unhandled")

ANSWER = bytes(4 * MIB)


async def tls_client(port: int, context: ssl.SSLContext) -> TlsPeer:
    sock = socket.create_connection(("127.0.0.1", port))
    sock.setblocking(False)
    peer = TlsPeer(sock, context)
    await peer.shake_hands()
    return peer


@contextmanager
def trusted(**more: Any) -> Iterator[tuple[TlsOptions, ssl.SSLContext]]:
    """The options of a server, and a context for its clients."""
    with tempfile.TemporaryDirectory() as folder:
        pems = write_pems(Path(folder))
        yield TlsOptions(certificates=(pems.certificate,), **more), client_context(pems.authority)


# --- ends while records wait


class Halting(Stand):
    """Takes one record at a time."""

    def received(self, data: bytes) -> None:
        super().received(data)
        self.connection.pause_reading()


@pytest.mark.parametrize("make", [Stand, Halting], ids=["read", "unread"])
@pytest.mark.parametrize("end", [Connection.close_on, Connection.end], ids=["close_on", "end"])
async def test_records_that_wait_to_be_read_cost_nothing_of_an_answer(
    end: Callable[[Connection], None], make: type[Stand]
) -> None:
    server_context, context = contexts()
    async with serving(make=make) as server:
        address = await server.listen("tls://127.0.0.1:0", server_context)
        with await tls_client(address.port, context) as peer:
            stand = await server.stand()
            peer.send_records(*[b"x" * 1000] * 20)
            await stand.until(lambda stand: stand.data)
            stand.connection.write(ANSWER)
            end(stand.connection)
            peer.send(b"x" * 1000)
            assert len(await read_all(peer)) == len(ANSWER)


async def test_nor_do_records_that_were_read_and_not_delivered() -> None:
    class HaltingHeard(Heard):
        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self.transport.pause_reading()

    heard = HaltingHeard()
    async with standing(by_tls, "tcp", heard) as peer:
        assert isinstance(peer, TlsPeer)
        peer.send_records(*[b"x" * 100] * 20)
        await until(lambda: heard.data)
        heard.transport.write(ANSWER)
        heard.transport.close()
        assert len(await read_all(peer)) == len(ANSWER)


async def test_what_comes_after_our_end_is_read() -> None:
    heard = Heard(half_open=True)
    async with standing(by_tls, "unix", heard) as peer:
        heard.transport.write_eof()
        assert await read_all(peer) == b""
        await send_all(peer, b"x" * MIB)
        peer.shutdown(socket.SHUT_WR)
        await until(lambda: "eof" in heard.calls)
        assert len(heard.data) == MIB


# --- the peer's end


async def test_after_the_peer_s_close_notify_nothing_is_read() -> None:
    """RFC 8446 section 6.1: it "MUST be ignored"."""
    heard = Heard(half_open=True)
    async with standing(by_tls, "unix", heard) as peer:
        assert isinstance(peer, TlsPeer)
        peer.send(b"all")
        peer.shutdown(socket.SHUT_WR)
        for _ in range(10):
            peer.sock.send(b"\x17\x03\x03\x00\x10" + bytes(16))
        await until(lambda: "eof" in heard.calls)
        heard.transport.write(b"still")
        assert await receive(peer) == b"still"
        assert heard.data == b"all"
        assert not heard.lost


async def test_with_tls_1_2_close_notify_ends_both_directions() -> None:
    """RFC 5246 section 7.2.1."""
    errors: list[StreamClosedError] = []

    async def answer(stream: Stream) -> None:
        question = await stream.read(100)
        try:
            async with patience():
                while True:
                    await stream.write(question)
                    await asyncio.sleep(0)
        except StreamClosedError as error:
            errors.append(error)

    with trusted(maximum="1.2") as (tls, context):
        async with serve(answer, "tls://127.0.0.1:0", tls=tls) as server:
            with await tls_client(server.addresses[0].port, context) as peer:
                peer.send(b"a question")
                peer.shutdown(socket.SHUT_WR)
                await read_all(peer)
                await until(lambda: errors)


async def test_a_question_that_ends_with_close_notify_is_answered() -> None:
    async def count(stream: Stream) -> None:
        size = 0
        async for data in stream:
            size += len(data)
        await stream.write(b"%d bytes" % size)

    with trusted() as (tls, context):
        async with serve(count, "tls://127.0.0.1:0", tls=tls) as server:
            with await tls_client(server.addresses[0].port, context) as peer:
                await send_all(peer, bytes(100_000))
                peer.shutdown(socket.SHUT_WR)
                assert await read_all(peer) == b"100000 bytes"


async def test_a_stream_that_is_cut_off_does_not_end_as_if_it_were_whole() -> None:
    ends: list[object] = []

    async def keep(stream: Stream) -> None:
        try:
            ends.append([data async for data in stream])
        except StreamClosedError as error:
            ends.append(error.__cause__)

    with trusted() as (tls, context):
        async with serve(keep, "tls://127.0.0.1:0", tls=tls) as server:
            with await tls_client(server.addresses[0].port, context) as peer:
                peer.send(b"half of a")
                peer.sock.shutdown(socket.SHUT_WR)
                await until(lambda: ends)
    assert isinstance(ends[0], TruncatedError)


async def test_an_end_without_close_notify_is_told_apart() -> None:
    heard = Heard()
    async with standing(by_tls, "tcp", heard) as peer:
        assert isinstance(peer, TlsPeer)
        peer.send(b"pay 1")
        peer.sock.shutdown(socket.SHUT_WR)  # a man in the middle can do that
        await until_lost(heard)
        assert heard.data == b"pay 1"
        assert "eof" not in heard.calls
        assert isinstance(heard.cause, TruncatedError)


async def test_what_was_answered_before_it_is_sent_all_the_same() -> None:
    class Answering(Heard):
        def data_received(self, data: bytes) -> None:
            asyncio.get_running_loop().call_soon(self.transport.write, ANSWER)

    heard = Answering()
    async with standing(by_tls, "tcp", heard) as peer:
        assert isinstance(peer, TlsPeer)
        peer.send(b"question")
        peer.sock.shutdown(socket.SHUT_WR)
        assert len(await read_all(peer)) == len(ANSWER)


async def test_after_both_ends_a_peer_that_is_gone_is_no_fault() -> None:
    heard = Heard()
    async with standing(by_tls, "unix", heard) as peer:
        peer.close()
        await until_lost(heard)
        assert heard.calls == ["made", "eof", "lost"]
        assert heard.cause is None


# --- our end


@pytest.mark.parametrize("end", ["close", "abort"])
async def test_nothing_is_delivered_after_our_end(end: str) -> None:
    class Ending(Heard):
        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            getattr(self.transport, end)()

    heard = Ending()
    async with standing(by_tls, "tcp", heard) as peer:
        assert isinstance(peer, TlsPeer)
        peer.send_records(*[b"x"] * 5)
        await until_lost(heard)
        assert heard.data == b"x"


# --- memory


def resident() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


async def test_large_messages_leave_little_behind() -> None:
    """OpenSSL keeps what its buffers have grown to."""
    crowd = [Heard() for _ in range(64)]
    peers = [await adopted(by_tls, "unix", heard) for heard in crowd]
    before = resident()
    for heard, peer in zip(crowd, peers, strict=True):
        heard.transport.write(bytes(MIB))
        got = 0
        while got < MIB:
            got += len(await receive(peer))
        await send_all(peer, bytes(MIB))
        await until(lambda heard=heard: len(heard.data) == MIB)  # type: ignore[misc]
        heard.data.clear()
    grown = resident() - before
    for peer in peers:
        peer.close()
    await until_lost(*crowd)
    assert grown < 24 * MIB


def test_a_cut_connection_is_the_peer_s_fault_and_may_be_tried_again() -> None:
    assert (TruncatedError.source, TruncatedError.retryable) == (Source.REMOTE, True)
    assert issubclass(TruncatedError, ConnectionError)
