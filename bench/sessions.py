"""Sessions of thousands of clients: made, logged in, spoken to, resumed, restored and expired."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from itertools import count as numbers
from pathlib import Path
from typing import Any

from tests.ports import free_port

from bench import harness
from bench.harness import HERE, HOLDFAST, PYTHON, Row
from bench.restart import opened, ready
from holdfast.backends.base import BaseBackend
from holdfast.core.errors import Reason
from holdfast.core.limits import Limits
from holdfast.net.log import configure_logs
from holdfast.net.runtime.loop import allow_files
from holdfast.sessions.journal import Journal
from holdfast.sessions.manager import SessionManager
from holdfast.sessions.session import Session
from holdfast.sessions.states import Durability, SessionInput

CONFIG = """
node = "{node}"

[store]
{store}

[link]
listen = "unix:{folder}/link.sock"

[admin]
listen = "unix:{folder}/admin.sock"

[limits.connection]
connections_max = 50_000
connections_per_address_max = 50_000
accepts_per_second_max = 50_000
accept_burst_max = 50_000
accepts_per_address_per_second_max = 50_000
accept_burst_per_address_max = 50_000

[limits.session]
sessions_max = 100_000
sessions_per_network_max = 100_000
login_failure_burst_max = 100_000
input_bytes_per_network_per_second_max = 1_000_000_000
input_burst_bytes_per_network_max = 1_000_000_000

[[listener]]
url = "ws://127.0.0.1:{port}/"
app = "crowd"
"""
COUNTS = (1_000, 5_000, 10_000)
AT_ONCE = 500
"""Clients that connect at one time."""
EXPIRED = 1e9


class Person:
    """One client of `holdfast.v1`, as little as it takes."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.token = ""
        self._reader: asyncio.StreamReader
        self._writer: asyncio.StreamWriter

    async def connect(self, port: int) -> None:
        """Begin the session, or resume it."""
        self._reader, self._writer = await opened(port, "holdfast.v1")
        self._say(t="hello", **({"token": self.token} if self.token else {}))
        self.token = (await self.hear("welcome", "resumed", "reset"))["token"]

    async def log_in(self) -> None:
        """Log in, and wait for the application's first words."""
        await self.hear("login")
        self._say(t="login", username=self.name, password="x")
        for _ in range(2):  # they come in either order
            if (heard := await self.hear("token", "text"))["t"] == "token":
                self.token = heard["d"]

    async def command(self, number: int, text: str) -> None:
        """Send a command, and wait until it is durable."""
        self._say(t="cmd", c=number, d=text)
        while (await self.hear("ack"))["c"] < number:
            pass

    async def hear(self, *types: str) -> dict[str, Any]:
        """The next message of one of these types."""
        while True:
            head = await self._reader.readexactly(2)
            size = head[1]
            if size == 126:
                size = int.from_bytes(await self._reader.readexactly(2), "big")
            message = await self._reader.readexactly(size)
            if head[0] == 0x89:
                continue  # a ping, on a machine so slow that one is due
            if head[0] != 0x81:
                raise ConnectionError(f"{self.name}: expected {types}, found {message!r}")
            if (found := json.loads(message))["t"] in types:
                return dict(found)

    def drop(self) -> None:
        """Lose the connection."""
        self._writer.transport.abort()

    def _say(self, **message: object) -> None:
        data = json.dumps(message).encode()
        size = (
            bytes([0x80 | len(data)]) if len(data) < 126 else b"\xfe%c%c" % divmod(len(data), 256)
        )
        self._writer.write(b"\x81" + size + bytes(4) + data)


class Programs:
    """A gateway and its application. `store` is the URL of a database; without it, the store is a
    file."""

    def __init__(self, folder: Path, node: str = "gateway", store: str = "") -> None:
        self.folder = folder
        self.store = store
        self.port = free_port()
        self.gateway: subprocess.Popen[bytes]
        self._application: subprocess.Popen[bytes]
        place = f'url = "{store}"' if store else f'path = "{folder}/sessions.db"'
        config = CONFIG.format(folder=folder, port=self.port, node=node, store=place)
        (folder / "holdfast.toml").write_text(config)

    async def start_gateway(self) -> float:
        """Start the gateway. Returns the seconds until clients may come."""
        began = time.monotonic()
        command = [*HOLDFAST, "serve", str(self.folder / "holdfast.toml")]
        self.gateway = _start(harness.pinned(0, command), self.folder)
        async with asyncio.timeout(120):
            await ready(self.port)
        return time.monotonic() - began

    def start_application(self) -> None:
        command = [PYTHON, str(HERE / "apps" / "crowd.py")]
        self._application = _start(harness.pinned(1, command), self.folder)

    def stop_gateway(self) -> None:
        self.gateway.terminate()
        self.gateway.wait()

    def stop(self) -> None:
        self.stop_gateway()
        self.stop_application()

    def stop_application(self) -> None:
        self._application.terminate()
        self._application.wait()

    async def until(self, name: str, value: float) -> None:
        """Wait until a metric has this value."""
        async with asyncio.timeout(120):
            while True:
                with suppress(OSError):  # the operator's listener opens last
                    if await self.metric(name) >= value:
                        return
                await asyncio.sleep(0.1)

    async def metric(self, name: str) -> float:
        """The sum of the samples of one metric."""
        reader, writer = await asyncio.open_unix_connection(str(self.folder / "admin.sock"))
        writer.write(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
        text = (await reader.read()).decode()
        writer.close()
        lines = (line.rpartition(" ") for line in text.splitlines())
        return sum(float(value) for name_, _, value in lines if name_.startswith(name))


def _start(command: Sequence[str], folder: Path) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "HOLDFAST_LINK": f"unix:{folder}/link.sock"}
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


