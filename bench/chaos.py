"""Kill -9 the application or the gateway again and again under load, and count what is lost.

Clients that resume type numbered commands all the time; people on plain TCP
listen to a ticker. After the last kill everything must have been done once and
in order, and everything that was said must have been shown once, or the client
was told that it begins afresh.
"""

from __future__ import annotations

import asyncio
import os
import random
import re
import signal
import sqlite3
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench import harness
from bench.harness import HERE, HOLDFAST, PYTHON, Row
from holdfast.client import Began, Client, Notice, Text, connect
from holdfast.net.loop import run as run_loop

_READY_SECONDS_MAX = 30.0
_SETTLE_SECONDS_MAX = 60.0
_IDLE_SECONDS = 5.0
_CODE = re.compile(r'type "resume ([0-9A-Z-]+)"')


@dataclass(frozen=True)
class Plan:
    """What is done to whom."""

    target: str
    """`application` or `gateway`."""
    durability: str = "durable"
    kills: int = 100
    clients: int = 200
    listeners: int = 20
    commands_per_second: float = 20.0
    pause_seconds: float = 0.5
    """Between two kills, on average."""


# --- the programs


class Program:
    """A child process that can be killed and started again."""

    def __init__(self, command: Sequence[str], ready: str, variables: dict[str, str]) -> None:
        self._command = command
        self._ready = ready
        self._environment = {**os.environ, **variables}
        self._process: asyncio.subprocess.Process | None = None
        self._log = bytearray()

    async def start(self) -> None:
        """Start it, and wait until its log says that it is ready."""
        self._process = await asyncio.create_subprocess_exec(
            *self._command,
            env=self._environment,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        assert self._process.stderr is not None
        async with asyncio.timeout(_READY_SECONDS_MAX):
            while line := await self._process.stderr.readline():
                self._log += line
                if self._ready.encode() in line:
                    return
        raise RuntimeError(f"{self._command}: {self._log.decode(errors='replace')[-2000:]}")

    async def drain_log(self) -> None:
        """Read the log, so that the program is never held up by it."""
        assert self._process is not None
        assert self._process.stderr is not None
        while await self._process.stderr.read(65536):
            pass

    async def kill(self) -> None:
        """Kill it as nothing can prepare for."""
        assert self._process is not None
        with suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGKILL)
        await self._process.wait()


def _config(folder: Path, durability: str, ports: tuple[int, int]) -> Path:
    path = folder / "gateway.toml"
    path.write_text(f"""
        [store]
        path = "{folder}/sessions.db"
        [link]
        listen = "unix:{folder}/link.sock"
        [[listener]]
        url = "ws://127.0.0.1:{ports[0]}/"
        durability = "{durability}"
        [[listener]]
        url = "tcp://127.0.0.1:{ports[1]}"
        durability = "{durability}"
        [limits.session]
        attach_failure_burst_max = 100000
        window_messages_max = 4096
        window_bytes_max = 1048576
        queue_messages_max = 1024
    """)
    return path


# --- the people


class UnsettledError(Exception):
    """A client still waits for something, long after the last kill."""


@dataclass
class Typist:
    """A resuming client that types numbered commands, and what it was shown."""

    name: str
    typed: list[str] = field(default_factory=list)
    shown: list[str] = field(default_factory=list)
    """Since it last began afresh."""
    resets: Counter[str] = field(default_factory=Counter)
    """How often it was told to begin afresh, by reason."""
    notices: int = 0
    sid: str = ""

    async def work(self, url: str, per_second: float, finished: asyncio.Event) -> None:
        async with connect(url) as client, asyncio.TaskGroup() as tasks:
            typing = tasks.create_task(self._type(client, per_second, finished))
            watching = tasks.create_task(self._watch(client))
            await typing
            await self._settle(client)
            self.sid = client.state.sid
            watching.cancel()

    async def _type(self, client: Client, per_second: float, finished: asyncio.Event) -> None:
        while not finished.is_set():
            await asyncio.sleep(random.uniform(0.5, 1.5) / per_second)
            if len(client.state.pending) < 500:  # a person, too, waits at some point
                self.typed.append(f"{self.name}-{len(self.typed) + 1}")
                client.command(self.typed[-1])

    async def _watch(self, client: Client) -> None:
        async for event in client:
            match event:
                case Text(d=text):
                    self.shown.append(text)
                case Began(reason):
                    self.resets[reason] += 1
                    self.shown.clear()
                case Notice():
                    self.notices += 1
                case _:
                    pass

    async def _settle(self, client: Client) -> None:
        """Wait until everything was taken, and the last answer seen."""
        try:
            async with asyncio.timeout(_SETTLE_SECONDS_MAX):
                while not self._settled(client):  # noqa: ASYNC110 - there is no event for it
                    await asyncio.sleep(0.05)
        except TimeoutError as error:
            raise UnsettledError(
                f"{self.name}: typed {self.typed[-1:]}, shown {self.shown[-1:]}, {client.state}"
            ) from error

    def _settled(self, client: Client) -> bool:
        if client.state.pending:
            return False
        return bool(self.resets) or not self.typed or f"did {self.typed[-1]}" in self.shown


