"""Asking an admin listener over bare sockets: nothing of the code under test helps."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from msgspec import structs
from tests.gateway.running import SECONDS
from tests.gateway.test_http import Answer

from holdfast.gateway.admin.guard import AdminConfig
from holdfast.gateway.config import Config
from holdfast.gateway.gateway import Gateway

TOKEN = "correct-horse-battery-staple"
ANYWHERE = AdminConfig(listen="tcp://127.0.0.1:0")


def administered(config: Config, admin: AdminConfig = ANYWHERE) -> Config:
    """`config` with an admin listener."""
    return structs.replace(config, admin=admin)


@asynccontextmanager
async def opened(
    gateway: Gateway,
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection to the admin listener."""
    assert gateway.admin_address is not None
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.admin_address.port)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


async def read(reader: asyncio.StreamReader) -> Answer:
    """The one answer of a connection, which is closed behind it."""
    async with asyncio.timeout(SECONDS):
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    return Answer(head, body)


async def ask(
    gateway: Gateway,
    target: str,
    method: str = "GET",
    body: bytes | None = None,
    token: str = "",
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """Ask for one thing."""
    fields = {"Host": "127.0.0.1", **(headers or {})}
    if token:
        fields["Authorization"] = f"Bearer {token}"
    if body is not None:
        fields["Content-Length"] = str(len(body))
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    async with opened(gateway) as (reader, writer):
        writer.write(f"{method} {target} HTTP/1.1\r\n{head}\r\n".encode() + (body or b""))
        return await read(reader)


async def told(gateway: Gateway, target: str, **options: Any) -> Any:
    """The JSON of a good answer."""
    answer = await ask(gateway, target, **options)
    assert answer.status == 200, answer.body
    return json.loads(answer.body)
