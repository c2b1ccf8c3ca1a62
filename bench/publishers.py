"""The two ends of `bench publish`, on bare sockets: clients that count, and publishers.

`python -m bench.publishers publish PORT KEY CONNECTIONS SECONDS WARM_UP BODY...` sends the bodies
round and round, one request under way on each connection, and prints how many were answered.
"""

from __future__ import annotations

import base64
import json
import os
import select
import socket
import sys
import time
from collections.abc import Sequence

MARK = b"~"
"""In each text that is counted."""


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
            for number, _ in self._poll.poll(left):
                self.marks += self._socks[number].recv(1 << 18).count(MARK)

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


def publish(
    port: int, key: str, connections: int, seconds: float, warm_up: float, bodies: Sequence[str]
) -> None:
    """Publish for so long; prints a JSON object."""
    requests = [request(port, key, body) for body in bodies]
    poll = select.epoll()
    socks = {}
    for number in range(connections):
        sock = socket.create_connection(("127.0.0.1", port))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.sendall(requests[number % len(requests)])
        socks[sock.fileno()] = sock
        poll.register(sock.fileno(), select.EPOLLIN)
    answered, counted_from, begun = 0, 0, time.monotonic()
    since, cpu = begun, 0.0
    while (now := time.monotonic()) - begun < warm_up + seconds:
        if not counted_from and now - begun >= warm_up:
            counted_from, since, cpu = answered, now, time.process_time()
        for number, _ in poll.poll(1.0):
            sock = socks[number]
            answer = sock.recv(65536)
            assert answer.startswith(b"HTTP/1.1 200"), answer
            answered += 1
            sock.send(requests[answered % len(requests)])
    taken = time.monotonic() - since
    done = answered - counted_from
    print(
        json.dumps(
            {"per_second": done / taken, "us_load": (time.process_time() - cpu) / done * 1e6}
        )
    )


if __name__ == "__main__":
    _, _, port, key, connections, seconds, warm_up, *bodies = sys.argv
    publish(int(port), key, int(connections), float(seconds), float(warm_up), bodies)