@dataclass
class Listener:
    """Somebody on plain TCP who types the resume code after every cut."""

    ticks: list[int] = field(default_factory=list)
    """Outside of what it was told that it may have seen already."""
    doubtful: list[int] = field(default_factory=list)
    code: str = ""
    """The newest resume code that it was shown."""
    cuts: int = 0
    refused: int = 0
    """How often its code was not taken: then it has a new session, and misses what was said."""

    async def work(self, port: int, finished: asyncio.Event) -> None:
        while not finished.is_set():
            with suppress(OSError):
                await self._one_connection(port, finished)
            self.cuts += not finished.is_set()
            await asyncio.sleep(random.uniform(0.05, 0.3))

    async def _one_connection(self, port: int, finished: asyncio.Event) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            if self.code:
                writer.write(f"resume {self.code}\n".encode())
            asked, doubtful = bool(self.code), False
            while not finished.is_set():
                with suppress(TimeoutError):
                    async with asyncio.timeout(0.5):
                        line = (await reader.readline()).decode()
                        if not line.endswith("\n"):
                            break
                        match = _CODE.search(line)
                        refused = "does not resume" in line
                        self.refused += refused
                        asked = asked and not refused and "Welcome back" not in line
                        # Until the answer, what is heard is of a session that is left again.
                        if match is not None and not asked:
                            self.code = match[1]
                        if line.startswith("*** "):
                            doubtful = "may have seen" in line
                        elif line.startswith("tick ") and not asked:
                            (self.doubtful if doubtful else self.ticks).append(int(line[5:]))
        finally:
            writer.close()


# --- the run


async def torment(plan: Plan) -> Row:
    """Do what the plan says, and count."""
    with tempfile.TemporaryDirectory(prefix="holdfast-chaos-") as name:
        folder = Path(name)
        ports = (harness.free_port(), harness.free_port())
        config = _config(folder, plan.durability, ports)
        ledger = folder / "ledger.db"
        gateway = Program([*HOLDFAST, "serve", str(config)], "applications come in", {})
        application = Program(
            [PYTHON, str(HERE / "apps" / "ledger.py")],
            "linked",
            {"HOLDFAST_LINK": f"unix:{folder}/link.sock", "HOLDFAST_LEDGER": str(ledger)},
        )
        await gateway.start()
        await application.start()
        typists = [Typist(f"c{number}") for number in range(plan.clients)]
        listeners = [Listener() for _ in range(plan.listeners)]
        try:
            async with asyncio.TaskGroup() as tasks:
                logs = [
                    tasks.create_task(program.drain_log()) for program in (gateway, application)
                ]
                finished, stopped = asyncio.Event(), asyncio.Event()
                url = f"ws://127.0.0.1:{ports[0]}/"
                working = [
                    tasks.create_task(typist.work(url, plan.commands_per_second, finished))
                    for typist in typists
                ]
                for listener in listeners:
                    tasks.create_task(listener.work(ports[1], stopped))
                victim = application if plan.target == "application" else gateway
                for _ in range(plan.kills):
                    await asyncio.sleep(random.uniform(0.5, 1.5) * plan.pause_seconds)
                    await victim.kill()
                    await victim.start()
                    logs.append(tasks.create_task(victim.drain_log()))
                await asyncio.sleep(1.0)
                finished.set()
                await asyncio.wait(working)
                await _done(ledger, sum(len(typist.typed) for typist in typists))
                stopped.set()
                await application.kill()
                await gateway.kill()
        finally:
            with suppress(Exception):
                await application.kill()
                await gateway.kill()
        return _count(plan, ledger, typists, listeners)


