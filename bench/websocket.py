"""WebSocket, beside gorilla/websocket, picows and the `websockets` library.

Prints the server's CPU time a message for each shape of load, and how many
times ours each peer takes; handshakes a second; memory of an idle connection.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from subprocess import Popen
from typing import Final, NamedTuple

from tests.ports import free_port

from bench import harness
from bench.harness import HERE, HOLDFAST, PYTHON, Missing, Row, Server

OURS = "holdfast"
PURE: Final = {"holdfast (pure codec)": "codec", "holdfast (no compiler)": "1"}
"""Servers of ours, and what of them is not compiled."""
PEERS = ("gorilla", "picows", "websockets")


class Shape(NamedTuple):
    """A kind of load."""

    name: str
    connections: int
    size: int
    in_flight: int = 1
    deflate: bool = False


SHAPES = (
    Shape("64x1", 100, 64),
    Shape("64x16", 100, 64, 16),
    Shape("4k", 100, 4096),
    Shape("1m", 8, 1 << 20),
    Shape("deflate", 100, 1024, deflate=True),
)
_HELD = 5_000


def taking_part(*, deflate: bool) -> list[Server]:
    """Who takes part; who cannot is said and left out."""
    made = []
    for name in (OURS, "holdfast serve", *PURE, *PEERS):
        if deflate and name == "picows":
            continue  # it has no compression
        port = free_port()
        try:
            made.append(Server(name, _command(name, port, deflate=deflate), port))
        except Missing as missing:
            print(f"left out: {missing}")
    return made


def _command(name: str, port: int, *, deflate: bool) -> Sequence[str]:
    compressed = ["-z"] if deflate else []
    match name:
        case "gorilla":
            return [str(harness.build_gorilla()), str(port)]
        case "picows":
            return [PYTHON, str(HERE / "peers" / "picows_echo.py"), str(port)]
        case "websockets":
            return [PYTHON, str(HERE / "peers" / "websockets_echo.py"), str(port), *compressed]
        case "holdfast serve":
            return [PYTHON, str(HERE / "apps" / "websocket_echo.py"), str(port), *compressed]
        case _:
            asked = ["--deflate"] if deflate else []
            return [*HOLDFAST, "echo", *asked, f"ws://127.0.0.1:{port}/"]


def _running(server: Server) -> AbstractContextManager[Popen[bytes]]:
    pure = PURE.get(server.name, "")
    return harness.running(server.command, port=server.port, HOLDFAST_PURE=pure)


def measure(shape: Shape, *, seconds: float, rounds: int) -> list[Row]:
    """CPU time a message of each server, in turns."""
    servers = taking_part(deflate=shape.deflate)
    results: dict[str, list[Row]] = {server.name: [] for server in servers}
    options = ["-m", "ws", "-c", str(shape.connections), "-s", str(shape.size)]
    options += ["-p", str(shape.in_flight), "-d", str(seconds), *(["-z"] if shape.deflate else [])]
    for _ in range(rounds):
        for server in servers:
            with _running(server) as process:
                results[server.name].append(harness.load(server.port, process.pid, *options))
    rows = [{"server": name, **harness.medians(found)} for name, found in results.items()]
    for row in rows:
        for peer in rows:
            if peer["server"] in PEERS:
                row[f"x {peer['server']}"] = round(peer["us_msg"] / row["us_msg"], 2)
    return rows


def hold(*, rounds: int) -> list[Row]:
    """Handshakes per second of server CPU, and memory of connections that say nothing."""
    results: dict[str, list[Row]] = {}
    servers = taking_part(deflate=False)
    for _ in range(rounds):
        for server in servers:
            with _running(server) as process:
                found = harness.hold(server.port, process.pid, _HELD)
                results.setdefault(server.name, []).append(found)
            time.sleep(0.5)  # the sockets of this turn go
    return [{"server": name, **harness.medians(found)} for name, found in results.items()]


def main(arguments: Sequence[str]) -> int:
    parser = harness.parser(__doc__)
    names = [*(shape.name for shape in SHAPES), "hold"]
    parser.add_argument("--shape", choices=names, action="append")
    options = parser.parse_args(arguments)
    wanted = options.shape or names
    for shape in SHAPES:
        if shape.name in wanted:
            rows = measure(shape, seconds=options.seconds, rounds=options.rounds)
            kind = "compressed " if shape.deflate else ""
            title = (
                f"WebSocket echo: {shape.connections} connections, {kind}{shape.size} B,"
                f" {shape.in_flight} in flight"
            )
            harness.show(title, rows, as_json=options.json)
            sys.stdout.flush()
    if "hold" in wanted:
        title = f"WebSocket: {_HELD} handshakes, then nothing"
        harness.show(title, hold(rounds=options.rounds), as_json=options.json)
    return 0
