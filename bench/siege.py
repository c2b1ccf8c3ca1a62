"""A WebSocket server besieged: half-open handshakes, and clients that never read.

Beside 100 clients that talk, thousands hold the server up. Prints what the
talking ones notice, and how far the server's memory grows.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import socket
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from subprocess import Popen

from bench import harness
from bench.gateway import gateway
from bench.harness import HERE, HOLDFAST, PYTHON, Row

_REQUEST = (
    b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
_SENDING_SECONDS_MAX = 15.0
_REFUSALS = 10
"""Rounds in which next to nothing is taken, until they give up."""
_LOAD = ["-m", "ws", "-t", "-c", "100", "-s", "64", "-p", "1", "-d", "3"]


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
    """Clients that send for as long as anything is taken, and read nothing of the answers."""
    frames = (b"\x81\xfe\xff\xff" + bytes(4) + b"x" * 65_535) * 4
    held = []
    for _ in range(count):
        made = _dial(port)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        # Else their own output would fill what the machine has for all sockets.
        made.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 32 * 1024)
        made.sendall(_REQUEST)
        made.recv(1000)
        made.setblocking(False)
        held.append(made)
    rests = [memoryview(frames)] * count
    end = time.monotonic() + _SENDING_SECONDS_MAX
    refused = 0
    while refused < _REFUSALS and time.monotonic() < end:
        sent = 0
        for number, made in enumerate(held):
            with contextlib.suppress(OSError):
                while size := made.send(rests[number]):
                    rests[number] = rests[number][size:] or memoryview(frames)
                    sent += size
        refused = 0 if sent > count * 100 else refused + 1
        time.sleep(0.05)
    try:
        yield
    finally:
        for made in held:
            made.close()


def serve(_: Path) -> AbstractContextManager[tuple[int, Popen[bytes]]]:
    """An echo on `holdfast.websocket.serve`."""
    port = harness.free_port()
    return _on(port, [PYTHON, str(HERE / "apps" / "websocket_echo.py"), str(port)])


def echo(_: Path) -> AbstractContextManager[tuple[int, Popen[bytes]]]:
    """`holdfast echo`: the bare engine."""
    port = harness.free_port()
    return _on(port, [*HOLDFAST, "echo", f"ws://127.0.0.1:{port}/"])


@contextlib.contextmanager
def _on(port: int, command: Sequence[str]) -> Iterator[tuple[int, Popen[bytes]]]:
    with harness.running(command, port=port) as process:
        yield port, process


SERVERS: dict[str, Callable[[Path], AbstractContextManager[tuple[int, Popen[bytes]]]]] = {
    "serve": serve,
    "echo": echo,
    "gateway": functools.partial(gateway, "fast"),
}


def besiege(options: argparse.Namespace, name: str) -> list[Row]:
    """One server, alone and then beside each kind of nuisance."""
    half_opens, non_readers = options.half_open, options.never_reading
    sieges = [
        ("nobody", nobody, 0),
        (f"{half_opens} half-open", half_open, half_opens),
        (f"{non_readers} never reading", never_reading, non_readers),
    ]
    rows = []
    for kind, siege, count in sieges:
        with (
            tempfile.TemporaryDirectory(prefix="holdfast-bench-") as folder,
            SERVERS[name](Path(folder)) as (port, process),
        ):
            harness.load(port, process.pid, *_LOAD)  # warm
            before = harness.rss_bytes(process.pid)
            with siege(port, count):
                time.sleep(0.5)
                row = harness.load(port, process.pid, *_LOAD)
                grown = harness.rss_bytes(process.pid) - before
            noticed = {key: row[key] for key in ("rps", "p50", "p99", "us_msg")}
            rows.append({"server": name, "beside": kind, **noticed, "MiB more": grown / 2**20})
    return rows


def main(arguments: Sequence[str]) -> int:
    parser = harness.parser(__doc__)
    parser.add_argument("--server", choices=SERVERS, action="append")
    parser.add_argument("--half-open", type=int, default=5_000)
    parser.add_argument("--never-reading", type=int, default=1_000)
    options = parser.parse_args(arguments)
    rows = [row for name in options.server or SERVERS for row in besiege(options, name)]
    harness.show("A server besieged, as 100 clients notice it", rows, as_json=options.json)
    return 0
