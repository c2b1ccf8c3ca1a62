"""What an application behind Holdfast that is a URL does with a request, in any framework.

`answer` takes a request's signature and body, and returns the status and the body of the answer.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import time
from typing import Any

SECRET = os.environ.get("HOLDFAST_SECRET", "").encode()
AGE_SECONDS_MAX = 300


def is_signed(header: str, body: bytes) -> bool:
    """Whether Holdfast has signed these bytes, and not long ago."""
    parts = [part.partition("=") for part in header.split(",")]
    sent = next((value for name, _, value in parts if name == "t"), "")
    expected = hmac.new(SECRET, sent.encode() + b"." + body, hashlib.sha256).hexdigest().encode()
    shown = [value.encode() for name, _, value in parts if name == "v1"]
    good = [hmac.compare_digest(value, expected) for value in shown]
    return any(good) and abs(time.time() - int(sent)) <= AGE_SECONDS_MAX


def handle(session: dict[str, Any], events: list[dict[str, Any]]) -> dict[str, Any]:
    """What to answer to the events of a session: this application echoes."""
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


def answer(signature: str, body: bytes) -> tuple[int, bytes]:
    if not is_signed(signature, body):
        return 401, b'{"error": "not signed"}'
    request = json.loads(body)
    return 200, json.dumps(handle(request["session"], request["events"])).encode()
