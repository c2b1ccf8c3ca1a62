"""A text for very many plain WebSockets: a group of sessions, beside loops over all connections.

The peers hold no sessions, and have nothing to send to who is away.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from tests.ports import free_port

from bench import harness
from bench.harness import HERE, HOLDFAST, PYTHON, Row
from bench.publishers import MARK, Counting

CONFIG = """
[store]
path = "{folder}/sessions.db"
[link]
listen = "unix:{folder}/link"
[[listener]]
url = "ws://127.0.0.1:{port}/"
durability = "{durability}"
"""
SAID_SECONDS_MAX = 30.0
PEERS = ("picows", "gorilla")
KINDS = (*PEERS, "memory", "fast")


@contextmanager
def _peer(name: str, port: int) -> Iterator[int]:
    command = (
        [PYTHON, str(HERE / "peers" / "picows_room.py"), str(port)]
        if name == "picows"
        else [str(harness.build_room()), str(port)]
    )
    with harness.running(command, port=port) as process:
        yield process.pid


@contextmanager
def _gateway(durability: str, port: int) -> Iterator[int]:
    with tempfile.TemporaryDirectory(prefix="holdfast-bench-") as folder:
        path = Path(folder) / "holdfast.toml"
        config = CONFIG.format(folder=folder, port=port, durability=durability)
        path.write_text(config + harness.CROWD)
        command = [*HOLDFAST, "serve", str(path), "--log-level", "error"]
        application = [PYTHON, str(HERE / "apps" / "crier.py")]
        link = f"unix:{folder}/link"
        with (
            harness.running(command, port=port) as process,
            harness.running(application, says="linked", core=1, HOLDFAST_LINK=link),
        ):
            yield process.pid


class Room:
    """A server with many clients, who are told something now and then."""

    def __init__(self, kind: str, pid: int, port: int, count: int) -> None:
        self.costs: list[float] = []
        """The server's CPU time for one text to all, in seconds."""
        self._pid = pid
        self._prefix = "" if kind in PEERS else "say 1 "
        self.clients = Counting(port, count)
        self.clients.read(2.0)

    def say(self, reached: int, text: str) -> None:
        """One text, until all have it and the server has done with it."""
        clients = self.clients
        wanted, end = clients.marks + reached, time.monotonic() + SAID_SECONDS_MAX
        spent = harness.cpu_seconds(self._pid)
        clients.say(f"{self._prefix}{text}{MARK.decode()}")
        while clients.marks < wanted:
            if time.monotonic() > end:
                raise harness.Missing(f"{wanted - clients.marks} have not got a text")
            clients.read(0.02)
        clients.read(0.2)
        self.costs.append(harness.cpu_seconds(self._pid) - spent)


def measured(kind: str, count: int, text: str, rounds: int) -> Row:
    """What one text to all costs a server; then to half of them, when the others are away."""
    port = free_port()
    with _peer(kind, port) if kind in PEERS else _gateway(kind, port) as pid:
        room = Room(kind, pid, port, count)
        room.say(count, text)  # the first one prepares
        room.costs.clear()
        for _ in range(rounds):
            room.say(count, text)
        all_there = median(room.costs)
        room.clients.leave(count // 2)
        room.clients.read(2.0)
        room.costs.clear()
        for _ in range(rounds):
            room.say(count - count // 2, text)
        half_away = median(room.costs)
        room.clients.close()
    return {
        "server": kind if kind in PEERS else f"holdfast, {kind}",
        "clients": count,
        "CPU ms": round(all_there * 1e3, 1),
        "half away, CPU ms": round(half_away * 1e3, 1),
    }


def fan_out(counts: Sequence[int], text: str, rounds: int) -> list[Row]:
    """A row for each server and number of clients, with its ratio to the loop on picows."""
    rows: list[Row] = []
    for count in counts:
        base = 0.0
        for kind in KINDS:
            try:
                row = measured(kind, count, text, rounds)
            except harness.Missing as error:
                print(f"without {kind}: {error}")
                continue
            if kind == "picows":
                base = row["CPU ms"]
            row["of picows"] = round(row["CPU ms"] / base, 2) if base else ""
            rows.append(row)
    return rows
