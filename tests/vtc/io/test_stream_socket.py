"""Connections of scripts, on real sockets."""

from __future__ import annotations

import contextlib
import socket

import pytest

from holdfast.vtc.io import stream_socket
from holdfast.vtc.io.socket_address import SocketAddress


async def test_a_connection_is_opened_within_a_time_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel answers no request for a connection to a listener whose queue is full."""
    monkeypatch.setattr(stream_socket, "CONNECT_SECONDS_MAX", 0.05)
    with contextlib.ExitStack() as closing:
        listener = closing.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(4):
            waiting = closing.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        with pytest.raises(TimeoutError, match="Connection timed out"):
            await stream_socket.connect([SocketAddress(socket.AF_INET, listener.getsockname())])
