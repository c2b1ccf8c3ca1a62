"""An accepted socket before it is a connection: the PROXY header, and the limit of time."""

from __future__ import annotations

from typing import Any

import pytest
from tests.net.fakes import FakeLoop, FakeOwner, FakeTransport, Recorder, runtime

from holdfast.core.limits import ConnectionLimits
from holdfast.net.connection.connection import Connection
from holdfast.net.server.handshake import (
    HandshakeError,
    PendingConnection,
    ProxyOptions,
    TrustedProxies,
)

LIMITS = ConnectionLimits(handshake_seconds_max=10)
HEADER = b"PROXY TCP4 198.51.100.7 192.0.2.9 4711 80\r\n"


class FakeServer:
    """The owner of handshakes, and what it is told."""

    def __init__(self, *, admits: bool = True) -> None:
        self.loop = FakeLoop()
        self.runtime = runtime(self.loop)
        self.limits = LIMITS
        self.under_way: list[PendingConnection] = []
        self.asked: list[str] = []
        self.failures: list[str] = []
        self.handlers: list[Recorder] = []
        self._admits = admits
        self.answer = b""

    def handshake_began(self, pending: PendingConnection) -> None:
        self.under_way.append(pending)

    def handshake_ended(self, pending: PendingConnection) -> None:
        self.under_way.remove(pending)

    def refusal(self, peer: str) -> bytes | None:
        self.asked.append(peer)
        return None if self._admits else self.answer

    def failed(self, peer: str, error: HandshakeError) -> None:
        self.failures.append(f"{peer}: {error}")

    def connect(self, pending: PendingConnection) -> Connection:
        connection = Connection(self.runtime, LIMITS, FakeOwner(), peer=pending.peer)
        self.handlers.append(Recorder())
        connection.attach(self.handlers[-1])
        return connection


def begun(server: FakeServer) -> tuple[PendingConnection, Any]:
    proxies = TrustedProxies(ProxyOptions(("192.0.2.0/24",)))
    pending = PendingConnection(
        server, "192.0.2.1:4000", server.connect, proxies=proxies, context=None
    )
    transport = FakeTransport(None)  # type: ignore[arg-type]
    pending.connection_made(transport)
    return pending, transport


@pytest.mark.parametrize("cut", range(len(HEADER) + 1))
def test_what_comes_after_the_header_is_the_connection_s(cut: int) -> None:
    server = FakeServer()
    pending, transport = begun(server)
    assert server.under_way == [pending]
    data = HEADER + b"hello"
    pending.data_received(data[:cut])
    if cut < len(HEADER):
        assert not server.handlers
        pending.data_received(data[cut:])
    else:
        transport.protocol.data_received(data[cut:])
    (handler,) = server.handlers
    assert b"".join(call[1] for call in handler.calls if call[0] == "received") == b"hello"
    assert transport.protocol.peer == "198.51.100.7:4711"
    assert server.asked == ["198.51.100.7:4711"]
    assert not server.under_way
    assert not server.failures


@pytest.mark.parametrize(
    ("data", "why"),
    [(b"GET / HTTP/1.1\r\n", "PROXY: "), (b"PROXY nonsense\r\n", "PROXY: ")],
)
def test_what_is_no_header_is_refused_with_the_reason(data: bytes, why: str) -> None:
    server = FakeServer()
    pending, transport = begun(server)
    pending.data_received(data)
    assert transport.aborted
    (failure,) = server.failures
    assert failure.startswith(f"192.0.2.1:4000: {why}")
    pending.connection_lost(None)
    assert len(server.failures) == 1


def test_a_client_that_may_not_come_in_is_dropped() -> None:
    server = FakeServer(admits=False)
    pending, transport = begun(server)
    pending.data_received(HEADER)
    assert transport.aborted
    assert not server.handlers
    assert not server.under_way


def test_it_may_be_told_why() -> None:
    server = FakeServer(admits=False)
    server.answer = b"no room"
    pending, transport = begun(server)
    pending.data_received(HEADER)
    assert b"".join(transport.written) == b"no room"
    assert transport.is_closing()
    assert not transport.aborted
    assert not server.handlers
    assert not server.under_way


def test_it_has_so_much_time_and_no_more() -> None:
    server = FakeServer()
    _, transport = begun(server)
    server.loop.advance(LIMITS.handshake_seconds_max - 0.01)
    assert not transport.aborted
    server.loop.advance(0.5)
    assert transport.aborted
    assert server.failures == ["192.0.2.1:4000: not over within 10 s"]
    assert not server.under_way


def test_once_it_is_over_its_time_is_no_limit() -> None:
    server = FakeServer()
    pending, transport = begun(server)
    pending.data_received(HEADER)
    transport.protocol.established()
    server.loop.advance(LIMITS.handshake_seconds_max + 1)
    assert not transport.aborted
    assert not server.failures


@pytest.mark.parametrize(
    ("end", "why"),
    [
        (lambda pending: pending.eof_received(), "the peer hung up before its first byte"),
        (lambda pending: pending.connection_lost(None), "the peer hung up"),
    ],
)
def test_a_peer_that_hangs_up_is_told_of(end: Any, why: str) -> None:
    server = FakeServer()
    pending, _ = begun(server)
    end(pending)
    assert server.failures == [f"192.0.2.1:4000: {why}"]
    assert not server.under_way
