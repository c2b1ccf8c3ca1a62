"""A client of lines that is cut off between a line and the number behind it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import pytest
from tests.client.listening import listening
from tests.gateway.clients import DO, GMCP, IAC, SB, SE, WILL, break_off

from holdfast.client.core import Online
from holdfast.client.gateway_addresses import gateway_addresses
from holdfast.client.lines import Line, LineClient, LineEvent
from holdfast.client.reconnector import Offline
from holdfast.core.limits import Limits
from holdfast.protocols.telnet import Terminal

SECONDS: Final = 10.0
IS_WANTED: Final = bytes((IAC, DO, GMCP))
END: Final = bytes((IAC, SE))
WELCOME: Final = {"sid": "s", "token": "t1", "epoch": "e"}


def gmcp(package: str, **fields: Any) -> bytes:
    return bytes((IAC, SB, GMCP)) + f"Holdfast.{package} {json.dumps(fields)}".encode() + END


FIRST: Final = (
    gmcp("Welcome", **WELCOME, seq=0)
    + gmcp("Next", n=1)
    + b"one\r\n"
    + gmcp("Seq", n=1)
    + gmcp("Next", n=2)
    + b"two\r\nthree\r\n"
)
"""Up to the second line of the second output: its number is lost."""
AGAIN: Final = (
    gmcp("Resumed", **{**WELCOME, "token": "t2", "from": 2, "to": 3})
    + gmcp("Next", n=2)
    + b"two\r\nthree\r\nfour\r\n"
    + gmcp("Seq", n=3)
)


class Gateway:
    """Says `FIRST` and breaks off, then says `AGAIN`; notes each `Hello`."""

    def __init__(self, first: bytes) -> None:
        self.hellos: list[dict[str, Any]] = []
        self._says = [first, AGAIN]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(bytes((IAC, WILL, GMCP)))
        await reader.readuntil(IS_WANTED)
        await reader.readuntil(b"Holdfast.Hello ")
        self.hellos.append(json.loads((await reader.readuntil(END))[:-2]))
        writer.write(self._says.pop(0))
        if self._says:
            # What was sent is there when its answer is.
            await reader.readuntil(b"Holdfast.Ack ")
            break_off(writer.get_extra_info("socket"))
            writer.transport.abort()
        else:
            await reader.read()


@asynccontextmanager
async def connected(gateway: Gateway) -> AsyncIterator[AsyncIterator[LineEvent]]:
    """The events of a client of this gateway."""
    terminal = Terminal("test", "1", "xterm", 80, 24)
    async with listening(gateway.serve) as port:
        client = LineClient(
            gateway_addresses(f"telnet://127.0.0.1:{port}"), Limits(), None, terminal
        )
        async with asyncio.timeout(SECONDS), asyncio.TaskGroup() as tasks:
            running = tasks.create_task(client.run())
            try:
                yield aiter(client)
            finally:
                running.cancel()


@pytest.mark.parametrize("cut", [0, 1, 7], ids=["between-two", "in-its-end", "in-the-line"])
async def test_it_shows_nothing_twice(cut: int) -> None:
    gateway = Gateway(FIRST[: len(FIRST) - cut])
    shown: list[str] = []
    async with connected(gateway) as events:
        async for event in events:
            match event:
                case Line(text):
                    shown.append(text)
                    if text == "four":
                        break
                case Offline():
                    shown.append("offline")
                case Online():
                    shown.append("online")
                case _:
                    pass
    assert shown == ["online", "one", "offline", "online", "two", "three", "four"]
    assert gateway.hellos[1] == {"token": "t1", "epoch": "e", "last": 1}
