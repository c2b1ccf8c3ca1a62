"""Clients of event streams, on raw sockets."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from tests.gateway.clients import Hearing, break_off
from tests.gateway.running import SECONDS, port

from holdfast.gateway.gateway import Gateway

STREAM = "text/event-stream"


class Answer:
    """The answer to a request: its status, its header fields and, if it is no stream, its body."""

    def __init__(self, status: int, fields: Mapping[str, str], body: bytes = b"") -> None:
        self.status = status
        self.fields = fields
        self.body = body


class Requests:
    """A connection with one request after the other."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def ask(
        self, method: str = "GET", path: str = "/", body: bytes = b"", /, **fields: str
    ) -> Answer:
        """Send a request, and wait for its answer."""
        self.send(method, path, body, **fields)
        return await self.answer()

    def send(
        self, method: str = "GET", path: str = "/", body: bytes = b"", /, **fields: str
    ) -> None:
        """Send a request. An underscore in the name of a field stands for a hyphen."""
        named = {name.replace("_", "-"): value for name, value in fields.items()}
        given = {"Host": "gateway", "Content-Length": str(len(body)), **named}
        lines = "".join(f"{name}: {value}\r\n" for name, value in given.items())
        self.writer.write(f"{method} {path} HTTP/1.1\r\n{lines}\r\n".encode() + body)

    async def answer(self) -> Answer:
        """The next answer."""
        async with asyncio.timeout(SECONDS):
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode()
            first, *lines = head.strip().split("\r\n")
            fields = {}
            for line in lines:
                name, _, value = line.partition(":")
                fields[name.lower()] = value.strip()
            answer = Answer(int(first.split()[1]), fields)
            if "content-length" in fields:
                answer.body = await self.reader.readexactly(int(fields["content-length"]))
        return answer


class Streamed(Requests, Hearing):
    """A client with a stream."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        Requests.__init__(self, reader, writer)
        Hearing.__init__(self)
        self.name = b""
        """The name of its stream."""
        self.head = Answer(0, {})
        self.last_id = ""
        """The id of the newest event."""
        self.comments: list[str] = []

    async def begin(self) -> None:
        """Read the head, and the name of the stream."""
        self.head = await self.answer()
        assert self.head.status == 200, self.head.body
        kind, self.name = await self._event()
        assert kind == "stream"

    async def _event(self) -> tuple[str, bytes]:
        """The kind and the data of the next event."""
        kind, data, id_ = "message", [], None
        while True:
            async with asyncio.timeout(SECONDS):
                line = await self.reader.readuntil(b"\n")
            field, _, value = line.rstrip(b"\n").partition(b":")
            value = value.removeprefix(b" ")
            if not field and line.startswith(b":"):
                self.comments.append(value.decode())
            elif field == b"event":
                kind = value.decode()
            elif field == b"data":
                data.append(value)
            elif field == b"id":
                id_ = value.decode()
            elif field == b"" and data:
                if id_ is not None:
                    self.last_id = id_
                return kind, b"\n".join(data)

    async def hear(self) -> dict[str, Any]:
        """The next message."""
        kind, data = await self._event()
        assert kind == "message"
        message: dict[str, Any] = json.loads(data)
        return message

    async def commented(self, count: int = 1) -> None:
        """Wait until so many comments have come, and no event."""
        async with asyncio.timeout(SECONDS):
            while len(self.comments) < count:
                line = await self.reader.readuntil(b"\n")
                if line.startswith(b":"):
                    self.comments.append(line[1:].strip().decode())
                else:
                    assert line == b"\n"

    async def over(self) -> bytes:
        """Wait for the end; returns what comes before it."""
        async with asyncio.timeout(SECONDS):
            return await self.reader.read()

    def drop(self) -> None:
        """Vanish: the connection is reset."""
        break_off(self.writer.get_extra_info("socket"))
        self.writer.transport.abort()


def lines(*messages: Mapping[str, Any]) -> bytes:
    """Messages as the body of a request has them."""
    return b"\n".join(json.dumps(message).encode() for message in messages)


@asynccontextmanager
async def requests(gateway: Gateway) -> AsyncIterator[Requests]:
    """A connection for requests."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port(gateway, "ws"))
    try:
        yield Requests(reader, writer)
    finally:
        writer.transport.abort()


async def post(at: Requests, stream: Streamed, *messages: Mapping[str, Any]) -> Answer:
    """Send messages of a stream's client."""
    body = stream.name + b"\n" + lines(*messages)
    return await at.ask("POST", "/", body, Accept="application/json")


@asynccontextmanager
async def streamed(
    gateway: Gateway, method: str = "POST", path: str = "/", body: bytes = b"", /, **fields: str
) -> AsyncIterator[Streamed]:
    """A client whose stream is open."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port(gateway, "ws"))
    try:
        client = Streamed(reader, writer)
        client.send(method, path, body, Accept=STREAM, **fields)
        await client.begin()
        yield client
    finally:
        writer.transport.abort()


def hello(gateway: Gateway, **fields: Any) -> Any:
    """A client whose stream is open, and which has said hello in its request."""
    return streamed(gateway, "POST", "/", lines({"t": "hello", **fields}))
