"""What the benchmarks share: servers under test, the load generator, tables.

The server runs on one core, the load on the other; servers take turns within
each round, and the median of the rounds is what counts. Quote `us_msg` (the
server's CPU time a message): neighbours on the machine hardly disturb it.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple, Protocol

HERE = Path(__file__).parent
BUILD = HERE / ".build"
PYTHON = sys.executable
HOLDFAST = [PYTHON, "-m", "holdfast"]
_START_SECONDS_MAX = 20.0
NO_RATES = """
commands_per_second_max = 1e9
command_burst_max = 1000000000
input_bytes_per_second_max = 1e12
input_burst_bytes_max = 1000000000000
input_bytes_per_network_per_second_max = 1e12
input_burst_bytes_per_network_max = 1000000000000
"""
"""Limits of `[limits.session]` for clients that say as much as they can."""
CROWD = """
[limits.connection]
connections_max = 50000
connections_per_address_max = 50000
accepts_per_second_max = 1e6
accept_burst_max = 100000
[limits.session]
sessions_per_network_max = 50000
"""
"""Limits for very many clients of one address; further ones of `[limits.session]` may follow."""

Row = dict[str, Any]


class Options(Protocol):
    """What `parser` gives."""

    seconds: float
    rounds: int


class Missing(Exception):
    """A peer that this machine does not have."""


def parser(description: str | None) -> argparse.ArgumentParser:
    """The arguments that every benchmark has."""
    made = argparse.ArgumentParser(description=description, prog="./dev bench")
    made.add_argument("--json", action="store_true", help="one object a row instead of a table")
    made.add_argument("--seconds", type=float, default=2.0, help="of each measurement")
    made.add_argument("--rounds", type=int, default=3)
    return made


# --- building


def build_load() -> Path:
    """The load generator, compiled if it is not."""
    libraries = ["-lssl", "-lcrypto", "-lz"]
    return _build("load", HERE / "load.c", ["gcc", "-O2", "-o", "{to}", "{source}", *libraries])


def build_publish() -> Path:
    """The publishers, compiled if they are not."""
    return _build("publish", HERE / "publish.c", ["gcc", "-O2", "-o", "{to}", "{source}"])


def build_go_tcp() -> Path:
    """The echo server on Go's `net` and `crypto/tls`."""
    source = HERE / "peers" / "tcp.go"
    return _build(
        "go_tcp", source, ["go", "build", "-o", "{to}", "{source}"], {"GO111MODULE": "off"}
    )


def build_gorilla() -> Path:
    """The gorilla/websocket echo server, from Debian's Go packages."""
    return _build_with_gorilla("gorilla")


def build_room() -> Path:
    """The gorilla/websocket server that sends each message to all."""
    return _build_with_gorilla("room")


def _build_with_gorilla(name: str) -> Path:
    environment = {"GO111MODULE": "off", "GOPATH": "/usr/share/gocode"}
    source = HERE / "peers" / f"{name}.go"
    return _build(name, source, ["go", "build", "-o", "{to}", "{source}"], environment)