@asynccontextmanager
async def programs() -> AsyncIterator[Programs]:
    with tempfile.TemporaryDirectory(prefix="holdfast-bench-") as folder:
        made = Programs(Path(folder))
        await made.start_gateway()
        made.start_application()
        try:
            await made.until("holdfast_link_applications", 1)
            yield made
        finally:
            made.stop()


async def all_do(people: Sequence[Person], what: Callable[[Person], Awaitable[None]]) -> None:
    """Everybody does it, so many at one time."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(person: Person) -> None:
        async with gate:
            await what(person)

    async with asyncio.TaskGroup() as tasks:
        for person in people:
            tasks.create_task(one(person))


class Table:
    """The rows of one run."""

    def __init__(self, running: Programs, count: int) -> None:
        self.rows: list[Row] = []
        self._running = running
        self._count = count

    async def measure(self, category: str, work: Awaitable[None]) -> Row:
        """One category, of the gateway: how long, and how much of its processor."""
        pid = self._running.gateway.pid
        used, began = harness.cpu_seconds(pid), time.monotonic()
        await work
        seconds, used = time.monotonic() - began, harness.cpu_seconds(pid) - used
        return self.add(category, seconds, used)

    def add(self, category: str, seconds: float, used: float, note: str = "") -> Row:
        row: Row = {
            "clients": self._count,
            "category": category,
            "seconds": round(seconds, 2),
            "a second": round(self._count / seconds) if seconds else 0,
            "CPU µs each": round(1e6 * used / self._count, 1),
            "note": note,
        }
        self.rows.append(row)
        return row


async def with_clients(count: int) -> list[Row]:
    """The categories that need a gateway and its clients."""
    people = [Person(f"user{number}") for number in range(count)]
    async with programs() as running:
        table = Table(running, count)
        await table.measure("creation", all_do(people, lambda one: one.connect(running.port)))
        await table.measure("login", all_do(people, lambda one: one.log_in()))
        commits = await running.metric("holdfast_store_commits_total")
        row = await table.measure("group commit", all_do(people, lambda one: one.command(1, "hi")))
        commits = await running.metric("holdfast_store_commits_total") - commits
        row["note"] = f"{commits:.0f} commits"
        await table.measure("fan-out", fan_out(people))
        for person in people:
            person.drop()
        await running.until('holdfast_sessions{state="detached_active"}', count)
        await table.measure("resume storm", all_do(people, lambda one: one.connect(running.port)))
        running.stop_gateway()
        seconds = await running.start_gateway()
        used = harness.cpu_seconds(running.gateway.pid)
        began = time.monotonic()
        await people[0].connect(running.port)
        first = 1e3 * (time.monotonic() - began)
        table.add("restore after start", seconds, used, f"the first resumes in {first:.0f} ms")
        return table.rows


async def fan_out(people: Sequence[Person]) -> None:
    """One speaks, and everybody hears it."""

    async def hear(person: Person) -> None:
        await person.hear("text")

    async with asyncio.TaskGroup() as tasks:
        for person in people:
            tasks.create_task(hear(person))
        await asyncio.sleep(0)
        people[0]._say(t="cmd", c=2, d="to all")


def in_process(count: int) -> list[Row]:
    """The categories that are the sessions' own: expiry, and their states."""
    limits = Limits().but(
        session={"sessions_max": 2 * count, "sessions_per_network_max": 2 * count}
    )
    journal = Journal(limits.store, lambda marks: None)
    manager = SessionManager(limits.session, journal, lambda action: None)
    backend, network = BaseBackend(), numbers()
    sessions = [
        manager.create(backend, Durability.MEMORY, 0.0, f"network {next(network)}")
        for _ in range(count)
    ]
    rows = [_timed(count, "transitions", lambda: _live(sessions), "six for each client")]
    for session in sessions:
        session.row.detached = 1.0
        manager.detached(session, Reason.NETWORK_ERROR)

    def expire() -> None:
        while manager.expire(EXPIRED):
            pass

    rows.append(_timed(count, "expiry", expire))
    assert not manager.sessions
    return rows


def _live(sessions: Sequence[Session]) -> None:
    """Each goes from its connection to being active, and loses its client."""
    for session in sessions:
        session.apply(SessionInput.NEGOTIATED)
        session.apply(SessionInput.AUTHENTICATED)
        session.apply(SessionInput.SELECTED)
        session.apply(SessionInput.DROPPED)
        session.apply(SessionInput.RESUMED)
        session.apply(SessionInput.DROPPED)


def _timed(count: int, category: str, work: Callable[[], None], note: str = "") -> Row:
    began, used = time.monotonic(), time.process_time()
    work()
    seconds, used = time.monotonic() - began, time.process_time() - used
    return {
        "clients": count,
        "category": category,
        "seconds": round(seconds, 2),
        "a second": round(count / seconds),
        "CPU µs each": round(1e6 * used / count, 1),
        "note": note,
    }


def main(arguments: Sequence[str]) -> int:
    parser = harness.parser(__doc__)
    parser.add_argument("--count", type=int, action="append", help="clients; may be repeated")
    options = parser.parse_args(arguments)
    configure_logs("warning")  # of what runs in this process
    allow_files()
    rows: list[Row] = []
    for count in options.count or COUNTS:
        rows += asyncio.run(with_clients(count))
        rows += in_process(count)
    harness.show("Sessions", rows, as_json=options.json)
    return 0
