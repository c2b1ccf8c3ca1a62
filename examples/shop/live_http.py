"""The same as `live.py`, as a URL: the gateway sends the events of sessions as requests.

In `gateway.toml`, the listener has these keys in place of `app = "shop"`:

    backend = "http"
    endpoint = "http://127.0.0.1:8002/holdfast"
    app = "shop"
    secret_files = ["live.secret"]

uvicorn live_http:app --port 8002
"""

import hashlib
import hmac
import time
from pathlib import Path
from typing import Any

import orders
from fastapi import FastAPI, HTTPException, Request

SECRET = Path("live.secret").read_bytes().strip()
AGE_SECONDS_MAX = 300

app = FastAPI()


def is_signed(header: str, body: bytes) -> bool:
    """Whether the gateway has signed these bytes, and not long ago."""
    sent, _, signed = header.partition(",v1=")
    sent = sent.removeprefix("t=")
    expected = hmac.new(SECRET, sent.encode() + b"." + body, hashlib.sha256).hexdigest()
    good = hmac.compare_digest(signed.encode(), expected.encode())
    return good and abs(time.time() - int(sent)) < AGE_SECONDS_MAX


@app.post("/holdfast")
async def live(request: Request) -> dict[str, Any]:
    if not is_signed(request.headers.get("holdfast-signature", ""), await request.body()):
        raise HTTPException(401, "not signed")
    told = await request.json()
    if not any(event["type"] in ("opened", "resync") for event in told["events"]):
        return {}
    database = orders.connect()
    rows = database.execute(
        "SELECT id, item, state FROM orders WHERE user = ?", (told["session"]["user"],)
    ).fetchall()
    database.close()
    names = ("id", "item", "state")
    return {
        "items": [{"package": "Order", "data": dict(zip(names, row, strict=True))} for row in rows]
    }
