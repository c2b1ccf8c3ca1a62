"""START_TLS on real sockets: TLS in the middle of a connection, and what must not pass it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from structlog.testing import capture_logs
from tests.net.certificates import contexts
from tests.net.helpers import Serving, Stand, patience, serving
from tests.net.tls_peer import TlsPeer
from tests.protocols.telnet.wire import sb, wire

from holdfast.core.limits import ConnectionLimits, TelnetLimits
from holdfast.net.addresses import Address, parse_address
from holdfast.net.connection.connection import Connection, Upgrade
from holdfast.net.server.admission import AdmissionRefusal
from holdfast.net.server.server import ListenOptions
from holdfast.net.server.start_tls import StartTlsOptions
from holdfast.protocols.telnet.codes import DO, IAC, NAWS, START_TLS, WILL, WONT

pytestmark = pytest.mark.usefixtures("nothing_unhandled")

ASK = wire(IAC, DO, START_TLS)
AGREE = wire(IAC, WILL, START_TLS)
REFUSE = wire(IAC, WONT, START_TLS)
FOLLOWS = sb(START_TLS, 1)
SERVER, CLIENT = contexts()
NEVER = TelnetLimits(negotiation_seconds_max=60.0)


class Echoing(Stand):
    """Says again what it hears."""

    def connected(self) -> None:
        super().connected()
        self.connection.established()

    def received(self, data: bytes) -> None:
        super().received(data)
        self.connection.write(data)


@asynccontextmanager
async def asking(
    limits: ConnectionLimits | None = None, telnet: TelnetLimits = NEVER, *, required: bool = False
) -> AsyncIterator[tuple[Serving, Address]]:
    """A server that asks its clients for TLS."""
    async with serving(limits, Echoing) as it:
        options = ListenOptions(start_tls=StartTlsOptions(SERVER, telnet, required=required))
        where = parse_address("telnet://127.0.0.1:0")
        yield it, await it.server.listen(where, it.factory, None, options)


@pytest.fixture
def sockets() -> Iterator[list[socket.socket]]:
    """Those that a test has opened."""
    opened: list[socket.socket] = []
    yield opened
    for sock in opened:
        sock.close()


def dial(where: Address, sockets: list[socket.socket]) -> socket.socket:
    sock = socket.create_connection(("127.0.0.1", where.port))
    sock.setblocking(False)
    sockets.append(sock)
    return sock


async def call(where: Address, sockets: list[socket.socket]) -> socket.socket:
    sock = dial(where, sockets)
    assert await read(sock, len(ASK)) == ASK
    return sock


async def read(sock: socket.socket, size: int) -> bytes:
    data = b""
    async with patience():
        while len(data) < size:
            data += await asyncio.get_running_loop().sock_recv(sock, size - len(data))
    return data


async def read_all(sock: socket.socket) -> bytes:
    data = b""
    async with patience():
        while more := await asyncio.get_running_loop().sock_recv(sock, 1000):
            data += more
    return data


async def until_closed(sock: socket.socket) -> bytes:
    """What comes until the connection ends, with a reset or without."""
    with contextlib.suppress(ConnectionResetError):
        return await read_all(sock)
    return b""


async def read_tls(peer: TlsPeer, size: int) -> bytes:
    data = b""
    async with patience():
        while len(data) < size:
            try:
                data += peer.recv(size)
            except BlockingIOError:
                await asyncio.sleep(0)
    return data


def faults(logs: list[Any]) -> list[str]:
    return [str(log["why"]) for log in logs if log["event"] == "handshake failed"]


async def test_a_client_that_agrees_goes_on_in_tls(sockets: list[socket.socket]) -> None:
    async with asking() as (it, where):
        sock = await call(where, sockets)
        sock.send(AGREE)
        assert await read(sock, len(FOLLOWS)) == FOLLOWS
        assert not it.stands
        sock.send(FOLLOWS)
        peer = TlsPeer(sock, CLIENT)
        await peer.shake_hands()
        stand = await it.stand()
        assert stand.connection.secure
        peer.send(b"hello")
        assert await read_tls(peer, 5) == b"hello"
        peer.sock.close()
        await stand.until_lost()
        assert stand.data == b"hello"
        assert stand.delivery is not None
        assert stand.delivery.acked <= stand.connection.bytes_out


async def test_the_first_record_may_come_with_follows(sockets: list[socket.socket]) -> None:
    async with asking() as (it, where):
        sock = await call(where, sockets)
        peer = TlsPeer(sock, CLIENT)
        with pytest.raises(ssl.SSLWantReadError):
            peer._ssl.do_handshake()
        sock.send(AGREE + FOLLOWS + peer._out.read())
        assert await read(sock, len(FOLLOWS)) == FOLLOWS
        await peer.shake_hands()
        assert (await it.stand()).connection.secure


async def test_what_comes_in_the_clear_before_tls_is_discarded(
    sockets: list[socket.socket],
) -> None:
    # CVE-2011-0411 and its kind: a command that somebody else has put in front of TLS.
    async with asking() as (it, where):
        sock = await call(where, sockets)
        sock.send(b"give all" + AGREE + b" to mallory\r\n" + FOLLOWS)
        assert await read(sock, len(FOLLOWS)) == FOLLOWS
        peer = TlsPeer(sock, CLIENT)
        await peer.shake_hands()
        peer.send(b"look\r\n")
        assert await read_tls(peer, 6) == b"look\r\n"
        assert (await it.stand()).data == b"look\r\n"


async def test_clear_bytes_behind_follows_are_no_tls(sockets: list[socket.socket]) -> None:
    async with asking() as (it, where):
        with capture_logs() as logs:
            sock = await call(where, sockets)
            sock.send(AGREE + FOLLOWS + b"give all to mallory\r\n")
            assert b"mallory" not in await read_all(sock)
        assert not it.stands
        assert faults(logs) == ["TLS: expected TLS, found something else"]
        assert it.server.tallies[where].failed == 1


@pytest.mark.parametrize("required", [False, True])
async def test_a_client_that_refuses(required: bool, sockets: list[socket.socket]) -> None:
    async with asking(required=required) as (it, where):
        sock = await call(where, sockets)
        with capture_logs() as logs:
            sock.send(wire(IAC, WILL, NAWS) + REFUSE + b"hello\r\n")
            if required:
                told = b"This port speaks Telnet with START_TLS, and your client has not agreed"
                assert (await read_all(sock)).startswith(told)
                assert not it.stands
                assert faults(logs) == ["START_TLS: refused, and required"]
                assert it.server.tallies[where].failed == 1
                return
        stand = await it.stand()
        await stand.until(lambda stand: stand.data.endswith(b"\n"))
        assert stand.data == wire(IAC, WILL, NAWS) + b"hello\r\n"
        assert not stand.connection.secure


async def test_a_client_without_telnet_is_served_after_a_while(
    sockets: list[socket.socket],
) -> None:
    async with asking(telnet=TelnetLimits(negotiation_seconds_max=0.05)) as (it, where):
        sock = await call(where, sockets)
        stand = await it.stand()
        sock.send(b"hello")
        await stand.until(lambda stand: stand.data == b"hello")


async def test_a_client_that_agrees_and_does_nothing_is_dropped(
    sockets: list[socket.socket],
) -> None:
    telnet = TelnetLimits(negotiation_seconds_max=0.05)
    async with asking(telnet=telnet) as (it, where):
        with capture_logs() as logs:
            sock = await call(where, sockets)
            sock.send(AGREE)
            assert await read_all(sock) == FOLLOWS
        assert faults(logs) == ["START_TLS: agreed to, and not begun"]
        assert it.server.tallies[where].failed == 1
        assert not it.stands


async def test_the_handshake_has_the_time_of_any_other(sockets: list[socket.socket]) -> None:
    async with asking(ConnectionLimits(handshake_seconds_max=0.2)) as (it, where):
        with capture_logs() as logs:
            sock = await call(where, sockets)
            sock.send(AGREE + FOLLOWS)
            assert await read(sock, len(FOLLOWS)) == FOLLOWS
            assert await until_closed(sock) == b""
        assert not it.stands
        assert not it.server.connections
        assert faults(logs) == ["not over within 0.2 s"]
        assert it.server.tallies[where].failed == 1


async def test_one_address_has_so_many_handshakes(sockets: list[socket.socket]) -> None:
    async with asking(ConnectionLimits(handshakes_per_address_max=1)) as (it, where):
        first, second = await call(where, sockets), await call(where, sockets)
        first.send(AGREE + FOLLOWS)
        assert await read(first, len(FOLLOWS)) == FOLLOWS
        second.send(AGREE + FOLLOWS)
        await until_closed(second)
        assert it.server.refusals == {AdmissionRefusal.TOO_MANY_FROM_ADDRESS: 1}
        assert it.server.tallies[where].refused == 1
        peer = TlsPeer(first, CLIENT)
        await peer.shake_hands()
        await it.stand()
        third = await call(where, sockets)  # the first one's handshake is over
        third.send(AGREE + FOLLOWS)
        assert await read(third, len(FOLLOWS)) == FOLLOWS
        await TlsPeer(third, CLIENT).shake_hands()
        assert it.server.tallies[where].failed == 0


async def test_handshakes_of_all_kinds_are_one_limit(sockets: list[socket.socket]) -> None:
    async with asking(ConnectionLimits(handshakes_per_address_max=1)) as (it, where):
        secure = await it.server.listen(parse_address("tls://127.0.0.1:0"), it.factory, SERVER)
        first = await call(where, sockets)
        first.send(AGREE + FOLLOWS)
        assert await read(first, len(FOLLOWS)) == FOLLOWS
        assert await until_closed(dial(secure, sockets)) == b""
        first.close()
        async with patience():
            while it.server.connections:  # noqa: ASYNC110
                await asyncio.sleep(0)
        assert it.server.refusals == {AdmissionRefusal.TOO_MANY_FROM_ADDRESS: 1}
        peer = TlsPeer(dial(secure, sockets), CLIENT)  # a client that has left counts no more
        await peer.shake_hands()


@pytest.mark.parametrize("said", [b"", AGREE, AGREE + FOLLOWS])
async def test_a_client_that_leaves(said: bytes, sockets: list[socket.socket]) -> None:
    async with asking() as (it, where):
        sock = await call(where, sockets)
        sock.send(said)
        sock.close()
        async with patience():
            while it.server.connections:  # noqa: ASYNC110
                await asyncio.sleep(0)
        assert not it.stands


async def test_a_server_that_stops(sockets: list[socket.socket]) -> None:
    async with asking() as (it, where):
        sock = await call(where, sockets)
        await it.server.drain(10.0)
        assert await read_all(sock) == b""


async def test_tls_in_the_middle_of_a_handler(sockets: list[socket.socket]) -> None:
    """`Connection.start_tls` for any protocol: what was written before goes out in the clear."""

    class Line(Stand):
        def received(self, data: bytes) -> None:
            super().received(data)
            if data == b"STARTTLS\r\n":
                self.connection.write(b"220 go on\r\n")
                self.connection.pause_reading()
                upgrade = Upgrade(True, b"", lambda: self._heard("secured"))
                self.connection.start_tls(SERVER, upgrade)
            else:
                self.connection.write(data.upper())

    def make(connection: Connection) -> Stand:
        return Line(connection)

    async with serving(None, make) as it:
        where = await it.listen("tcp://127.0.0.1:0")
        sock = dial(where, sockets)
        sock.send(b"STARTTLS\r\n")
        assert await read(sock, 11) == b"220 go on\r\n"
        peer = TlsPeer(sock, CLIENT)
        await peer.shake_hands()
        stand = await it.stand()
        await stand.until(lambda stand: "secured" in stand.calls)
        peer.send(b"hello")
        assert await read_tls(peer, 5) == b"HELLO"
        assert stand.connection.bytes_out == 16
        peer.sock.close()
        await stand.until_lost()
