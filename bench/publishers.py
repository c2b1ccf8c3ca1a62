"""The two ends of `bench publish`: clients that count, and the requests of publishers."""

from __future__ import annotations

import base64
import os
import select
import socket
import time

MARK = b"~"
"""In each text that is counted."""
_ROUND_SECONDS = 0.003
"""Clients are read in rounds: to wake one for each text would cost the gateway time."""


def opened(port: int) -> socket.socket:
    """A WebSocket without a sub-protocol."""
    sock = socket.create_connection(("127.0.0.1", port))
    key = base64.b64encode(os.urandom(16)).decode()
    sock.sendall(
        f"GET / HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n".encode()
    )
    head = b""
    while b"\r\n\r\n" not in head:
        head += sock.recv(65536)
    assert head.startswith(b"HTTP/1.1 101"), head[:100]
    sock.setblocking(False)
    return sock


class Counting:
    """Clients that read, and count marks."""

    def __init__(self, port: int, count: int) -> None:
        self.marks = 0
        self._socks = {sock.fileno(): sock for sock in (opened(port) for _ in range(count))}
        self._poll = select.epoll()
        for number in self._socks:
            self._poll.register(number, select.EPOLLIN)

    def read(self, seconds: float) -> None:
        """Read for so long."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            time.sleep(min(left, _ROUND_SECONDS))
            for number, _ in self._poll.poll(left):
                self.marks += self._socks[number].recv(1 << 18).count(MARK)

    def say(self, text: str) -> None:
        """The first of them sends a short text."""
        payload = text.encode()
        size = (
            bytes([0x80 | len(payload)])
            if len(payload) < 126
            else b"\xfe" + len(payload).to_bytes(2)
        )
        next(iter(self._socks.values())).send(b"\x81" + size + bytes(4) + payload)

    def leave(self, count: int) -> None:
        """The last `count` of them go away."""
        for number in list(self._socks)[len(self._socks) - count :]:
            self._poll.unregister(number)
            self._socks.pop(number).close()

    def close(self) -> None:
        self._poll.close()
        for sock in self._socks.values():
            sock.close()


def request(port: int, key: str, body: str) -> bytes:
    """A request to publish."""
    head = (
        f"POST /v1/publish HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {key}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return (head + body).encode()
