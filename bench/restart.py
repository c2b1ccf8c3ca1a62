"""A restart with many detached sessions: how long it takes, what it holds, what it blocks."""

from __future__ import annotations

import asyncio
import base64
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from tests.ports import free_port

from bench import harness
from bench.harness import HOLDFAST, Row
from holdfast.core.ids import new_epoch, new_sid
from holdfast.core.items import Text, size_of
from holdfast.core.limits import Limits
from holdfast.sessions.outbox import Entry
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
        outs = [Entry(text, now, "", size_of(text)) for _ in range(3)]
        yield row, Record(1, outs, [], 0, 0, 0, 3, 0, 0, 0)


def fill(path: Path, count: int, *, clean: bool) -> None:
    """Make the store of a gateway that had so many sessions."""
    file = SQLiteFile(path, Limits().store)
    file.open()
    made, number = sessions(count), 0
    while batch := [found for _, found in zip(range(BATCH), made, strict=False)]:
        number += 1
        rows = [row for row, _ in batch]
        snapshots = [(row.sid, record) for row, record in batch]
        file.commit(Batch(number, rows=rows, snapshots=snapshots, journal_from=number))
    file.close(clean=clean)


async def watch(port: int, seconds: float) -> float:
    """The longest time that an echo took, once a client got in."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    key = base64.b64encode(os.urandom(16)).decode()
    writer.write(
        f"GET / HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
    )
    await reader.readuntil(b"\r\n\r\n")
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


async def restarted(folder: Path, count: int, *, clean: bool) -> Row:
    """One start on a store with `count` sessions."""
    fill(folder / "sessions.db", count, clean=clean)
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
    finally:
        process.terminate()
        await process.wait()
    return {
        "sessions": count,
        "stop": "clean" if clean else "unclean",
        "ready s": round(took, 2),
        "CPU s until then": round(used, 2),
        "MB": round(held / 1e6),
        "longest pause ms": round(worst * 1e3, 1),
    }


def main(arguments: Sequence[str]) -> int:
    parser = harness.parser(__doc__)
    parser.add_argument("--count", type=int, default=100_000)
    options = parser.parse_args(arguments)
    rows: list[Row] = []
    for count, clean in ((0, True), (options.count, True), (options.count, False)):
        with tempfile.TemporaryDirectory(prefix="holdfast-bench-") as folder:
            rows.append(asyncio.run(restarted(Path(folder), count, clean=clean)))
    harness.show("A restart", rows, as_json=options.json)
    return 0
