"""What the kernel tells of a connection, by the places of its struct."""

from __future__ import annotations

import socket
import struct

import pytest

from holdfast.net.transport.tcp_info import (
    Delivery,
    TcpInfo,
    input_held,
    output_held,
    tcp_info,
    through_tls,
)


class Told:
    """A socket for which the kernel tells what a test wants."""

    def __init__(self, info: bytes, family: int = socket.AF_INET) -> None:
        self._info = info
        self.family = family

    def fileno(self) -> int:
        return -1

    def getsockopt(self, level: int, option: int, size: int, /) -> bytes:
        assert (level, option) == (socket.IPPROTO_TCP, socket.TCP_INFO)
        return self._info[:size]


def info(state: int = 1, acked: int = 5, sent: int = 9, again: int = 2, window: int = 7) -> bytes:
    """`struct tcp_info` of linux/tcp.h as far as the window."""
    head = struct.pack("=B119xQ", state, acked)
    return head.ljust(200, b"\xee") + struct.pack("=QQ12xI", sent, again, window)


@pytest.mark.parametrize(
    ("told", "found"),
    [
        (info(), TcpInfo(True, 5, 7, 7)),
        (info(state=4), TcpInfo(False, 5, 7, 7)),
        (info(window=0), TcpInfo(True, 5, 7, 0)),
        (info(sent=6, again=3), TcpInfo(True, 5, 5, 7)),
        (info()[:231], TcpInfo(True, 5, 7, None)),
        (info()[:216], TcpInfo(True, 5, 7, None)),
        (info()[:215], None),
    ],
)
def test_each_value_has_its_place(told: bytes, found: TcpInfo | None) -> None:
    assert tcp_info(Told(told)) == found
    assert tcp_info(Told(told, socket.AF_INET6)) == found


def test_nothing_is_told_of_what_is_no_tcp() -> None:
    assert tcp_info(None) is None
    assert tcp_info(Told(info(), socket.AF_UNIX)) is None
    assert (output_held(None), input_held(None)) == (0, 0)
    closed = socket.socket()
    closed.close()
    assert tcp_info(closed) is None
    assert (output_held(closed), input_held(closed)) == (0, 0)


def test_a_connection_is_established_and_holds_what_is_not_read() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname())
        server, _ = listener.accept()
        with client, server:
            client.sendall(b"hello")
            found = tcp_info(client)
            assert found is not None
            assert found.established
            while input_held(server) < 5:
                pass
            assert input_held(server) == 5
            assert server.recv(5) == b"hello"
            assert input_held(server) == 0
            while output_held(client):
                pass
            client.shutdown(socket.SHUT_WR)
            found = tcp_info(client)
            assert found is not None
            assert not found.established


@pytest.mark.parametrize(
    ("acked", "sent", "delivery"),
    [
        (120, 120, Delivery(100, 100)),
        (130, 130, Delivery(110, 100)),
        (100, 110, Delivery(80, 90)),
        (100, 120, Delivery(80, 100)),
        (10, 20, Delivery(0, 10)),
        (0, 119, Delivery(0, 100)),
    ],
)
def test_plain_bytes_have_come_as_far_as_their_records(
    acked: int, sent: int, delivery: Delivery
) -> None:
    assert through_tls(TcpInfo(True, acked, sent, None), 100, 120) == delivery
