"""The answers of the admin listener: JSON."""

from __future__ import annotations

import msgspec
from aiohttp import web


def json_answer(value: object, status: int = 200) -> web.Response:
    """An answer with this value."""
    return web.Response(
        body=msgspec.json.encode(value) + b"\n", status=status, content_type="application/json"
    )


def refusal(status: int, why: str, allow: str = "") -> web.Response:
    """An answer that says why not; `allow` names the methods that there are."""
    response = json_answer({"error": why}, status)
    if status == 429:
        response.headers["Retry-After"] = "60"
    if status == 401:
        response.headers["WWW-Authenticate"] = 'Bearer realm="holdfast"'
    if allow:
        response.headers["Allow"] = allow
    return response
