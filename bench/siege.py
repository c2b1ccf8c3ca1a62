"""A WebSocket server besieged: half-open handshakes, and clients that never read.

Beside 100 clients that talk, thousands hold the server up. Prints what the
talking ones notice, and how far the server's memory grows.
"""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator, Sequence

from bench import harness
from bench.harness import HERE, PYTHON, Row

_REQUEST = (
    b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
_LOAD = ["-m", "ws", "-c", "100", "-s", "64", "-p", "1", "-d", "3"]


def _dial(port: int) -> socket.socket:
    made = socket.create_connection(("127.0.0.1", port), 10)
    made.settimeout(10)
    return made


@contextlib.contextmanager
def nobody(port: int, count: int) -> Iterator[None]:
    """Peace."""
    yield


@contextlib.contextmanager
def half_open(port: int, count: int) -> Iterator[None]:
    """Clients that have sent half a request, and send no more."""
    held = []
    for _ in range(count):
        made = _dial(port)
        made.sendall(_REQUEST[:60])
        held.append(made)
    try:
        yield
    finally:
        for made in held:
            made.close()


@contextlib.contextmanager
def never_reading(port: int, count: int) -> Iterator[None]:
    """Clients that ask for more than their sockets hold, and read nothing of it."""
    frame = b"\x82\xfe\xff\xff" + bytes(4) + b"x" * 65_535
    held = []
    for _ in range(count):
        made = _dial(port)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        made.sendall(_REQUEST)
        made.recv(1000)
        made.setblocking(False)
        held.append(made)
    for made in held:
        with contextlib.suppress(OSError):
            for _ in range(200):  # up to 13 MB each, until the server takes no more
                made.send(frame)
    try:
        yield
    finally:
        for made in held:
            made.close()


def main(arguments: Sequence[str]) -> int:
    parser = harness.parser(__doc__)
    parser.add_argument("--half-open", type=int, default=5_000)
    parser.add_argument("--never-reading", type=int, default=1_000)
    options = parser.parse_args(arguments)
    rows: list[Row] = []
    sieges = (
        ("nobody", nobody, 0),
        (f"{options.half_open} half-open", half_open, options.half_open),
        (f"{options.never_reading} never reading", never_reading, options.never_reading),
    )
    for name, siege, count in sieges:
        port = harness.free_port()
        command = [PYTHON, str(HERE / "apps" / "websocket_echo.py"), str(port)]
        with harness.running(command, port=port) as process:
            harness.load(port, process.pid, *_LOAD)  # warm
            before = harness.rss_bytes(process.pid)
            with siege(port, count):
                time.sleep(0.5)
                row = harness.load(port, process.pid, *_LOAD)
                grown = harness.rss_bytes(process.pid) - before
            keys = ("rps", "p50", "p99", "us_msg")
            rows.append(
                {"beside": name, **{key: row[key] for key in keys}, "MiB more": grown / 2**20}
            )
    harness.show("A server besieged, as 100 clients notice it", rows, as_json=options.json)
    return 0
