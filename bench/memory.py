"""Memory of idle connections and idle sessions."""

from __future__ import annotations

import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.ports import free_port

from bench import harness
from bench.gateway import gateway
from bench.harness import HOLDFAST, Missing, Row


def grown(port: int, pid: int, mode: str, count: int) -> Row:
    """How much memory each of `count` idle connections takes, and how fast they open."""
    command = [str(harness.build_load()), "-K", "-m", mode, "-a", str(port)]
    _hold([*command, "-c", "50", "-H", "0.2"]).wait()
    time.sleep(1.0)
    before = harness.rss_bytes(pid)
    process = _hold([*command, "-c", str(count), "-H", "4"])
    assert process.stdout is not None
    line = process.stdout.readline()
    time.sleep(2.0)
    after = harness.rss_bytes(pid)
    process.wait()
    if not line:
        raise Missing("the load could not open its connections")
    return {"idle": count, "bytes each": round((after - before) / count)}


def _hold(command: Sequence[str]) -> subprocess.Popen[Any]:
    return subprocess.Popen(harness.pinned(1, command), stdout=subprocess.PIPE)


def main(arguments: Sequence[str]) -> int:
    parser = harness.parser(__doc__)
    parser.add_argument("--count", type=int, default=5_000)
    options = parser.parse_args(arguments)
    rows: list[Row] = []
    port = free_port()
    echo = [*HOLDFAST, "echo", f"ws://127.0.0.1:{port}/"]
    with harness.running(echo, port=port) as process:
        found = grown(port, process.pid, "ws", options.count)
        rows.append({"what": "bare WebSocket", **found})
    try:
        peer_port = free_port()
        gorilla = [str(harness.build_gorilla()), str(peer_port)]
        with harness.running(gorilla, port=peer_port) as process:
            found = grown(peer_port, process.pid, "ws", options.count)
            rows.append({"what": "gorilla", **found})
    except Missing as missing:
        print(f"left out: {missing}")
    for mode in ("memory", "fast"):
        with (
            tempfile.TemporaryDirectory(prefix="holdfast-bench-") as folder,
            gateway(mode, Path(folder)) as (port, process),
        ):
            found = grown(port, process.pid, "v1", options.count)
            rows.append({"what": f"session, {mode}", **found})
    harness.show("Memory while idle", rows, as_json=options.json)
    return 0
