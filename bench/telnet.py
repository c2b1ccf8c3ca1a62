"""Telnet, beside telnetlib3 and Twisted: lines echoed, memory while idle, compression.

`us_line` is the server's CPU time for one line there and back; `x ours` compares it with
`holdfast.telnet`. The load is a client in Python that refuses every option, as a crawler does.
"""

from __future__ import annotations

import selectors
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from subprocess import Popen

from tests.ports import free_port

from bench import harness
from bench.harness import HERE, HOLDFAST, PYTHON, Missing, Row
from bench.telnet_client import Client
from holdfast.protocols.telnet import codes
from holdfast.protocols.telnet.options.mccp import Deflater

ENGINES = ("holdfast.telnet", "telnetlib3", "twisted")
GATEWAY = "holdfast serve"
SHAPES = ((100, 1), (100, 16))
_LINE = b"say The quick brown fox jumps over the lazy dog, and so on.\r\n"
_SETTLE_SECONDS = 1.0
_FLUSH_BYTES = 200


@contextmanager
def serving(name: str, *, mccp: bool = False) -> Iterator[tuple[int, Popen[bytes]]]:
    """A server that echoes lines; gives its port and its process."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="holdfast-bench-") as folder:
        if name == GATEWAY:
            path = Path(folder) / "gateway.toml"
            path.write_text(_configuration(port, mccp=mccp))
            command = [*HOLDFAST, "serve", str(path), "--log-level", "error"]
        else:
            peer = str(HERE / "peers" / "telnet_echo.py")
            command = [PYTHON, peer, name, str(port), *(["--mccp"] if mccp else [])]
        with harness.running(command, port=port) as process:
            yield port, process


def _configuration(port: int, *, mccp: bool) -> str:
    return f"""
        [[listener]]
        url = "telnet://127.0.0.1:{port}"
        backend = "echo"
        durability = "memory"
        mccp = {[2] if mccp else []}
        [limits.connection]
        connections_per_address_max = 20000
        [limits.telnet]
        bytes_per_second_max = 1e12
        bytes_burst_max = 1000000000000
        [limits.session]
        {harness.NO_RATES}
    """


# --- lines


def echo(name: str, clients: int, in_flight: int, seconds: float) -> Row:
    """Lines that a server has echoed, for its CPU time."""
    with serving(name) as (port, process), ExitStack() as stack:
        selector = stack.enter_context(selectors.DefaultSelector())
        owed = dict.fromkeys((settled(stack, port) for _ in range(clients)), in_flight)
        for client in owed:
            selector.register(client.socket, selectors.EVENT_READ, client)
        burst = _LINE * in_flight
        lines, cpu, end = 0, harness.cpu_seconds(process.pid), time.monotonic() + seconds
        for client in owed:
            client.socket.sendall(burst)
        while time.monotonic() < end:
            for key, _ in selector.select(1.0):
                client = key.data
                count = client.lines()
                lines += count
                owed[client] -= count
                if owed[client] <= 0:
                    owed[client] += in_flight
                    client.socket.sendall(burst)
        spent = harness.cpu_seconds(process.pid) - cpu
    return {"lines_cpu_s": round(lines / spent), "us_line": round(spent / lines * 1e6, 2)}


def settled(stack: ExitStack, port: int, accepts: Sequence[int] = ()) -> Client:
    """A client whose opening negotiation is over."""
    client = stack.enter_context(closing(Client(port, accepts)))
    client.settle()
    return client


def show_lines(clients: int, in_flight: int, options: harness.Options, *, as_json: bool) -> None:
    """Let the servers take turns, and show the medians of the rounds."""
    found: dict[str, list[Row]] = {}
    for _ in range(options.rounds):
        for name in (*ENGINES, GATEWAY):
            try:
                row = echo(name, clients, in_flight, options.seconds)
            except Missing as missing:
                print(f"left out: {name}: {missing}", file=sys.stderr)
                continue
            found.setdefault(name, []).append(row)
    rows = [{"server": name, **harness.medians(each)} for name, each in found.items()]
    for row in rows:
        row["x ours"] = round(row["us_line"] / rows[0]["us_line"], 2)
    harness.show(
        f"Lines: {clients} clients, {in_flight} in flight, {len(_LINE)} B", rows, as_json=as_json
    )


# --- memory


def idle(name: str, count: int, *, mccp: bool = False) -> Row:
    """The memory of `count` connections that have settled and say nothing."""
    accepts = (codes.MCCP2,) if mccp else ()
    with serving(name, mccp=mccp) as (port, process), ExitStack() as stack:
        for _ in range(50):
            settled(stack, port, accepts)
        time.sleep(_SETTLE_SECONDS)
        before = harness.rss_bytes(process.pid)
        for _ in range(count):
            settled(stack, port, accepts)
        time.sleep(_SETTLE_SECONDS)
        grown = harness.rss_bytes(process.pid) - before
    server = f"{name}, MCCP 2" if mccp else name
    return {"server": server, "idle": count, "bytes each": round(grown / count)}


def show_memory(count: int, *, as_json: bool) -> None:
    """Each engine, and a session of the gateway; where it can be, compressed as well."""
    rows = []
    for name, mccp in (
        *((name, False) for name in (*ENGINES, GATEWAY)),
        (ENGINES[0], True),
        (GATEWAY, True),
    ):
        try:
            rows.append(idle(name, count, mccp=mccp))
        except Missing as missing:
            print(f"left out: {name}: {missing}", file=sys.stderr)
    harness.show("Memory while idle", rows, as_json=as_json)


# --- compression


def compression() -> list[Row]:
    """MCCP 2 on texts in pieces: how much shorter they become, and what a piece costs."""
    root = HERE.parent
    texts = {
        "prose (docs/)": sorted((root / "docs").glob("*.md")),
        "a world (examples/mud/)": sorted((root / "examples" / "mud").glob("*.py")),
    }
    rows = []
    for name, paths in texts.items():
        text = b"".join(path.read_bytes() for path in paths)
        pieces = [text[at : at + _FLUSH_BYTES] for at in range(0, len(text), _FLUSH_BYTES)]
        deflater, began = Deflater(), time.process_time()
        packed = sum(len(deflater.compress(piece)) for piece in pieces)
        spent = time.process_time() - began
        row = {"text": name, "flushes": len(pieces), "ratio": round(len(text) / packed, 2)}
        rows.append({**row, "us_flush": round(spent / len(pieces) * 1e6, 1)})
    return rows


def main(arguments: Sequence[str]) -> int:
    parser = harness.parser(__doc__)
    parser.add_argument("--idle", type=int, default=1_000, help="connections of the memory part")
    options = parser.parse_args(arguments)
    for clients, in_flight in SHAPES:
        show_lines(clients, in_flight, options, as_json=options.json)
    show_memory(options.idle, as_json=options.json)
    title = f"MCCP 2, a flush every {_FLUSH_BYTES} bytes"
    harness.show(title, compression(), as_json=options.json)
    return 0
