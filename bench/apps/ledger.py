"""The application of the chaos run: keeps every effect with its command's number, on disk.

It says `did X` for each command X, and ticks to everybody: `tick RUN 1`, `tick RUN 2` …, where RUN
is the instance.

It has no `on_remember`: a command comes again until the gateway has been told that it is applied,
which is behind its answer. If its effect is kept already, only the answer is said again.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from holdfast.app import App, Session

EVERYBODY = "everybody"
TICK_SECONDS = float(os.environ.get("HOLDFAST_TICK_SECONDS", "0.05"))

app = App("ledger")
database = sqlite3.connect(os.environ["HOLDFAST_LEDGER"], isolation_level=None)
database.executescript("""
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = NORMAL;
    CREATE TABLE IF NOT EXISTS effect (sid TEXT, cseq INTEGER, what TEXT);
    CREATE TABLE IF NOT EXISTS applied (sid TEXT PRIMARY KEY, cseq INTEGER);
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
        # Another instance may have done it and died before it could say so, or stands still.
        done = database.execute("SELECT cseq FROM applied WHERE sid = ?", (session.sid,)).fetchone()
        if done is None or done[0] < session.cseq:
            effect = (session.sid, session.cseq, text)
            database.execute("INSERT INTO effect VALUES (?, ?, ?)", effect)
            database.execute("REPLACE INTO applied VALUES (?, ?)", effect[:2])
    await session.text(f"did {text}")


async def tick() -> None:
    for number in itertools.count(1):
        await asyncio.sleep(TICK_SECONDS)
        await app.broadcast(EVERYBODY, f"tick {app.instance} {number}")


background: list[asyncio.Task[None]] = []
app.run()
