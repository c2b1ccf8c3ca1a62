"""The configurations in docs/mud.md, in front of a server: what the page promises happens."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

from tests.cli.process import Program, program, run
from tests.docs.pages import ROOT, blocks
from tests.gateway.clients import GMCP, IAC, SB, SE, person_at
from tests.gateway.servers import Mud, Visit, mud
from tests.peers.gateways import url
from tests.ports import free_port

from holdfast.client import Client, Text, connect

PAGE = ROOT / "docs" / "mud.md"
FIRST, SECOND = blocks(PAGE, "toml")


def moved(text: str, server: int) -> str:
    """The configuration on this machine, at ports that are free."""
    text = text.replace("4040", str(server))
    return text.replace("0.0.0.0:4000", "127.0.0.1:0").replace("0.0.0.0:8080", "127.0.0.1:0")


@asynccontextmanager
async def served(folder: Path, text: str) -> AsyncIterator[tuple[Program, dict[str, int]]]:
    """`holdfast serve`, as the page starts it."""
    (folder / "holdfast.toml").write_text(text)
    assert (await run("check", "holdfast.toml", folder=folder))[0] == 0
    async with program("serve", "holdfast.toml", folder=folder) as it:
        yield it, await it.ports(text.count("[[listener]]"))


async def _visit_with(server: Mud, line: bytes) -> Visit:
    """The connection on which the server gets `line`.

    The session that a client had before it resumed another may be dialling still: its connection
    ends without a line.
    """
    while True:
        visit = await server.visit()
        with suppress(asyncio.IncompleteReadError):
            await visit.reader.readuntil(line)
            return visit


async def test_players_stay_while_the_network_and_the_mud_restart(tmp_path: Path) -> None:
    where = free_port()
    hello = bytes((IAC, SB, GMCP)) + b'Core.Supports.Set ["Char 1"]' + bytes((IAC, SE))
    async with (
        served(tmp_path, moved(FIRST, where)) as (_, ports),
        person_at(ports["telnet"], telnet=True) as ada,
    ):
        code = await ada.shown_code()
        await ada.sees("*** The MUD is restarting. Stay here.")
        async with mud(where) as server, AsyncExitStack() as stack:
            visit = await server.visit()
            visit.writer.write(bytes((IAC, 251, GMCP)))
            ada.sends(bytes((IAC, 253, GMCP)) + hello)
            await visit.reader.readuntil(b'Core.Supports.Set ["Char 1"]')
            visit.says("Name?\r\n")
            await ada.sees("Name?")
            ada.types("Ada")
            await visit.reader.readuntil(b"Ada\r\n")
            ada.writer.transport.abort()
            visit.says("Missed.\r\n")
            back = await stack.enter_async_context(person_at(ports["telnet"], telnet=True))
            await back.shown_code()
            back.types(f"resume {code}")
            await back.sees("Missed.")
            server.close()
            visit.ends()
            await back.sees("It is tried again; what you type meanwhile is not sent.")
            async with mud(where) as again:
                await back.sees("You are connected to the server again.")
                back.types("Ada")
                visit = await _visit_with(again, b"Ada\r\n")
                back.types("@quit")
                await visit.reader.readuntil(b"@quit\r\n")
                visit.ends()
                assert "The server has closed the connection." in await back.rest()


async def test_browsers_have_the_page_and_the_same_session(tmp_path: Path) -> None:
    async with mud() as server, served(tmp_path, moved(FIRST, server.port)) as (_, ports):
        reader, writer = await asyncio.open_connection("127.0.0.1", ports["ws"])
        writer.write(b"GET /play/settings.json HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        settings = json.loads((await reader.read()).partition(b"\r\n\r\n")[2])
        writer.close()
        assert (settings["title"], settings["path"]) == ("My MUD", "/")
        async with connect(url("ws", ports["ws"])) as client:
            visit = await server.visit()
            visit.says("\x1b[31mHello.\x1b[0m\r\n")
            assert await _text(client) == "\x1b[31mHello.\x1b[0m"


async def _text(client: Client) -> str:
    while True:
        event = await client.receive()
        if isinstance(event, Text):
            return event.d


async def test_what_is_typed_is_kept_for_a_mud_that_knows_its_players(tmp_path: Path) -> None:
    where = free_port()
    async with (
        served(tmp_path, moved(SECOND, where)) as (_, ports),
        mud(where) as server,
        person_at(ports["telnet"], telnet=True) as ada,
    ):
        visit = await server.visit()
        ada.types("Ada")
        await visit.reader.readuntil(b"Ada\r\n")
        server.close()
        visit.ends()
        await ada.sees("It is tried again; what you type meanwhile is sent then.")
        ada.types("north")
        async with mud(where) as again:
            visit = await again.visit()
            await visit.reader.readuntil(b"reconnect\r\nnorth\r\n")
