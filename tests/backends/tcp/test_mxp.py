"""Elements of a server with MXP, and clients that show them or not."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec import structs
from tests.backends.tcp.test_data import hears
from tests.backends.test_upstreams import at, bridged, until_detached
from tests.gateway.clients import DO, DONT, IAC, WILL, person, v1
from tests.gateway.running import TCP, TELNET, WS, serving
from tests.gateway.servers import Mud, mud

from holdfast.gateway.config import Config
from holdfast.protocols.telnet.codes import MXP

OFFER = bytes((IAC, WILL, MXP))
VERSION = b"\x1b[1z<VERSION MXP=1.0 CLIENT=test>\r\n"
ROOM = "\x1b[6z<!ELEMENT Ex '<SEND>'>\nGo <Ex>north</Ex> &amp; win\n\x1b[7zYou < me\n"
"""What a server says: a definition, an exit, and what a user has written."""


def in_front_of(it: Mud, folder: Path) -> Config:
    config = bridged(folder, at(it, "telnet"), urls=(WS, TELNET, TCP), mxp=True)
    ws, telnet, tcp = config.listener
    return structs.replace(config, listener=(ws, structs.replace(telnet, mxp=True), tcp))


async def test_elements_reach_a_client_with_mxp_and_its_answers_the_server(tmp_path: Path) -> None:
    async with (
        mud() as it,
        serving(in_front_of(it, tmp_path)) as gateway,
        person(gateway, "telnet", MXP) as someone,
    ):
        await someone.shown_code()
        visit = await it.visit()
        visit.writer.write(OFFER)
        await hears(visit, bytes((IAC, DO, MXP)))
        visit.says(ROOM.replace("\n", "\r\n"))
        await someone.sees("\x1b[1z<!ELEMENT Ex '<SEND>'>\n")
        assert await someone.line() == "\x1b[1zGo <Ex>north</Ex> &amp; win\n"
        assert await someone.line() == "\x1b[1z\x1b[2zYou < me\n"
        someone.sends(VERSION + b"north\r\n")
        await hears(visit, VERSION + b"north\r\n")


async def test_a_client_without_mxp_gets_a_server_without_it(tmp_path: Path) -> None:
    async with (
        mud() as it,
        serving(in_front_of(it, tmp_path)) as gateway,
        person(gateway, "telnet") as someone,
    ):
        await someone.shown_code()
        visit = await it.visit()
        visit.writer.write(OFFER)
        await hears(visit, bytes((IAC, DONT, MXP)))
        visit.says("\x1b[1z<b>You</b>\r\n")
        await someone.sees("␛[1z<b>You</b>\n")


@pytest.mark.parametrize("scheme", ["tcp", "telnet", "ws"])
async def test_who_resumes_without_mxp_reads_the_text_without_elements(
    tmp_path: Path, scheme: str
) -> None:
    async with mud() as it, serving(in_front_of(it, tmp_path)) as gateway:
        async with person(gateway, "telnet", MXP) as someone:
            code = await someone.shown_code()
            visit = await it.visit()
            visit.writer.write(OFFER)
            await hears(visit, bytes((IAC, DO, MXP)))
            someone.drop()
        await until_detached(gateway)
        visit.says(ROOM.replace("\n", "\r\n"))
        if scheme == "ws":
            async with v1(gateway, code=code) as page:
                texts = [text for _, text in await page.texts("You < me")]
                assert texts[-2:] == ["Go north & win", "You < me"]
        else:
            async with person(gateway, scheme) as again:
                again.types(f"resume {code}")
                await again.sees("Go north & win\nYou < me\n")
