"""An application behind Holdfast that is a URL, as a WSGI application: it echoes.

    HOLDFAST_SECRET=... python wsgi_app.py 8000

`handle` and `is_signed` are what a Django view or a Flask route calls with the request's body.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import sys
import time
from collections.abc import Callable, Iterable
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

SECRET = os.environ.get("HOLDFAST_SECRET", "").encode()
AGE_SECONDS_MAX = 300


def is_signed(header: str, body: bytes) -> bool:
    """Whether Holdfast has signed these bytes, and not long ago."""
    parts = [part.partition("=") for part in header.split(",")]
    sent = next((value for name, _, value in parts if name == "t"), "")
    expected = hmac.new(SECRET, sent.encode() + b"." + body, hashlib.sha256).hexdigest()
    good = [hmac.compare_digest(value, expected) for name, _, value in parts if name == "v1"]
    return any(good) and abs(time.time() - int(sent)) <= AGE_SECONDS_MAX


def handle(session: dict[str, Any], events: list[dict[str, Any]]) -> dict[str, Any]:
    """What to answer to the events of a session."""
    answer: dict[str, Any] = {"items": []}
    for event in events:
        if event["type"] == "opened":
            answer["items"].append("Who are you?")
        elif event["type"] == "text" and event["text"].startswith("I am "):
            answer["identify"] = event["text"].removeprefix("I am ")
            answer["items"].append(f"Hello, {answer['identify']}.")
        elif event["type"] == "text":
            answer["items"].append(f"{session['user'] or 'Somebody'} said {event['text']}")
    return answer


def application(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    if not is_signed(environ.get("HTTP_HOLDFAST_SIGNATURE", ""), body):
        start("401 Unauthorized", [("Content-Length", "0")])
        return []
    request = json.loads(body)
    answer = json.dumps(handle(request["session"], request["events"])).encode()
    start("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(answer)))])
    return [answer]


class Quiet(WSGIRequestHandler):
    def log_message(self, *_: object) -> None: ...


if __name__ == "__main__":
    with make_server("127.0.0.1", int(sys.argv[1]), application, handler_class=Quiet) as server:
        print("ready", flush=True)
        server.serve_forever()
