"""Negotiate About Window Size (RFC 1073)."""

from __future__ import annotations

import pytest
from tests.protocols.telnet.wire import client, feed, sb, telnet_server, wire

from holdfast.protocols.telnet import WindowSize
from holdfast.protocols.telnet.codes import DO, DONT, IAC, NAWS, WILL

WILL_NAWS = wire(IAC, WILL, NAWS)


def size(width: int, height: int) -> bytes:
    return sb(NAWS, width.to_bytes(2, "big"), height.to_bytes(2, "big"))


@pytest.mark.parametrize(
    ("width", "height", "told"),
    [
        pytest.param(80, 24, (80, 24), id="usual"),
        pytest.param(100, 255, (100, 255), id="doubled-iac"),
        pytest.param(0xFFFF, 0xFFFF, (500, 300), id="huge"),
        pytest.param(500, 300, (500, 300), id="greatest"),
        pytest.param(1, 1, (20, 5), id="tiny"),
        pytest.param(20, 5, (20, 5), id="least"),
        pytest.param(0, 24, (0, 24), id="unknown-width"),
        pytest.param(80, 0, (80, 0), id="unknown-height"),
    ],
)
def test_a_size_is_held_to_what_can_be_used(width: int, height: int, told: tuple[int, int]) -> None:
    server = telnet_server(WILL_NAWS, size(width, height))
    known = server.capabilities
    assert (known.width, known.height) == told
    assert (known.raw_width, known.raw_height) == (width, height)
    assert server.handle_timer(0.1) == [WindowSize(*told)]


@pytest.mark.parametrize("payload", [b"", b"\0P\0", b"\0P\0\x18\0"], ids=["0", "3", "5"])
def test_a_payload_of_another_length_is_ignored(payload: bytes) -> None:
    server = telnet_server(WILL_NAWS, sb(NAWS, payload))
    assert (server.capabilities.raw_width, server.capabilities.raw_height) == (0, 0)


def test_of_a_storm_only_the_last_size_is_told() -> None:
    server = telnet_server(WILL_NAWS)
    server.handle_timer(5.0)
    for tick in range(10):
        assert server.receive_data(size(80 + tick, 24), 10 + tick / 100) == []
    assert server.next_deadline() == 10.1
    assert server.handle_timer(10.09) == []
    assert server.handle_timer(10.1) == [WindowSize(89, 24)]
    assert server.next_deadline() is None
    # A new storm has a time of its own.
    server.receive_data(size(70, 24), 20.0)
    assert server.next_deadline() == 20.1


def test_the_same_size_again_is_no_news() -> None:
    server = telnet_server(WILL_NAWS, size(80, 24))
    server.handle_timer(5.0)
    server.receive_data(size(80, 24), 6.0)
    assert server.next_deadline() is None


def test_the_client_tells_its_size_when_asked_and_when_it_changes() -> None:
    peer = client()
    peer.resize(90, 30)
    assert peer.data_to_send() == b""
    assert feed(peer, [wire(IAC, DO, NAWS)])[1] == WILL_NAWS + size(90, 30)
    peer.resize(255, 30)
    assert peer.data_to_send() == b"\xff\xfa\x1f\x00\xff\xff\x00\x1e\xff\xf0"
    feed(peer, [wire(IAC, DONT, NAWS)])
    peer.resize(80, 24)
    assert peer.data_to_send() == b""
