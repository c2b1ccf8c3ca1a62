"""What a server says of itself by MSSP, and what crawlers are told of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from msgspec import structs
from tests.backends.test_upstreams import bridged
from tests.gateway.clients import DO, IAC, SB, SE, WILL, person
from tests.gateway.running import TELNET, eventually, serving

from holdfast.backends.upstream_status import StatusPoll
from holdfast.gateway.config import Config
from holdfast.gateway.gateway import Gateway
from holdfast.net.upstream.dialler import Dialler
from holdfast.protocols.telnet.codes import MSSP

_TOLD = b"\1NAME\2Old MUD\1PLAYERS\x02{}\1PORT\x024000\x024001"


class Server:
    """A server with MSSP, unless it is `mute`."""

    def __init__(self) -> None:
        self.players = 7
        self.mute = False
        self.refused: set[bytes] = set()
        """What was said to its other offers."""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(bytes((IAC, WILL, 1, IAC, DO, 31, IAC, WILL, MSSP)) + b"Welcome.\r\n")
        try:
            while True:
                answer = await reader.readexactly(3)
                if answer != bytes((IAC, DO, MSSP)):
                    self.refused.add(answer)
                elif not self.mute:
                    told = _TOLD.replace(b"{}", b"%d" % self.players)
                    writer.write(bytes((IAC, SB, MSSP)) + told + bytes((IAC, SE)))
        except (asyncio.IncompleteReadError, OSError):
            writer.close()


@asynccontextmanager
async def server() -> AsyncIterator[tuple[Server, str]]:
    it = Server()
    listening = await asyncio.start_server(it.serve, "127.0.0.1", 0)
    try:
        yield it, f"telnet://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    finally:
        listening.close()


def status(gateway: Gateway) -> StatusPoll:
    poll = gateway.upstreams["mud"].status
    assert poll is not None
    return poll


def crawled(config: Config, **mssp: Any) -> Config:
    """With these values of the listener's own."""
    (listener,) = config.listener
    return structs.replace(config, listener=(structs.replace(listener, mssp=mssp),))


async def test_a_crawler_is_told_what_the_server_says(tmp_path: Path) -> None:
    async with server() as (it, url):
        config = bridged(tmp_path, url, urls=(TELNET,), mssp=True)
        async with serving(crawled(config, NAME="My MUD", GENRE="Fantasy")) as gateway:
            await eventually(lambda: bool(status(gateway).values()))
            assert it.refused == {b"\xff\xfe\x01", b"\xff\xfc\x1f"}
            async with person(gateway, "telnet") as crawler:
                crawler.types("MSSP-REQUEST")
                told = await crawler.sees("MSSP-REPLY-END\n")
        values = dict(line.split("\t", 1) for line in told.splitlines() if "\t" in line)
        assert int(values.pop("UPTIME")) > 0
        assert values == {
            "NAME": "My MUD",
            "PLAYERS": "7",
            "PORT": "4000\t4001",
            "GENRE": "Fantasy",
        }


async def test_without_values_of_its_own_a_listener_has_those_of_the_server(tmp_path: Path) -> None:
    async with (
        server() as (_, url),
        serving(bridged(tmp_path, url, urls=(TELNET,), mssp=True)) as gateway,
        person(gateway, "telnet", MSSP) as crawler,
    ):
        await crawler.is_sent(bytes((IAC, WILL, MSSP)))


async def test_the_newest_answer_counts_and_silence_changes_nothing(tmp_path: Path) -> None:
    async with (
        server() as (it, url),
        serving(bridged(tmp_path, url, urls=(TELNET,))) as gateway,
        asyncio.TaskGroup() as tasks,
    ):
        upstream = gateway.upstreams["mud"]
        poll = polling(upstream.dialler, gateway)
        task = tasks.create_task(poll.run())
        await eventually(lambda: poll.values().get("PLAYERS") == "7")
        it.players = 8
        await eventually(lambda: poll.values().get("PLAYERS") == "8")
        it.mute = True
        it.refused.clear()
        await eventually(lambda: bool(it.refused))
        assert poll.values()["PLAYERS"] == "8"
        assert upstream.pool.targets[0].active == 0
        task.cancel()


def polling(dialler: Dialler, gateway: Gateway) -> StatusPoll:
    """One that asks all the time."""
    limits = gateway.context.limits.but(upstream={"check_seconds_max": 0.2})
    return StatusPoll(dialler, limits, interval_seconds=0.01)
