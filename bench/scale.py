"""A gateway with ten thousand clients: storms, broadcasts, ends; what each costs, and blocks.

`pause ms` is the longest time that a ping of somebody else waited, by a probe of its own; `of CPU
ms` is the most CPU time that the gateway took while one did, which other processes do not extend;
the bar: 20. `CPU ms` is all of the gateway's. `Fan-out` is what one text to plain clients costs a
server; the bars: 1.5 times a loop on picows in `memory`, and twice in `fast`. The last table is
the group commit of a chat, in one process: how long the worst commit took (the bar: 30 ms), and
how much is written for what is journaled.
"""

from __future__ import annotations

import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from random import Random

from tests.ports import free_port
from tests.written import written_bytes

from bench import harness
from bench.crowd import Crowd, Probe, probing
from bench.fanout import fan_out
from bench.harness import HERE, HOLDFAST, PYTHON, Row
from holdfast.backends.base import BaseBackend
from holdfast.core.items import MUST, Text
from holdfast.core.limits import Limits
from holdfast.sessions.journal import Journal
from holdfast.sessions.manager import SessionManager
from holdfast.sessions.outbox import shared
from holdfast.sessions.session import Session
from holdfast.sessions.states import Durability
from holdfast.sessions.stores.sqlite import SQLiteFile

CONFIG = """
[store]
path = "{folder}/sessions.db"
[link]
listen = "unix:{folder}/link"
[[listener]]
url = "ws://127.0.0.1:{port}/"
durability = "fast"
[[listener]]
url = "ws://127.0.0.1:{echo}/"
backend = "echo"
durability = "memory"
{crowd}
detached_seconds_max = {detached}
unclaimed_seconds_max = {detached}
input_bytes_per_network_per_second_max = 1e12
input_burst_bytes_per_network_max = 1000000000000
"""
TEXT = (
    "You see a long corridor with many doors, and hear steps that are not yours. You wait, and go."
)
BROADCASTS = 300
CHAT_SESSIONS, CHAT_COMMITS = 10_000, 6_000


class Gateway:
    """The gateway under test, which is killed and started again on the same files."""

    def __init__(self, folder: Path, detached: float = 3600.0) -> None:
        self.folder = folder
        self.port, self.echo = free_port(), free_port()
        path = folder / "holdfast.toml"
        path.write_text(
            CONFIG.format(
                folder=folder,
                port=self.port,
                echo=self.echo,
                crowd=harness.CROWD,
                detached=detached,
            )
        )
        self._command = harness.pinned(0, [*HOLDFAST, "serve", str(path), "--log-level", "error"])
        self.pid = 0

    @contextmanager
    def running(self) -> Iterator[float]:
        """Run it; yields the seconds until it was ready."""
        began = time.monotonic()
        with (self.folder / "log").open("ab") as log:
            process = subprocess.Popen(self._command, stdout=log, stderr=log)
        try:
            while not _listens(self.echo):
                if process.poll() is not None:
                    raise harness.Missing((self.folder / "log").read_text()[-1_000:])
                time.sleep(0.005)
            self.pid = process.pid
            yield time.monotonic() - began
        finally:
            process.kill()
            process.wait()

    @contextmanager
    def application(self) -> Iterator[None]:
        """Its application."""
        command = [PYTHON, str(HERE / "apps" / "crier.py")]
        link = f"unix:{self.folder}/link"
        with harness.running(command, says="linked", core=1, HOLDFAST_LINK=link):
            yield

    @property
    def stored_bytes(self) -> int:
        return sum(path.stat().st_size for path in self.folder.glob("sessions.db*"))

    @property
    def written_bytes(self) -> int:
        lines = Path(f"/proc/{self.pid}/io").read_text().splitlines()
        return int(dict(line.split(": ") for line in lines)["wchar"])


def _listens(port: int) -> bool:
    with suppress(OSError):
        socket.create_connection(("127.0.0.1", port), 1.0).close()
        return True
    return False


