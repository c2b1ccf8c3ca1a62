"""The application of the chaos run that is a URL: keeps every effect once, on disk.

`python http_ledger.py PORT LEDGER`. It says `did X` for each command X; `I am NAME` is a login.
"""

from __future__ import annotations

import json
import sqlite3
import sys
from typing import Any

from aiohttp import web

database = sqlite3.connect(sys.argv[2], isolation_level=None)
database.executescript("""
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = NORMAL;
    CREATE TABLE IF NOT EXISTS effect (sid TEXT, what TEXT);
    CREATE TABLE IF NOT EXISTS seen (sid TEXT, number TEXT, PRIMARY KEY (sid, number));
""")


async def handle(request: web.Request) -> web.Response:
    body = json.loads(await request.read())
    database.execute("BEGIN IMMEDIATE")
    try:
        answer = apply(body["session"]["sid"], body["events"])
    except BaseException:
        database.execute("ROLLBACK")
        raise
    database.execute("COMMIT")
    return web.json_response(answer)


def apply(sid: str, events: list[dict[str, Any]]) -> dict[str, Any]:
    """Apply each event that is new. One that is not is answered as it was."""
    answer: dict[str, Any] = {"items": []}
    for event in events:
        what = event.get("text", event["type"])
        number = f"n{event['n']}" if "n" in event else f"e{event['e']}"
        added = database.execute("INSERT OR IGNORE INTO seen VALUES (?, ?)", (sid, number))
        if added.rowcount:
            database.execute("INSERT INTO effect VALUES (?, ?)", (sid, what))
        if what.startswith("I am "):
            answer["identify"] = what.removeprefix("I am ")
        if "text" in event:
            answer["items"].append(f"did {what}")
    return answer


async def started(_: web.Application) -> None:
    print("ready", file=sys.stderr, flush=True)


app = web.Application()
app.router.add_post("/", handle)
app.on_startup.append(started)
web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), print=None, access_log=None)