def _build(
    name: str, source: Path, command: Sequence[str], environment: Mapping[str, str] | None = None
) -> Path:
    to = BUILD / name
    if to.exists() and to.stat().st_mtime >= source.stat().st_mtime:
        return to
    if shutil.which(command[0]) is None:
        raise Missing(f"{name}: {command[0]} is not installed (./dev peers)")
    BUILD.mkdir(exist_ok=True)
    filled = [word.format(to=to, source=source) for word in command]
    done = subprocess.run(
        filled,
        check=False,
        env={**os.environ, **(environment or {})},
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise Missing(f"{name}: cannot be built: {done.stderr.strip()[:300]}")
    return to


# --- running


class Server(NamedTuple):
    """A server under test."""

    name: str
    command: Sequence[str]
    port: int


def pinned(core: int, command: Sequence[str]) -> list[str]:
    """`command` on one core, where that can be asked for."""
    if shutil.which("taskset") and (os.cpu_count() or 1) > 1:
        return ["taskset", "-c", str(core), *command]
    return list(command)


def stay_on(core: int) -> None:
    """Keep this process on one core, where that can be asked for."""
    if hasattr(os, "sched_setaffinity") and (os.cpu_count() or 1) > 1:
        os.sched_setaffinity(0, {core})


@contextmanager
def running(
    command: Sequence[str],
    *,
    port: int | None = None,
    says: str = "",
    core: int = 0,
    **variables: str,
) -> Iterator[subprocess.Popen[bytes]]:
    """A program, up to the end of the block; once it listens at `port`, or its log `says` so."""
    process = subprocess.Popen(
        pinned(core, command),
        env={**os.environ, **variables},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE if says else subprocess.DEVNULL,
    )
    try:
        if port is not None:
            await_port(process, port)
        if says:
            _await_words(process, says)
        yield process
    finally:
        process.kill()
        process.wait()


def _await_words(process: subprocess.Popen[bytes], words: str) -> None:
    assert process.stderr is not None
    for line in process.stderr:
        if words.encode() in line:
            # A program whose log nobody reads waits for ever once the pipe is full.
            threading.Thread(target=deque, args=(process.stderr, 0), daemon=True).start()
            return
    raise Missing(f"{process.args!r} ended with {process.wait()}")


def await_port(process: subprocess.Popen[bytes], port: int) -> None:
    """Wait until `process` listens at `port`. Raises `Missing`."""
    end = time.monotonic() + _START_SECONDS_MAX
    while time.monotonic() < end:
        if process.poll() is not None:
            raise Missing(f"{process.args!r} ended with {process.returncode}")
        try:
            socket.create_connection(("127.0.0.1", port), 0.2).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise Missing(f"{process.args!r} does not listen at {port}")


def load(port: int, pid: int | Sequence[int], *options: str) -> Row:
    """One run of the load generator against the server `pid`, or its several processes."""
    pids = ",".join(map(str, [pid] if isinstance(pid, int) else pid))
    command = [str(build_load()), "-a", str(port), "-P", pids, *options]
    done = subprocess.run(
        pinned(1, command), check=False, capture_output=True, text=True, errors="replace"
    )
    if done.returncode:
        raise Missing(f"the load failed: {done.stderr.strip()[:300]}")
    result: Row = json.loads(done.stdout)
    return result


def hold(port: int, pid: int, count: int) -> Row:
    """`count` handshakes and connections held: per CPU second of the server, and bytes each."""
    command = [str(build_load()), "-K", "-m", "ws", "-a", str(port)]
    subprocess.run(pinned(1, [*command, "-c", "50"]), check=True, stdout=subprocess.DEVNULL)
    time.sleep(0.5)
    rss, cpu = rss_bytes(pid), cpu_seconds(pid)
    held = [*command, "-c", str(count), "-H", "2"]
    process = subprocess.Popen(pinned(1, held), stdout=subprocess.PIPE)
    assert process.stdout is not None
    if not process.stdout.readline():
        raise Missing("the load could not open its connections")
    spent = cpu_seconds(pid) - cpu
    time.sleep(1.0)
    grown = rss_bytes(pid) - rss
    process.wait()
    return {
        "handshakes_cpu_s": round(count / spent),
        "us_handshake": round(spent / count * 1e6, 2),
        "bytes_each": round(grown / count),
    }


def cpu_seconds(pid: int) -> float:
    """The CPU time that a process has taken, all its threads."""
    tasks = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(task.read_text().split()[0]) for task in tasks) / 1e9


def rss_bytes(pid: int) -> int:
    """The memory of a process that is in RAM."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def medians(rows: Sequence[Row]) -> Row:
    """The median of each figure over rounds."""
    return {
        key: round(median(row[key] for row in rows), 3)
        for key in rows[0]
        if isinstance(rows[0][key], int | float)
    }


# --- showing


def show(title: str, rows: Sequence[Row], *, as_json: bool) -> None:
    """A table for people, or a JSON object a line."""
    if as_json:
        for row in rows:
            print(json.dumps({"bench": title, **row}))
        return
    print(f"\n{title}\n")
    columns = list(dict.fromkeys(key for row in rows for key in row))
    cells = [columns, *([_cell(row.get(column)) for column in columns] for row in rows)]
    widths = [max(len(line[i]) for line in cells) for i in range(len(columns))]
    for line in cells:
        first, *rest = (
            cell.ljust(w) if i == 0 else cell.rjust(w)
            for i, (cell, w) in enumerate(zip(line, widths, strict=True))
        )
        print("  ".join([first, *rest]))


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:,.2f}"
    return f"{value:,}" if isinstance(value, int) else str(value if value is not None else "")
