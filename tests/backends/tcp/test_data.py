"""Data between a server with GMCP or MSDP and its clients, both ways."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs
from tests.backends.test_upstreams import at, bridged
from tests.gateway.clients import DO, GMCP, IAC, SB, SE, V1, WILL, Person, person, v1
from tests.gateway.running import SECONDS, TCP, TELNET, WS, eventually, serving
from tests.gateway.servers import Visit, mud
from tests.protocols.telnet.wire import sb

from holdfast.backends.tcp.bridge import Bridge
from holdfast.core.items import Text
from holdfast.gateway.gateway import Gateway
from holdfast.protocols.telnet.codes import MSDP

ROOM = {"VNUM": "6008", "EXITS": {"n": "6011"}}
OFFERED = {
    "gmcp": (GMCP, b'ROOM {"VNUM":"6008","EXITS":{"n":"6011"}}'),
    "msdp": (
        MSDP,
        b"\x01ROOM\x02\x03\x01VNUM\x026008\x01EXITS\x02\x03\x01n\x026011\x04\x04",
    ),
}
"""What a server speaks, and how it says `ROOM`."""
ASKED = {"gmcp": b'REPORT ["HEALTH"]', "msdp": b"\x01REPORT\x02\x05\x02HEALTH\x06"}
"""How it is asked for a report."""


@asynccontextmanager
async def client(gateway: Gateway, kind: str) -> AsyncIterator[Person | V1]:
    if kind == "v1":
        async with v1(gateway) as page:
            yield page
    else:
        async with person(gateway, "telnet", GMCP if kind == "gmcp" else MSDP) as someone:
            yield someone


async def hears_room(it: Person | V1, kind: str) -> Any:
    """The value of ROOM, as the client gets it."""
    if isinstance(it, V1):
        message = await it.expect("data")
        assert message["p"] == "ROOM"
        return message["d"]
    if kind == "gmcp":
        return await it.told("ROOM")
    assert await it.subnegotiated(MSDP) == OFFERED["msdp"][1]
    return ROOM


async def asks(it: Person | V1, kind: str) -> None:
    """The client asks for a report."""
    if isinstance(it, V1):
        await it.say("data", c=1, p="REPORT", d=["HEALTH"])
    else:
        option = GMCP if kind == "gmcp" else MSDP
        it.sends(sb(option, ASKED[kind]))


async def hears(visit: Visit, data: bytes) -> None:
    """The server is sent this, behind whatever else."""
    async with asyncio.timeout(SECONDS):
        assert (await visit.reader.readuntil(data)).endswith(data)


@pytest.mark.parametrize("server", ["gmcp", "msdp"])
@pytest.mark.parametrize("kind", ["gmcp", "msdp", "v1"])
async def test_both_ways(tmp_path: Path, server: str, kind: str) -> None:
    option, room = OFFERED[server]
    async with mud() as it:
        config = bridged(tmp_path, at(it, "telnet"), urls=(WS, TELNET), msdp=True)
        listeners = (
            config.listener[0],
            structs.replace(config.listener[1], msdp=True),
        )
        async with (
            serving(structs.replace(config, listener=listeners)) as gateway,
            client(gateway, kind) as one,
        ):
            if isinstance(one, Person):
                await one.shown_code()
            visit = await it.visit()
            visit.writer.write(bytes((IAC, WILL, option)))
            await hears(visit, bytes((IAC, DO, option)))
            visit.writer.write(bytes((IAC, SB, option)) + room + bytes((IAC, SE)))
            assert await hears_room(one, kind) == ROOM
            await asks(one, kind)
            await hears(visit, sb(option, ASKED[server]))


async def test_words_instead_of_json_pass_as_they_are(tmp_path: Path) -> None:
    async with mud() as it:
        config = bridged(tmp_path, at(it, "telnet"), urls=(TELNET,))
        async with serving(config) as gateway, person(gateway, "telnet", GMCP) as someone:
            await someone.shown_code()
            visit = await it.visit()
            visit.writer.write(bytes((IAC, WILL, GMCP)))
            someone.sends(sb(GMCP, "Char.Login bob"))
            await hears(visit, sb(GMCP, "Char.Login bob"))
            visit.writer.write(sb(GMCP, "Core.Goodbye till soon"))
            assert await someone.told("Core.Goodbye") == "till soon"


async def test_a_failure_while_input_is_forwarded_ends_its_session_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two sessions with input in one tick."""
    forward = Bridge.forward

    def fails(bridge: Bridge) -> None:
        if bridge._session is first:
            raise RuntimeError("forwarding has failed")
        forward(bridge)

    async with mud() as it:
        config = bridged(tmp_path, at(it), urls=(TCP,))
        async with (
            serving(config) as gateway,
            person(gateway, "tcp") as ann,
            person(gateway, "tcp") as ben,
        ):
            await ann.shown_code()
            await ben.shown_code()
            await it.visit()
            await it.visit()
            first, second = gateway.manager.sessions.values()
            monkeypatch.setattr(Bridge, "forward", fails)
            first.receive(Text("look"))
            second.receive(Text("look"))
            await eventually(lambda: not second.inbox.entries)
            await eventually(lambda: list(gateway.manager.sessions.values()) == [second])