async def _done(ledger: Path, commands: int) -> None:
    """Wait until the application has done as much, or does nothing more."""
    before = -1
    with closing(sqlite3.connect(ledger)) as database:
        while True:
            (done,) = database.execute("SELECT count(*) FROM effect").fetchone()
            if done >= commands or done == before:
                return
            before = done
            await asyncio.sleep(_IDLE_SECONDS)


def _count(plan: Plan, ledger: Path, typists: list[Typist], listeners: list[Listener]) -> Row:
    effects: dict[str, list[str]] = {}
    database = sqlite3.connect(ledger)
    for sid, what in database.execute("SELECT sid, what FROM effect ORDER BY rowid"):
        effects.setdefault(sid, []).append(what)
    database.close()
    lost = twice = disorder = shown_twice = missing = 0
    for typist in typists:
        done = effects.get(typist.sid, [])
        undone = set(typist.typed) - set(done)
        if undone:
            numbers = sorted(int(what.rpartition("-")[2]) for what in undone)
            told = f"{dict(typist.resets)}, session {typist.sid}"
            print(f"{typist.name}: not done: {numbers}; resets: {told}", file=sys.stderr)
        lost += len(undone)
        twice += len(done) - len(set(done))
        disorder += done != sorted(done, key=lambda what: int(what.rpartition("-")[2]))
        answers = [text for text in typist.shown if text.startswith("did ")]
        shown_twice += len(answers) - len(set(answers))
        if not typist.resets and plan.target == "gateway":
            missing += len({f"did {what}" for what in typist.typed} - set(answers))
    return {
        "killed": plan.target,
        "durability": plan.durability,
        "kills": plan.kills,
        "clients": plan.clients,
        "commands": sum(len(typist.typed) for typist in typists),
        "lost": lost,
        "twice": twice,
        "out of order": disorder,
        "resets told": _told(sum((typist.resets for typist in typists), Counter())),
        "answers missing": missing,
        "answers twice": shown_twice,
        "notices a client": round(sum(t.notices for t in typists) / max(1, len(typists)), 2),
        **_count_ticks(listeners),
    }


def _told(resets: Counter[str]) -> str | int:
    return ", ".join(f"{count} {reason}" for reason, count in resets.items()) or 0


def _count_ticks(listeners: list[Listener]) -> Row:
    missed = repeated = 0
    for listener in listeners:
        heard = set(listener.ticks) | set(listener.doubtful)
        if heard:
            missed += max(heard) - min(heard) + 1 - len(heard)
        repeated += len(listener.ticks) - len(set(listener.ticks))
    return {
        "listeners cut": sum(listener.cuts for listener in listeners),
        "codes refused": sum(listener.refused for listener in listeners),
        "ticks heard": sum(len(listener.ticks) for listener in listeners),
        "ticks missed": missed,
        "ticks repeated": repeated,
    }


def main(arguments: Sequence[str]) -> int:
    parser = harness.parser(__doc__)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--rate", type=float, default=20.0, help="commands a second of each client")
    parser.add_argument("--only", choices=["application", "durable", "fast"])
    options = parser.parse_args(arguments)
    load: dict[str, Any] = {
        "kills": options.kills,
        "clients": options.clients,
        "commands_per_second": options.rate,
    }
    plans = {
        "application": Plan("application", "fast", **load),
        "durable": Plan("gateway", "durable", **load),
        "fast": Plan("gateway", "fast", **load),
    }
    failed = False
    for name, plan in plans.items():
        if options.only in (None, name):
            row = run_loop(torment(plan))
            failed = failed or bool(broken(row))
            harness.show(f"Chaos: {name}", [row], as_json=options.json)
    return int(failed)


def broken(row: Row) -> list[str]:
    """Which promises the counts of a run break.

    (Where the application is killed, a tick may be missed: the one that it had
    counted and was about to say.)
    """
    must_be_none = ["lost", "twice", "out of order", "answers missing", "answers twice"]
    if row["durability"] == "durable" and row["killed"] == "gateway":
        must_be_none += ["resets told", "codes refused", "ticks missed", "ticks repeated"]
    return [name for name in must_be_none if row[name]]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