class Scenes:
    """What happens to one gateway, a row each."""

    def __init__(self, gateway: Gateway, crowd: Crowd, probe: Probe) -> None:
        self.rows: list[Row] = []
        self._gateway = gateway
        self._crowd = crowd
        self.probe = probe

    def play(self, what: str, work: Callable[[], object], times: int = 1) -> Row:
        """Do something, and then nothing for a second: the store has it by then."""
        taken = []
        self.probe.worst()
        cpu, refused = harness.cpu_seconds(self._gateway.pid), self._crowd.refused
        for _ in range(times):
            began = time.monotonic()
            work()
            taken.append(time.monotonic() - began)
            self._crowd.read(1.0)
        spent = harness.cpu_seconds(self._gateway.pid) - cpu
        pause = self.probe.worst()
        self.rows.append(
            {
                "what": what,
                "seconds": round(sorted(taken)[len(taken) // 2], 3),
                "pause ms": round(pause.lasted * 1e3, 1),
                "of CPU ms": round(pause.worked * 1e3, 1),
                "CPU ms": round(spent / times * 1e3, 1),
                "refused": self._crowd.refused - refused,
            }
        )
        return self.rows[-1]

    def broadcast(self, what: str, reached: int) -> None:
        def work() -> None:
            wanted = self._crowd.marks + reached
            self._crowd.say(1, TEXT)
            self._crowd.read_until(lambda: self._crowd.marks >= wanted)

        self.play(what, work, times=5)


def storms(count: int) -> tuple[list[Row], list[Row]]:
    """Clients that come, are told, lose their application and their gateway, and come again."""
    with tempfile.TemporaryDirectory(prefix="holdfast-bench-") as name, ExitStack() as stack:
        gateway = Gateway(Path(name))
        crowd = Crowd(gateway.port, count)
        stack.callback(crowd.close)
        with gateway.running() as _, probing(gateway.echo, gateway.pid) as probe:
            scenes = Scenes(gateway, crowd, probe)
            with gateway.application():
                scenes.play(f"{count:,} clients come", crowd.come)
                scenes.play("nothing, for 5 s", lambda: crowd.read(5.0))
                scenes.broadcast("a broadcast", count)
            scenes.play("the application ends", lambda: crowd.read(1.0))
            application = gateway.application()
            scenes.play("an application links", lambda: stack.enter_context(application))
            half = count // 2
            scenes.play("half of them leave", lambda: crowd.leave(half))
            scenes.broadcast("a broadcast, half away", count - half)
            scenes.play("the rest leaves, but one", lambda: crowd.leave(count - 1))
            stored = _store_broadcasts(scenes, gateway, crowd)
        with gateway.running() as ready, probing(gateway.echo, gateway.pid) as probe:
            again = Scenes(gateway, crowd, probe)
            again.play("the application finds the gateway", lambda: crowd.read(3.0))
            stored["start s"] = round(ready, 2)
            stored["MB after"] = round(harness.rss_bytes(gateway.pid) / 1e6)
            again.play("all come again", crowd.come)
            again.broadcast("a broadcast to them", count)
    return [*scenes.rows, *again.rows], [stored]


def _store_broadcasts(scenes: Scenes, gateway: Gateway, crowd: Crowd) -> Row:
    """Much is said while nobody is there but the speaker."""
    members = len(crowd.members)
    before = gateway.written_bytes

    def work() -> None:
        for _ in range(BROADCASTS):
            wanted = crowd.marks + 1
            crowd.say(1, TEXT)
            crowd.read_until(lambda wanted=wanted: crowd.marks >= wanted)  # type: ignore[misc]

    row = scenes.play(f"{BROADCASTS} broadcasts, all away", work)
    written = gateway.written_bytes - before
    return {
        "members": members,
        "broadcasts": BROADCASTS,
        "written, bytes a member and broadcast": round(written / members / BROADCASTS, 1),
        "file MB": round(gateway.stored_bytes / 1e6),
        "MB": round(harness.rss_bytes(gateway.pid) / 1e6),
        "CPU ms a broadcast": round(row["CPU ms"] / BROADCASTS, 1),
    }


def expiry(count: int) -> list[Row]:
    """Clients that leave, and whose sessions expire all at once."""
    with tempfile.TemporaryDirectory(prefix="holdfast-bench-") as name:
        gateway = Gateway(Path(name), detached=2.0)
        crowd = Crowd(gateway.port, count)
        with (
            gateway.running() as _,
            probing(gateway.echo, gateway.pid) as probe,
            gateway.application(),
        ):
            scenes = Scenes(gateway, crowd, probe)
            crowd.come()
            crowd.read(1.0)
            crowd.leave(count)
            scenes.play("their sessions expire", lambda: crowd.read(12.0))
            crowd.close()
    return scenes.rows


def _read(session: Session) -> None:
    """Its client has got and acknowledged everything."""
    if session.out.sent < session.out.top:
        session.out.take(session.out.top)
        session.out.ack(session.out.top)
        session.mark_dirty()


def chat(commits: int) -> Row:
    """The group commit of a chat: lines to ten, now and then to all; acknowledged within ten
    commits."""
    limits, random = Limits(), Random(1)
    journal = Journal(limits.store, lambda marks: None)
    manager = SessionManager(limits.session, journal, lambda action: None)
    backend = BaseBackend()
    with tempfile.TemporaryDirectory(prefix="holdfast-bench-") as folder:
        file = SQLiteFile(Path(folder) / "sessions.db", limits.store)
        file.open()
        sessions = [
            manager.create(backend, Durability.FAST, 0.0, f"network {number}")
            for number in range(CHAT_SESSIONS)
        ]
        stored, taken, journaled, written = 0, [], 0, 0
        for number in range(commits):
            now = number * 0.1
            for _ in range(20):
                said = shared(Text(TEXT), MUST, now)
                assert said is not None
                for session in random.sample(sessions, 10):
                    session.emit_shared(said)
            if number % 300 == 299:
                said = shared(Text(TEXT), MUST, now)
                assert said is not None
                for session in sessions:
                    session.emit_shared(said)
            for session in sessions[number % 10 :: 10]:
                _read(session)
            commit = journal.collect()
            before, began = written_bytes(), time.monotonic()
            stored = file.commit(commit.batch)
            taken.append(time.monotonic() - began)
            written += written_bytes() - before
            journaled += stored
            journal.committed(commit, stored)
        size = sum(path.stat().st_size for path in Path(folder).glob("sessions.db*"))
        file.close(clean=True)
    taken.sort()
    return {
        "commits": commits,
        "median ms": round(taken[len(taken) // 2] * 1e3, 2),
        "p99 ms": round(taken[len(taken) * 99 // 100] * 1e3, 1),
        "worst ms": round(taken[-1] * 1e3, 1),
        "journal MB": round(journaled / 1e6),
        "written / journal": round(written / journaled, 2),
        "file MB": round(size / 1e6),
    }


def main(arguments: Sequence[str]) -> int:
    parser = harness.parser(__doc__)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--commits", type=int, default=CHAT_COMMITS)
    parser.add_argument("--only", choices=["storms", "expiry", "fan-out", "chat"])
    options = parser.parse_args(arguments)
    rows: list[Row] = []
    stored: list[Row] = []
    if options.only in (None, "storms"):
        rows, stored = storms(options.count)
    if options.only in (None, "expiry"):
        rows += expiry(options.count)
    if rows:
        harness.show(f"{options.count:,} clients", rows, as_json=options.json)
    if stored:
        harness.show("What is stored of broadcasts", stored, as_json=options.json)
    if options.only in (None, "fan-out"):
        reached = fan_out((options.count // 10, options.count), TEXT, 2 * options.rounds + 1)
        harness.show("Fan-out", reached, as_json=options.json)
    if options.only in (None, "chat"):
        title = "The group commits of a chat"
        harness.show(title, [chat(options.commits)], as_json=options.json)
    return 0
