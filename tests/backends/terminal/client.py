"""A client of `holdfast.term.v1` that owes nothing to the code under test."""

from __future__ import annotations

import asyncio
import contextlib
import json
import struct
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from tests.gateway.running import SECONDS, port
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Origin, Subprotocol

from holdfast.gateway.gateway import Gateway

SUBPROTOCOL = Subprotocol("holdfast.term.v1")


class TermClient:
    """One connection. It acknowledges what it has read, unless told not to."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.output = bytearray()
        """All that came on this connection."""
        self.offset = 0
        self.c = 0
        self.sent: dict[int, str | bytes] = {}
        """What was sent, by its number, to be sent again if that is asked for."""
        self.messages: list[dict[str, Any]] = []
        self.acks = True
        self.closed: tuple[int, str] | None = None

    async def say(self, t: str, **fields: Any) -> None:
        await self.socket.send(json.dumps({"t": t, **fields}))

    async def types(self, data: bytes | str) -> None:
        self.c += 1
        data = data.encode() if isinstance(data, str) else data
        await self._sends(struct.pack(">BI", 0, self.c) + data)

    async def _sends(self, message: str | bytes) -> None:
        self.sent[self.c] = message
        await self.socket.send(message)

    async def answers(self, text: str) -> None:
        self.c += 1
        await self._sends(json.dumps({"t": "answer", "c": self.c, "text": text}))

    async def reads(self) -> None:
        """Take in one message."""
        async with asyncio.timeout(SECONDS):
            try:
                message = await self.socket.recv()
            except ConnectionClosed as error:
                if error.rcvd is not None:
                    self.closed = (error.rcvd.code, error.rcvd.reason)
                raise
        if isinstance(message, str):
            await self._hears(json.loads(message))
            return
        self.output += message
        self.offset += len(message)
        if self.acks:
            with contextlib.suppress(ConnectionClosed):  # which the next read tells
                await self.say("ack", n=self.offset)

    async def _hears(self, message: dict[str, Any]) -> None:
        self.messages.append(message)
        if message["t"] == "resend":
            for c in range(message["c"], self.c + 1):
                await self.socket.send(self.sent[c])
        if message["t"] in ("ready", "watching"):
            self.offset = message["n"]
            self.c = message.get("c", 0)

    async def told(self, t: str) -> dict[str, Any]:
        """Wait for a message; it and those before it are taken away."""
        while True:
            for number, message in enumerate(self.messages):
                if message["t"] == t:
                    del self.messages[: number + 1]
                    return message
            await self.reads()

    async def sees(self, text: bytes | str) -> bytes:
        """Wait until this is in the output; all up to it is taken away."""
        wanted = text.encode() if isinstance(text, str) else text
        while wanted not in self.output:
            await self.reads()
        upto = self.output.index(wanted) + len(wanted)
        seen = bytes(self.output[:upto])
        del self.output[:upto]
        return seen

    async def asked(self, kind: str) -> dict[str, Any]:
        """Wait for a question of this kind."""
        while True:
            prompt = await self.told("prompt")
            if prompt["kind"] == kind:
                return prompt

    async def ends(self) -> tuple[int, str]:
        """Wait for the end of the connection."""
        while self.closed is None:
            try:
                await self.reads()
            except ConnectionClosed:
                assert self.closed is not None, "the connection was cut off"
        assert self.closed is not None
        return self.closed

    async def logs_in(self, password: str) -> None:
        """Give the password, to a server that wants nothing else."""
        await self.asked("password")
        await self.answers(password)
        await self.told("opened")


@asynccontextmanager
async def term_client(
    gateway: Gateway | int, *, origin: str = "", **first: Any
) -> AsyncIterator[TermClient]:
    """A client that opens a session, or attaches to one with a `token` or a `code`."""
    attaches = "token" in first or "code" in first
    async with connected(gateway, origin=origin) as self:
        await self.say("attach" if attaches else "open", **first)
        yield self


@asynccontextmanager
async def viewer(gateway: Gateway | int, token: str, n: int = 0) -> AsyncIterator[TermClient]:
    """A client that shows an invitation."""
    async with connected(gateway) as self:
        await self.say("watch", token=token, n=n)
        yield self


@asynccontextmanager
async def connected(
    gateway: Gateway | int, *, origin: str = "", headers: Mapping[str, str] | None = None
) -> AsyncIterator[TermClient]:
    """A client that has said nothing."""
    at = gateway if isinstance(gateway, int) else port(gateway, "ws")
    async with connect(
        f"ws://127.0.0.1:{at}/",
        subprotocols=[SUBPROTOCOL],
        origin=Origin(origin) if origin else None,
        additional_headers=headers,
        max_size=None,
        compression=None,
    ) as socket:
        yield TermClient(socket)
