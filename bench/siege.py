"""A gateway under attack, as honest people notice it.

Each attack goes on for `--seconds` from one address, as fast as it can. Beside it
somebody from another address talks with an application, and others arrive. `p50`,
`p99` and `max` are milliseconds from a command to its answer (the bar: p99 of 50);
`cut` counts lost connections, `refused` arrivals that came to nothing, and `wait` is
the longest of an arrival. A session is stored before its client gets it, so it may
wait for the disk: `disk` is the longest time that the disk took, beside it, to
keep 4 KiB. `cpu %` is the gateway's share of its core. Then what it grew by: memory
at most and at the end, the log and the store. Compare with `nobody`, beside whom nothing is tried.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import multiprocessing
import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final, NamedTuple

from tests.ports import free_port

from bench import harness
from bench.attacks import ATTACKS
from bench.attacks.wire import Attack, Target, tries
from bench.harness import HERE, HOLDFAST, PYTHON, Row
from holdfast import client

P99_MS_MAX: Final = 50.0
_TALK_SECONDS: Final = 0.02
_ARRIVAL_SECONDS: Final = 0.5
_PATIENCE_SECONDS: Final = 5.0
_SETTLE_SECONDS: Final = 1.0
_OTHERS: Final = "127.0.0.3"
"""The address of those who arrive."""
_SECRET: Final = "a secret of the link that is long enough to be one"
_NOBODY: Final = "nobody"


class Besieged(NamedTuple):
    """The gateway under attack."""

    target: Target
    pid: int
    folder: Path

    def grown(self) -> tuple[int, int, int]:
        """Bytes of memory, of the log, of the store."""
        store = sum(path.stat().st_size for path in self.folder.glob("sessions.db*"))
        return harness.rss_bytes(self.pid), (self.folder / "log").stat().st_size, store


@contextlib.contextmanager
def gateway(folder: Path) -> Iterator[Besieged]:
    """A gateway with the limits that there are if nothing is configured, and an application."""
    target = Target(*(free_port() for _ in Target._fields))
    certificate = _certificate(folder)
    (folder / "token").write_text("a token of the admin that is long enough to be one")
    (folder / "site").mkdir()
    (folder / "site" / "index.html").write_text("<!doctype html><title>here</title>" + "x" * 60_000)
    (folder / "gateway.toml").write_text(f"""
        [store]
        path = "{folder}/sessions.db"
        [link]
        listen = "tcp://127.0.0.1:{target.link}"
        secret = "{_SECRET}"
        [admin]
        listen = "tcp://127.0.0.1:{target.admin}"
        token_file = "{folder}/token"
        [[listener]]
        url = "ws://127.0.0.1:{target.ws}/"
        pages = "{folder}/site"
        deflate = {{}}
        app = "bench"
        [[listener]]
        url = "ws://127.0.0.1:{target.login}/"
        app = "guarded"
        [[listener]]
        url = "telnet://127.0.0.1:{target.telnet}"
        app = "bench"
        [[listener]]
        url = "tcp://127.0.0.1:{target.tcp}"
        app = "bench"
        [[listener]]
        url = "tls://127.0.0.1:{target.tls}"
        app = "bench"
        certificate = {{ cert = "{certificate}", key = "{certificate}" }}
        [[listener]]
        url = "tcp://127.0.0.1:{target.proxied}"
        app = "bench"
        proxy = {{ trust = ["127.0.0.0/8"] }}
    """)
    with (folder / "log").open("wb") as log:
        serve = harness.pinned(0, [*HOLDFAST, "serve", str(folder / "gateway.toml")])
        process = subprocess.Popen(serve, stdout=log, stderr=log)
    try:
        harness.await_port(process, target.ws)
        with _application("echo", target), _application("guarded", target):
            yield Besieged(target, process.pid, folder)
    finally:
        process.kill()
        process.wait()


def _application(name: str, target: Target) -> contextlib.AbstractContextManager[object]:
    return harness.running(
        [PYTHON, str(HERE / "apps" / f"{name}.py")],
        says="linked",
        core=1,
        HOLDFAST_LINK=f"tcp://127.0.0.1:{target.link}",
        HOLDFAST_LINK_SECRET=_SECRET,
    )


def _certificate(folder: Path) -> Path:
    both = folder / "both.pem"
    made = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
    named = ["-nodes", "-subj", "/CN=localhost", "-days", "2"]
    to = ["-keyout", str(both), "-out", str(folder / "certificate.pem")]
    subprocess.run([*made, *named, *to], check=True, capture_output=True)
    both.write_text(both.read_text() + (folder / "certificate.pem").read_text())
    return both


# --- the honest


class Noticed:
    """What honest people notice."""

    def __init__(self) -> None:
        self.waits: list[float] = []
        self.cut = 0
        self.refused = 0
        self.arrived = 0
        self.arrival_seconds = 0.0
        """The longest."""

    async def talk(self, port: int) -> None:
        """Say something, wait for the answer, and again."""
        async with client.connect(f"ws://127.0.0.1:{port}/") as session:
            number = 0
            while True:
                number += 1
                said = time.perf_counter()
                session.command(str(number))
                try:
                    while True:
                        event = await session.receive()
                        if isinstance(event, client.Text) and event.d == str(number):
                            break
                        self.cut += isinstance(event, client.Offline)
                finally:  # the answer that never comes counts, too
                    self.waits.append(time.perf_counter() - said)
                await asyncio.sleep(_TALK_SECONDS)

    async def arrive(self, port: int) -> None:
        """Come, say something, be answered, leave; and again."""
        while True:
            await asyncio.sleep(_ARRIVAL_SECONDS)
            came = time.perf_counter()
            try:
                async with asyncio.timeout(_PATIENCE_SECONDS):
                    await _visit(port)
            except (OSError, EOFError, TimeoutError):
                self.refused += 1
            else:
                self.arrived += 1
            finally:
                waited = time.perf_counter() - came
                self.arrival_seconds = max(self.arrival_seconds, waited)


async def _visit(port: int) -> None:
    dialling = asyncio.open_connection("127.0.0.1", port, local_addr=(_OTHERS, 0))
    reader, writer = await dialling
    try:
        writer.write(b"good day\n")
        while await reader.readline() != b"good day\n":
            if reader.at_eof():
                raise EOFError("sent away")
    finally:
        writer.close()


def _be_honest(target: Target, seconds: float, result: Connection) -> None:
    noticed = Noticed()

    async def both() -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(noticed.talk(target.ws))
            tasks.create_task(noticed.arrive(target.tcp))

    _for(seconds, both)
    waits = sorted(noticed.waits) or [seconds]
    result.send(
        {
            "answers": len(noticed.waits),
            "p50": waits[len(waits) // 2] * 1000,
            "p99": waits[len(waits) * 99 // 100] * 1000,
            "max": waits[-1] * 1000,
            "cut": noticed.cut,
            "arrived": noticed.arrived,
            "refused": noticed.refused,
            "wait": noticed.arrival_seconds * 1000,
        }
    )


def _attack(attack: Attack, target: Target, seconds: float, result: Connection) -> None:
    os.nice(19)  # the machine's own time is not what is tried
    _for(seconds, lambda: attack(target))
    result.send(next(tries))


def _for(seconds: float, work: Callable[[], Any]) -> None:
    async def limited() -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await work()

    asyncio.run(limited())


# --- the siege


def besiege(name: str, seconds: float) -> Row:
    """One attack, on a gateway of its own."""
    processes = multiprocessing.get_context("spawn")
    with (
        tempfile.TemporaryDirectory(prefix="holdfast-siege-") as folder,
        gateway(Path(folder)) as besieged,
    ):
        target = besieged.target
        noticed, tell_noticed = processes.Pipe(duplex=False)
        tried, tell_tried = processes.Pipe(duplex=False)
        honest = processes.Process(target=_be_honest, args=(target, seconds + 2, tell_noticed))
        honest.start()
        time.sleep(_SETTLE_SECONDS)
        before, spent = besieged.grown(), harness.cpu_seconds(besieged.pid)
        attackers = []
        if name != _NOBODY:
            arguments = (ATTACKS[name], target, seconds, tell_tried)
            attackers = [processes.Process(target=_attack, args=arguments)]
            attackers[0].start()
        peak, disk = 0, 0.0
        end = time.monotonic() + seconds + 2
        while time.monotonic() < end:
            time.sleep(0.25)
            peak = max(peak, harness.rss_bytes(besieged.pid))
            disk = max(disk, _disk_seconds(Path(folder)))
        spent = harness.cpu_seconds(besieged.pid) - spent
        row = noticed.recv() if noticed.poll(30) else {"p99": float("inf")}
        count = tried.recv() if attackers and tried.poll(30) else 0
        for process in (honest, *attackers):
            process.kill()
            process.join()
        time.sleep(_SETTLE_SECONDS)
        after = besieged.grown()
    return {
        "attack": name,
        "tries/s": round(count / seconds),
        **row,
        "disk": disk * 1000,
        "cpu %": round(100 * spent / (seconds + 2)),
        "RSS MiB": before[0] / 2**20,
        "at most": peak / 2**20,
        "after": after[0] / 2**20,
        "log KiB": (after[1] - before[1]) / 1024,
        "store KiB": (after[2] - before[2]) / 1024,
        "": "" if row["p99"] <= P99_MS_MAX else "OVER",
    }


def _disk_seconds(folder: Path) -> float:
    """How long the disk takes to keep a little."""
    with (folder / "disk").open("wb", buffering=0) as file:
        file.write(bytes(4096))
        began = time.perf_counter()
        os.fdatasync(file)
        return time.perf_counter() - began


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, prog="./dev bench", formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="one object a row instead of a table")
    parser.add_argument("--seconds", type=float, default=30.0, help="of each attack")
    parser.add_argument("--attack", choices=[_NOBODY, *ATTACKS], action="append", metavar="NAME")
    parser.add_argument("--list", action="store_true", help="name the attacks")
    options = parser.parse_args(arguments)
    if options.list:
        for name, attack in ATTACKS.items():
            print(f"{name:26} {(attack.__doc__ or '').splitlines()[0]}")
        return 0
    rows = []
    for name in options.attack or [_NOBODY, *ATTACKS]:
        rows.append(besiege(name, options.seconds))
        if options.json:
            print(json.dumps({"bench": "siege", **rows[-1]}), flush=True)
    if not options.json:
        harness.show("A gateway under attack, as honest people notice it", rows, as_json=False)
    return int(any(row[""] for row in rows))
