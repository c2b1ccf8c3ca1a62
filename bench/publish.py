"""Publishing by HTTP, deliveries to a group, and a backend that is a URL beside the link.

The first table has the gateway and the publishers on one core. `us_publish` is the gateway's CPU
time for one publication, `us_load` the publishers'; `core_s` is what a core has time for by these
two, whatever else runs on it. The second has them on two cores: one
publication reaches the whole group, and deliveries are counted where they arrive. The third is the
round trip of a client's text.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from subprocess import Popen
from typing import NamedTuple

from tests.ports import free_port

from bench import harness
from bench.harness import HERE, HOLDFAST, PYTHON, Row
from bench.publishers import MARK, Counting, request

KEY = "a key for nothing but benchmarks"
MODES = ("memory", "fast", "durable")
USERS = 100
WARM_UP_SECONDS = 0.5


class Running(NamedTuple):
    """A gateway under test."""

    port: int
    api: int
    process: Popen[bytes]


@contextmanager
def gateway(mode: str, folder: Path, backend: str = "") -> Iterator[Running]:
    """A gateway with an API."""
    port, api = free_port(), free_port()
    config = folder / "gateway.toml"
    config.write_text(f"""
        [store]
        path = "{folder}/sessions.db"
        [link]
        listen = "unix:{folder}/link"
        [api]
        listen = "tcp://127.0.0.1:{api}"
        [[api.key]]
        name = "bench"
        hash = "sha256:{sha256(KEY.encode()).hexdigest()}"
        apps = ["*"]
        [[listener]]
        url = "ws://127.0.0.1:{port}/"
        durability = "{mode}"
        {backend}
        [limits.connection]
        connections_per_address_max = 20000
        [limits.session]
        sessions_per_network_max = 20000
        {harness.NO_RATES}
    """)
    serve = [*HOLDFAST, "serve", str(config), "--log-level", "error"]
    with harness.running(serve, port=port) as process:
        yield Running(port, api, process)


@contextmanager
def members(mode: str, count: int) -> Iterator[tuple[Running, Counting]]:
    """A gateway with an application, and so many clients in one group."""
    with tempfile.TemporaryDirectory(prefix="holdfast-bench-") as name:
        folder = Path(name)
        application = [PYTHON, str(HERE / "apps" / "members.py")]
        link = f"unix:{folder}/link"
        with (
            gateway(mode, folder) as it,
            harness.running(application, says="linked", core=1, HOLDFAST_LINK=link),
        ):
            clients = Counting(it.port, count)
            clients.read(1.0)
            yield it, clients
            clients.close()


def publishers(
    it: Running, connections: int, seconds: float, bodies: Sequence[str], core: int
) -> Popen[bytes]:
    """The publishers, in a process."""
    arguments = [it.api, connections, seconds, WARM_UP_SECONDS]
    command = [str(harness.build_publish()), *map(str, arguments)]
    process = Popen(harness.pinned(core, command), stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin is not None
    for text in bodies:
        whole = request(it.api, KEY, text)
        process.stdin.write(b"%d\n" % len(whole) + whole)
    process.stdin.close()
    return process


def result(process: Popen[bytes]) -> Row:
    assert process.stdout is not None
    with process, process.stdout as answer:
        found: Row = json.load(answer)
    return found


def body(to: dict[str, str], **fields: str) -> str:
    text = "x" * 63 + MARK.decode()
    return json.dumps({"to": to, "item": {"text": text}, **fields}, separators=(",", ":"))


def one_by_one(mode: str, connections: int, seconds: float) -> Row:
    """Publications to one user each, on one core."""
    with members(mode, USERS) as (it, clients):
        bodies = [body({"user": f"user{number}"}) for number in range(USERS)]
        process = publishers(it, connections, seconds, bodies, core=0)
        clients.read(WARM_UP_SECONDS)
        cpu, marks = harness.cpu_seconds(it.process.pid), clients.marks
        clients.read(seconds * 0.9)
        spent = harness.cpu_seconds(it.process.pid) - cpu
        done = clients.marks - marks
        row = result(process)
        us_publish, us_load = spent / done * 1e6, row["us_load"]
        return {
            "publishes_s": round(row["per_second"]),
            "us_publish": round(us_publish, 1),
            "us_load": round(us_load, 1),
            "core_s": round(1e6 / (us_publish + us_load)),
        }


def to_a_group(mode: str, count: int, seconds: float) -> Row:
    """Publications to a group of `count`."""
    with members(mode, count) as (it, clients):
        process = publishers(it, 2, seconds + 1.0, [body({"group": "all"})], core=1)
        clients.read(WARM_UP_SECONDS)
        cpu, marks = harness.cpu_seconds(it.process.pid), clients.marks
        clients.read(seconds)
        spent = harness.cpu_seconds(it.process.pid) - cpu
        done = clients.marks - marks
        row = result(process)
        return {
            "deliveries_s": round(done / seconds),
            "us_delivery": round(spent / done * 1e6, 2),
            "publishes_s": round(row["per_second"]),
        }


def round_trips(kind: str, connections: int, seconds: float) -> Row:
    """A client's text to the application and back."""
    shape = ["-m", "ws", "-t", "-c", str(connections), "-p", "1", "-w", "0.7", "-d", str(seconds)]
    with tempfile.TemporaryDirectory(prefix="holdfast-bench-") as name:
        folder, port = Path(name), free_port()
        if kind == "http":
            application = [PYTHON, str(HERE / "apps" / "http_echo.py"), str(port)]
            backend = f'backend = "http"\nendpoint = "http://127.0.0.1:{port}/"\napp = "bench"'
            started = harness.running(application, port=port, core=1)
            with started, gateway("fast", folder, backend) as it:
                return harness.load(it.port, it.process.pid, *shape)
        application = [PYTHON, str(HERE / "apps" / "echo.py")]
        link = f"unix:{folder}/link"
        with (
            gateway("fast", folder) as it,
            harness.running(application, says="linked", core=1, HOLDFAST_LINK=link),
        ):
            return harness.load(it.port, it.process.pid, *shape)


def main(arguments: Sequence[str]) -> int:
    parser = harness.parser(__doc__)
    parser.add_argument("--members", type=int, default=1_000)
    options = parser.parse_args(arguments)
    harness.stay_on(1)  # the clients that count are beside the application
    rows = []
    for connections in (16, 64):
        for mode in MODES:
            found = [one_by_one(mode, connections, options.seconds) for _ in range(options.rounds)]
            rows.append({"mode": mode, "connections": connections, **harness.medians(found)})
    title = "Publications of one item to one user, by HTTP; gateway and publishers on one core"
    harness.show(title, rows, as_json=options.json)
    rows = []
    for mode in MODES:
        found = [to_a_group(mode, options.members, options.seconds) for _ in range(options.rounds)]
        rows.append({"mode": mode, **harness.medians(found)})
    title = f"Publications of 64 bytes to a group of {options.members}"
    harness.show(title, rows, as_json=options.json)
    rows = []
    for kind in ("link", "http"):
        found = [round_trips(kind, 100, options.seconds) for _ in range(options.rounds)]
        figures = harness.medians(found)
        rows.append({"backend": kind, **figures})
    title = "Round trips of a text, 100 clients, one in flight"
    harness.show(title, rows, as_json=options.json)
    return 0
