"""A gateway with an API, and bare HTTP to it: nothing of the code under test helps."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from msgspec import structs
from tests.gateway.running import SECONDS, TCP, configured, serving
from tests.gateway.test_http import Answer, read

from holdfast.core.limits import Limits
from holdfast.gateway.api.config import ApiConfig, ApiKey
from holdfast.gateway.config import Config
from holdfast.gateway.gateway import Gateway

KEY: Final = "correct-horse-battery-staple"
READ_KEY: Final = "another-horse-battery-staple"


def sha256(key: str) -> str:
    return f"sha256:{hashlib.sha256(key.encode()).hexdigest()}"


API: Final = ApiConfig(
    listen="tcp://127.0.0.1:0",
    key=(
        ApiKey("worker", hash=sha256(KEY), apps=("*",), actions=("publish", "read", "close")),
        ApiKey("reader", hash=sha256(READ_KEY), apps=("shop",), actions=("read",)),
    ),
)


def with_api(config: Config, api: ApiConfig = API) -> Config:
    return structs.replace(config, api=api)


@asynccontextmanager
async def echoing(
    folder: Path, limits: Limits | None = None, **options: Any
) -> AsyncIterator[Gateway]:
    """A gateway with an API, whose clients are echoed."""
    config = configured(folder, [TCP], backend="echo", limits=limits, **options)
    async with serving(with_api(config)) as gateway:
        yield gateway


class Http:
    """One connection to the API."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, key: str
    ) -> None:
        self.reader = reader
        self.writer = writer
        self.key = key

    def write(
        self, target: str, body: Any = None, method: str = "", headers: dict[str, str] | None = None
    ) -> None:
        data = (
            body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        )
        fields = {"Host": "x", "Authorization": f"Bearer {self.key}"}
        if body is not None:
            fields["Content-Length"] = str(len(data))
        fields |= headers or {}
        method = method or ("GET" if body is None else "POST")
        lines = [f"{method} {target} HTTP/1.1", *(f"{k}: {v}" for k, v in fields.items() if v)]
        self.writer.write("\r\n".join([*lines, "", ""]).encode() + data)

    async def ask(self, target: str, body: Any = None, method: str = "", **headers: str) -> Answer:
        self.write(target, body, method, headers)
        return await read(self.reader)

    async def publish(self, **body: Any) -> dict[str, Any]:
        answer: dict[str, Any] = found(await self.ask("/v1/publish", body))
        return answer

    async def until_closed(self) -> bytes:
        async with asyncio.timeout(SECONDS):
            return await self.reader.read()


def found(answer: Answer) -> Any:
    """The JSON of an answer."""
    assert answer.headers["Content-Type"] == "application/json"
    return json.loads(answer.body)


@asynccontextmanager
async def http(gateway: Gateway, key: str = KEY) -> AsyncIterator[Http]:
    assert gateway.api_address is not None
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.api_address.port)
    try:
        yield Http(reader, writer, key)
    finally:
        writer.transport.abort()


class Person:
    """A client of a TCP listener, whose lines are echoed."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.sid = ""

    async def hears(self, *lines: str) -> None:
        """The next lines are these."""
        for line in lines:
            async with asyncio.timeout(SECONDS):
                assert (await self.reader.readline()).decode().rstrip("\r\n") == line


@asynccontextmanager
async def person(gateway: Gateway, user: str = "", *groups: str) -> AsyncIterator[Person]:
    """A person with a session, which is a user's and in groups."""
    before = set(gateway.manager.sessions)
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.addresses[0].port)
    it = Person(reader, writer)
    try:
        writer.write(b"hello\n")
        async with asyncio.timeout(SECONDS):
            await reader.readuntil(b"hello\n")
        (it.sid,) = set(gateway.manager.sessions) - before
        session = gateway.manager.sessions[it.sid]
        gateway.manager.set_user(session, user)
        for group in groups:
            gateway.manager.groups.join(session, group)
        yield it
    finally:
        writer.transport.abort()
