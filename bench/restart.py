"""A restart with many detached sessions: how long it takes, what it holds, what it blocks."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from tests.ports import free_port

from bench import harness
from bench.harness import HOLDFAST, Row
from holdfast.core.ids import new_epoch, new_sid
from holdfast.core.items import Text, size_of
from holdfast.core.limits import Limits
from holdfast.sessions.outbox import OutputEntry
from holdfast.sessions.records import Batch, Record
from holdfast.sessions.records import Row as SessionRow
from holdfast.sessions.stores.sqlite import SQLiteFile

CONFIG = """
[store]
path = "{folder}/sessions.db"

[limits.session]
sessions_max = 2_000_000

[limits.store]
busy_seconds_max = 5

[link]
listen = "unix:{folder}/link.sock"

[[listener]]
url = "ws://127.0.0.1:{port}/"

[[listener]]
url = "ws://127.0.0.1:{echo}/"
backend = "echo"
durability = "memory"
"""
BATCH = 1_000
TEXT = "You see a long corridor with many doors, and hear steps that are not yours."
WATCHED_SECONDS = 15.0
"""After the start: two sweeps and a round of the store's checks lie in it."""


def sessions(count: int) -> Iterator[tuple[SessionRow, Record]]:
    """Detached sessions of users, each with a few outputs that its client lacks."""
    now = time.time()
    for number in range(count):
        row = SessionRow(sid=new_sid(), epoch=new_epoch(), durability="fast", created=now - 60)
        row.state, row.user, row.app = "detached_active", f"user{number}", "*"
        row.known, row.detached, row.address = True, now - 30, "192.0.2.1:4711"
        row.tokens.issue(row.sid)
        row.code = os.urandom(32)
        text = Text(TEXT)
        outs = [OutputEntry(text, now, "", size_of(text)) for _ in range(3)]
        yield row, Record(1, outs, [], 0, 0, 0, 3, 0, 0, 0)


def fill(path: Path, count: int, *, clean: bool, journaled: bool) -> str:
    """Make the store of a gateway that had so many sessions; returns the token of one of them.

    What was said to them is in snapshots, or still in the journal.
    """
    file = SQLiteFile(path, Limits().store)
    file.open()
    made, number, token = sessions(count), 0, ""
    while batch := [found for _, found in zip(range(BATCH), made, strict=False)]:
        number += 1
        rows = [row for row, _ in batch]
        logs = [(row.sid, record) for row, record in batch]
        token = token or rows[0].tokens.issue(rows[0].sid)
        file.commit(
            Batch(number, rows=rows, records=logs)
            if journaled
            else Batch(number, rows=rows, snapshots=logs, journal_from=number)
        )
    file.close(clean=clean)
    return token


async def opened(
    port: int, protocol: str = ""
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A WebSocket."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    key = base64.b64encode(os.urandom(16)).decode()
    more = f"Sec-WebSocket-Protocol: {protocol}\r\n" if protocol else ""
    writer.write(
        f"GET / HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n{more}\r\n".encode()
    )
    await reader.readuntil(b"\r\n\r\n")
    return reader, writer


async def resume(port: int, token: str) -> float:
    """How long it takes until a client has its session again."""
    reader, writer = await opened(port, "holdfast.v1")
    hello = json.dumps({"t": "hello", "token": token}).encode()
    began = time.monotonic()
    writer.write(bytes([0x81, 0x80 | len(hello)]) + bytes(4) + hello)
    await reader.readexactly(2)
    took = time.monotonic() - began
    writer.close()
    return took


async def watch(port: int, seconds: float) -> float:
    """The longest time that an echo took, once a client got in."""
    reader, writer = await opened(port)
    worst, end = 0.0, time.monotonic() + seconds
    ping, pong = b"\x89\x80\x00\x00\x00\x00", b"\x8a\x00"
    while time.monotonic() < end:
        sent = time.monotonic()
        writer.write(ping)
        while await reader.readexactly(2) != pong:
            pass
        worst = max(worst, time.monotonic() - sent)
        await asyncio.sleep(0.001)
    writer.close()
    return worst


async def ready(port: int) -> None:
    """Wait until the gateway accepts clients."""
    while True:
        with suppress(OSError):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.close()
            return
        await asyncio.sleep(0.005)


class Case(NamedTuple):
    """A store of an earlier run."""

    sessions: int
    clean: bool = True
    journaled: bool = False


async def restarted(folder: Path, case: Case) -> Row:
    """One start on such a store."""
    token = fill(folder / "sessions.db", case.sessions, clean=case.clean, journaled=case.journaled)
    port, echo = free_port(), free_port()
    path = folder / "holdfast.toml"
    path.write_text(CONFIG.format(folder=folder, port=port, echo=echo))
    began = time.monotonic()
    process = await asyncio.create_subprocess_exec(
        *harness.pinned(0, [*HOLDFAST, "serve", str(path)]),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(120):
            await ready(echo)
            took, used = time.monotonic() - began, harness.cpu_seconds(process.pid)
            worst = await watch(echo, WATCHED_SECONDS)
            held = harness.rss_bytes(process.pid)
            back = await resume(port, token) if token else None
    finally:
        process.terminate()
        await process.wait()
    return {
        "sessions": case.sessions,
        "stop": "clean" if case.clean else "unclean",
        "logs in": "the journal" if case.journaled else "snapshots",
        "ready s": round(took, 2),
        "CPU s until then": round(used, 2),
        "MB": round(held / 1e6),
        "longest pause ms": round(worst * 1e3, 1),
        "one resumes ms": round(back * 1e3, 1) if back is not None else "",
    }


def main(arguments: Sequence[str]) -> int:
    parser = harness.parser(__doc__)
    parser.add_argument("--count", type=int, default=100_000)
    options = parser.parse_args(arguments)
    count = options.count
    rows: list[Row] = []
    cases = (
        Case(0),
        Case(count),
        Case(count, clean=False),
        Case(count, clean=False, journaled=True),
    )
    for case in cases:
        with tempfile.TemporaryDirectory(prefix="holdfast-bench-") as folder:
            rows.append(asyncio.run(restarted(Path(folder), case)))
    harness.show("A restart", rows, as_json=options.json)
    return 0
