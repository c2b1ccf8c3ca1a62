"""The whole way: client, gateway, application and back, in each durability mode.

`us_msg` is the gateway's CPU time for one round trip, its store's thread
included. `x echo` compares with the bare WebSocket echo of the same run, `x fast`
the throughput with that of the mode `fast`. With `--postgresql`, the gateway's store
is a PostgreSQL database beside a SQLite file, in turns; `x sqlite` compares the two.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from subprocess import Popen

from tests import postgresql
from tests.ports import free_port

from bench import harness
from bench.harness import HERE, HOLDFAST, PYTHON, Row

MODES = ("memory", "fast", "durable")
SHAPES = ((100, 1), (100, 16), (1000, 1))
DIALECTS = ("v1", "ws")
SETTLE_SECONDS = 0.7


@contextmanager
def gateway(mode: str, folder: Path, store: str = "") -> Iterator[tuple[int, Popen[bytes]]]:
    """A gateway with an application behind it; gives its port and its process.

    `store` is the URL of a database; without it, the store is a file.
    """
    port = free_port()
    link = folder / "link.sock"
    config = folder / "gateway.toml"
    config.write_text(f"""
        [store]
        {f'url = "{store}"' if store else f'path = "{folder}/sessions.db"'}
        [link]
        listen = "unix:{link}"
        [[listener]]
        url = "ws://127.0.0.1:{port}/"
        durability = "{mode}"
        [limits.connection]
        connections_per_address_max = 20000
        [limits.session]
        {harness.NO_RATES}
    """)
    serve = [*HOLDFAST, "serve", str(config), "--log-level", "error"]
    with harness.running(serve, port=port) as process:
        application = [PYTHON, str(HERE / "apps" / "echo.py")]
        with harness.running(application, says="linked", core=1, HOLDFAST_LINK=f"unix:{link}"):
            yield port, process


def measure(
    mode: str, dialect: str, connections: int, in_flight: int, seconds: float, store: str = ""
) -> Row:
    """One run of one mode."""
    shape = ["-m", dialect, "-t", "-c", str(connections), "-p", str(in_flight)]
    timing = ["-w", str(SETTLE_SECONDS), "-d", str(seconds)]
    with (
        tempfile.TemporaryDirectory(prefix="holdfast-bench-") as folder,
        gateway(mode, Path(folder), store) as (port, process),
    ):
        return harness.load(port, process.pid, *shape, *timing)


def bare_echo(connections: int, in_flight: int, seconds: float) -> Row:
    """The engine alone."""
    port = free_port()
    command = [*HOLDFAST, "echo", f"ws://127.0.0.1:{port}/"]
    shape = ["-m", "ws", "-t", "-c", str(connections), "-p", str(in_flight)]
    with harness.running(command, port=port) as process:
        return harness.load(port, process.pid, *shape, "-d", str(seconds))


def compare_stores(
    cluster: postgresql.Cluster, shapes: Sequence[tuple[int, int]], options: harness.Options
) -> list[Row]:
    """A SQLite file and a PostgreSQL database on the same disk, both of which wait for it."""
    found: dict[tuple[int, int, str, str], list[Row]] = {}
    for _ in range(options.rounds):
        for connections, in_flight in shapes:
            for mode in ("fast", "durable"):
                for store in ("sqlite", "postgresql"):
                    url = ""
                    if store == "postgresql":
                        url = cluster.url(asyncio.run(cluster.new_database()))
                    row = measure(mode, "v1", connections, in_flight, options.seconds, url)
                    found.setdefault((connections, in_flight, mode, store), []).append(row)
    medians = {key: harness.medians(rows) for key, rows in found.items()}
    rows: list[Row] = []
    for (connections, in_flight, mode, store), row in medians.items():
        sqlite = medians[connections, in_flight, mode, "sqlite"]
        rows.append(
            {
                "clients": f"{connections} x {in_flight}",
                "mode": mode,
                "store": store,
                **row,
                "x sqlite": round(row["rps"] / sqlite["rps"], 2),
                "CPU x sqlite": round(row["us_msg"] / sqlite["us_msg"], 2),
            }
        )
    return rows


def main(arguments: Sequence[str]) -> int:
    parser = harness.parser(__doc__)
    parser.add_argument("--postgresql", action="store_true", help="compare the stores")
    options = parser.parse_args(arguments)
    if options.postgresql:
        with postgresql.running(**postgresql.REAL) as cluster:
            rows = compare_stores(cluster, [(100, 16)], options)
        harness.show("The whole way by store, 64 B", rows, as_json=options.json)
        return 0
    for connections, in_flight in SHAPES:
        found: dict[tuple[str, str], list[Row]] = {}
        for _ in range(options.rounds):
            echo = bare_echo(connections, in_flight, options.seconds)
            found.setdefault(("bare echo", "ws"), []).append(echo)
            for dialect in DIALECTS:
                for mode in MODES:
                    row = measure(mode, dialect, connections, in_flight, options.seconds)
                    found.setdefault((mode, dialect), []).append(row)
        medians = {key: harness.medians(rows) for key, rows in found.items()}
        echo = medians["bare echo", "ws"]
        rows = []
        for (mode, dialect), row in medians.items():
            fast = medians.get(("fast", dialect), row)
            rows.append(
                {
                    "mode": mode,
                    "client": "holdfast.v1" if dialect == "v1" else "plain",
                    **row,
                    "x echo": round(row["us_msg"] / echo["us_msg"], 2),
                    "x fast": round(row["rps"] / fast["rps"], 2),
                }
            )
        title = f"The whole way: {connections} clients, {in_flight} in flight, 64 B"
        harness.show(title, rows, as_json=options.json)
    return 0
