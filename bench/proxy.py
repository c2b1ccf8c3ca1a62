"""A byte stream passed on to a server, beside HAProxy: bulk, and small messages.

`MB_cpu_s` is what the proxy passes on for a second of its CPU time, `us_msg` its
CPU time for one small message there and back. HAProxy has one thread, as we do;
`haproxy splice` lets the kernel move the bytes.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.ports import free_port

from bench import harness
from bench.harness import HERE, HOLDFAST, PYTHON, Row

PEER = "haproxy"
NAMES = ("holdfast", PEER, "haproxy splice")
BULK_STREAMS = (1, 16)
ECHO_CONNECTIONS = (100,)


@contextmanager
def proxy(name: str, folder: Path, to: int) -> Iterator[tuple[int, int]]:
    """A proxy to a port of this machine; gives its own port and its process id."""
    port = free_port()
    if name == "holdfast":
        config = folder / "gateway.toml"
        config.write_text(f"""
            [[upstream]]
            name = "it"
            servers = ["tcp://127.0.0.1:{to}"]
            [[listener]]
            url = "tcp://127.0.0.1:{port}"
            backend = "stream"
            upstream = "it"
            [limits.upstream]
            failures_max = 1000000         # nobody is there when the port is looked at
            [limits.connection]
            connections_per_address_max = 20000
        """)
        command = [*HOLDFAST, "serve", str(config), "--log-level", "error"]
    else:
        config = folder / "haproxy.cfg"
        config.write_text(f"""
global
  nbthread 1
defaults
  mode tcp
  {"option splice-auto" if "splice" in name else ""}
  timeout connect 5s
  timeout client 60s
  timeout server 60s
listen x
  bind 127.0.0.1:{port}
  server it 127.0.0.1:{to}
""")
        command = ["haproxy", "-db", "-q", "-f", str(config)]
    with harness.running(command, port=port) as process:
        yield port, process.pid


def bulk(name: str, streams: int, seconds: float) -> Row:
    """Bytes in one direction on some streams."""
    sink = free_port()
    with (
        tempfile.TemporaryDirectory(prefix="holdfast-bench-") as folder,
        proxy(name, Path(folder), sink) as (port, pid),
    ):
        words = [str(word) for word in (port, sink, pid, streams, seconds)]
        done = subprocess.run(
            harness.pinned(1, [PYTHON, "-m", "bench.bulk", *words]),
            cwd=HERE.parent,
            check=False,
            capture_output=True,
            text=True,
        )
    if done.returncode:
        raise harness.Missing(f"the load failed: {done.stderr.strip()[-300:]}")
    found: Row = json.loads(done.stdout)
    return {
        "MB_cpu_s": found["MB"] / max(found["cpu_s"], 0.01),
        "MB_s": found["MB"] / found["wall_s"],
    }


def echo(name: str, connections: int, seconds: float) -> Row:
    """Small messages, one in flight on each connection."""
    behind = free_port()
    server = [*HOLDFAST, "echo", f"tcp://127.0.0.1:{behind}"]
    shape = ["-m", "tcp", "-c", str(connections), "-s", "64", "-d", str(seconds)]
    with (
        tempfile.TemporaryDirectory(prefix="holdfast-bench-") as folder,
        harness.running(server, port=behind, core=1),
        proxy(name, Path(folder), behind) as (port, pid),
    ):
        row = harness.load(port, pid, *shape)
    return {key: row[key] for key in ("us_msg", "rps")}


def main(arguments: Sequence[str]) -> int:
    options = harness.parser(__doc__).parse_args(arguments)
    for streams in BULK_STREAMS:
        rows: dict[str, list[Row]] = {name: [] for name in NAMES}
        for _ in range(options.rounds):
            for name in NAMES:
                rows[name].append(bulk(name, streams, options.seconds))
        medians = {name: harness.medians(found) for name, found in rows.items()}
        peer = medians[PEER]
        shown = [
            {
                "proxy": name,
                **row,
                "x haproxy cpu": round(row["MB_cpu_s"] / peer["MB_cpu_s"], 2),
                "x haproxy": round(row["MB_s"] / peer["MB_s"], 2),
            }
            for name, row in medians.items()
        ]
        harness.show(f"Bulk through a proxy: {streams} streams", shown, as_json=options.json)
    for connections in ECHO_CONNECTIONS:
        rows = {name: [] for name in NAMES[:2]}
        for _ in range(options.rounds):
            for name in rows:
                rows[name].append(echo(name, connections, options.seconds))
        medians = {name: harness.medians(found) for name, found in rows.items()}
        shown = [
            {"proxy": name, **row, "x haproxy": round(medians[PEER]["us_msg"] / row["us_msg"], 2)}
            for name, row in medians.items()
        ]
        title = f"Small messages through a proxy: {connections} connections, 64 B"
        harness.show(title, shown, as_json=options.json)
    return 0
