"""The application of the chaos run: keeps every effect with its command's number, on disk.

It says `did X` for each command X, and ticks to everybody: `tick 1`, `tick 2` …
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from holdfast.app import App, Session

EVERYBODY = "everybody"
TICK_SECONDS = 0.05

app = App("ledger")
database = sqlite3.connect(os.environ["HOLDFAST_LEDGER"], isolation_level=None)
database.executescript("""
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = NORMAL;
    CREATE TABLE IF NOT EXISTS effect (sid TEXT, cseq INTEGER, what TEXT);
    CREATE TABLE IF NOT EXISTS applied (sid TEXT PRIMARY KEY, cseq INTEGER);
    CREATE TABLE IF NOT EXISTS tick (number INTEGER);
""")


@contextmanager
def transaction() -> Iterator[None]:
    database.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        database.execute("ROLLBACK")
        raise
    database.execute("COMMIT")


@app.on_remember
def remembered() -> dict[str, int]:
    return dict(database.execute("SELECT sid, cseq FROM applied"))


@app.on_start
async def start() -> None:
    asyncio.get_running_loop().call_soon(background.append, asyncio.Task(tick()))


@app.on_open
async def opened(session: Session) -> None:
    await session.join(EVERYBODY)


@app.on_text
async def said(session: Session, text: str) -> None:
    if text == "poison":
        os._exit(1)
    with transaction():
        # Another instance may have done it, while this one stood still.
        done = database.execute("SELECT cseq FROM applied WHERE sid = ?", (session.sid,)).fetchone()
        if done is not None and done[0] >= session.cseq:
            return
        database.execute("INSERT INTO effect VALUES (?, ?, ?)", (session.sid, session.cseq, text))
        database.execute("REPLACE INTO applied VALUES (?, ?)", (session.sid, session.cseq))
    await session.text(f"did {text}")


async def tick() -> None:
    while True:
        await asyncio.sleep(TICK_SECONDS)
        with transaction():
            (last,) = database.execute("SELECT coalesce(max(number), 0) FROM tick").fetchone()
            number = last + 1
            database.execute("DELETE FROM tick")
            database.execute("INSERT INTO tick VALUES (?)", (number,))
        await app.broadcast(EVERYBODY, f"tick {number}")


background: list[asyncio.Task[None]] = []
app.run()
