"""TCP and TLS echo, beside Go and bare uvloop; memory, many connections, workers, a flood."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import BinaryIO

from tests.ports import free_port

from bench import harness
from bench.harness import HERE, HOLDFAST, PYTHON, Missing, Row, Server
from bench.memory import grown

PARTS = ("tcp", "tls", "memory", "many", "workers", "flood")
PEER = "go"
FLOOD_PER_SECOND = 20_000
VISITOR = ("127.0.0.3", 0)
"""Where the other clients come from while there is a flood from 127.0.0.1."""


def main(arguments: Sequence[str]) -> int:
    parser = harness.parser(__doc__)
    parser.add_argument("--part", choices=PARTS, action="append", help="only these")
    parser.add_argument("--count", type=int, default=5_000, help="of idle connections")
    options = parser.parse_args(arguments)
    parts = {
        "tcp": lambda: [echo(options, count, "tcp") for count in (100, 1_000)],
        "tls": lambda: [echo(options, 100, "tls")],
        "memory": lambda: [memory(options.count)],
        "many": lambda: [many()],
        "workers": lambda: [workers(options)],
        "flood": lambda: [flood(options.seconds)],
    }
    for name in options.part or PARTS:
        for title, rows in parts[name]():
            harness.show(title, rows, as_json=options.json)
    return 0


# --- echo


def echo(options: harness.Options, connections: int, mode: str) -> tuple[str, list[Row]]:
    """Messages in turns, the servers alternating within each round."""
    with tempfile.TemporaryDirectory(prefix="holdfast-bench-") as folder:
        pair = _certificate(Path(folder)) if mode == "tls" else []
        taking_part = _servers(mode, pair)
        results: dict[str, list[Row]] = {server.name: [] for server in taking_part}
        shape = ["-m", mode, "-c", str(connections), "-s", "64", "-d", str(options.seconds)]
        for _ in range(options.rounds):
            for server in taking_part:
                with harness.running(server.command, port=server.port) as process:
                    results[server.name].append(harness.load(server.port, process.pid, *shape))
    rows = [{"server": name, **harness.medians(found)} for name, found in results.items()]
    peer = next((row["us_msg"] for row in rows if row["server"] == PEER), None)
    for row in rows:
        row["x go"] = round(peer / row["us_msg"], 2) if peer else None
    return f"{mode.upper()} echo: {connections} connections, 64 B", rows


def _servers(mode: str, pair: Sequence[str]) -> list[Server]:
    made = []
    for name in ("holdfast", PEER, "uvloop") if mode == "tcp" else ("holdfast", PEER):
        port = free_port()
        try:
            made.append(Server(name, _command(name, mode, port, pair), port))
        except Missing as missing:
            print(f"left out: {missing}")
    return made


def _command(name: str, mode: str, port: int, pair: Sequence[str]) -> list[str]:
    match name:
        case "go":
            return [str(harness.build_go_tcp()), str(port), *pair]
        case "uvloop":
            return [PYTHON, str(HERE / "peers" / "uvloop_echo.py"), str(port)]
        case _:
            files = ["--cert", pair[0], "--key", pair[1]] if pair else []
            return [*HOLDFAST, "echo", f"{mode}://127.0.0.1:{port}", *files]


def _certificate(folder: Path) -> list[str]:
    """A certificate and its key, made for this run."""
    files = [str(folder / "cert.pem"), str(folder / "key.pem")]
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    command += ["-nodes", "-days", "2", "-subj", "/CN=localhost"]
    command += ["-addext", "subjectAltName=DNS:localhost", "-out", files[0], "-keyout", files[1]]
    subprocess.run(command, check=True, capture_output=True)
    return files


# --- many connections


def memory(count: int) -> tuple[str, list[Row]]:
    """What an idle connection takes."""
    rows: list[Row] = []
    for name in ("holdfast", PEER):
        port = free_port()
        try:
            with harness.running(_command(name, "tcp", port, []), port=port) as process:
                rows.append({"server": name, **grown(port, process.pid, "tcp", count)})
        except Missing as missing:
            print(f"left out: {missing}")
    return "Memory of idle TCP connections", rows


def many() -> tuple[str, list[Row]]:
    """As many connections as one process may have files, each still served."""
    count = 19_000
    port = free_port()
    with harness.running(_command("holdfast", "tcp", port, []), port=port) as process:
        row = grown(port, process.pid, "tcp", count)
        found = harness.load(port, process.pid, "-m", "tcp", "-c", "100", "-d", "1")
        return "Many connections in one process", [{**row, "us_msg after": found["us_msg"]}]


# --- workers


def workers(options: harness.Options) -> tuple[str, list[Row]]:
    """One worker and two, on the same core: how connections spread, and what a message costs."""
    results: dict[int, list[Row]] = {1: [], 2: []}
    for _ in range(options.rounds):
        for count, rows in results.items():
            port = free_port()
            command = [*_command("holdfast", "tcp", port, []), "--workers", str(count)]
            with harness.running(command, port=port) as process:
                time.sleep(1.0)
                pids = _children(process.pid) or [process.pid]
                rows.append(_load_of_workers(port, pids, options.seconds))
                process.terminate()
                process.wait()
    rows = [{"workers": count, **harness.medians(found)} for count, found in results.items()]
    for row in rows:
        row["x one"] = round(row["us_msg"] / rows[0]["us_msg"], 2)
    return "Workers: 1,000 connections, 64 B", rows


def _load_of_workers(port: int, pids: Sequence[int], seconds: float) -> Row:
    shape = ["-m", "tcp", "-c", "1000", "-s", "64", "-d", str(seconds)]
    before = [_files(pid) for pid in pids]
    command = [str(harness.build_load()), "-K", "-m", "tcp", "-a", str(port), "-c", "1000"]
    with subprocess.Popen([*command, "-H", "1.5"], stdout=subprocess.PIPE) as holding:
        assert holding.stdout is not None
        holding.stdout.readline()
        time.sleep(0.5)
        share = [_files(pid) - was for pid, was in zip(pids, before, strict=True)]
    row = harness.load(port, pids, *shape)
    return {**row, "most": max(share), "least": min(share)}


def _children(pid: int) -> list[int]:
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(word) for word in text.split()]


def _files(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


# --- a flood


def flood(seconds: float) -> tuple[str, list[Row]]:
    """Connections from one address, and what a client from another sees of it, beside peace.

    `tried_s` stays behind where others want the cores, too: `chrt -f 5` before the command, as
    root, keeps them away for that long.
    """
    port = free_port()
    with tempfile.TemporaryFile() as log:
        command = harness.pinned(0, [PYTHON, str(HERE / "apps" / "limited.py"), str(port)])
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log) as process:
            try:
                harness.await_port(process, port)
                rows = []
                for name, rate in (
                    ("peace", 0),
                    ("flood", FLOOD_PER_SECOND),
                    ("all it can", 10**7),
                ):
                    row = _flooded(port, process, rate, seconds)
                    rows.append({"there is": name, **row, "log lines": _lines(log)})
            finally:
                process.kill()
    return f"A flood of {FLOOD_PER_SECOND:,} connections a second from one address", rows


def _flooded(port: int, process: subprocess.Popen[bytes], rate: int, seconds: float) -> Row:
    command = [str(harness.build_load()), "-F", str(rate), "-a", str(port), "-d", str(seconds)]
    before, cpu = _counted(process), harness.cpu_seconds(process.pid)
    flooding = None
    if rate:
        flooding = subprocess.Popen(harness.pinned(1, command), stdout=subprocess.PIPE)
    times = asyncio.run(_visit(port, seconds))
    row: Row = {"tried_s": 0, "connected_s": 0, "load_core": 0.0}
    if flooding is not None:
        row = json.loads(flooding.communicate()[0])
    after, spent = _counted(process), harness.cpu_seconds(process.pid) - cpu
    refused = after["refused"] - before["refused"]
    return {
        **row,
        "accepted_s": round((after["accepted"] - before["accepted"]) / seconds),
        "refused_s": round(refused / seconds),
        "server_core": round(spent / seconds, 3),
        "us_refused": round(spent * 1e6 / refused, 2) if refused else "",
        "visits": len(times),
        "p50 ms": round(median(times) * 1000, 2),
        "p99 ms": round(sorted(times)[len(times) * 99 // 100] * 1000, 2),
    }


def _counted(process: subprocess.Popen[bytes]) -> dict[str, int]:
    """What the server has counted so far."""
    process.send_signal(signal.SIGUSR1)
    assert process.stdout is not None
    found: dict[str, int] = json.loads(process.stdout.readline())
    return found


def _lines(log: BinaryIO) -> int:
    log.seek(0)
    return log.read().count(b"\n")


async def _visit(port: int, seconds: float) -> list[float]:
    """Connect, say something, hear it, leave; again and again. How long each visit took."""
    times = []
    end = time.monotonic() + seconds
    while (begin := time.monotonic()) < end:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=VISITOR)
        writer.write(b"x" * 64)
        await reader.readexactly(64)
        writer.close()
        times.append(time.monotonic() - begin)
        await asyncio.sleep(0.02)
    return times
