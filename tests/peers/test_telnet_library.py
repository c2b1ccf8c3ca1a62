"""`holdfast.telnet` and programs that are not ours: the talker in examples/, and telnetlib3."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, Final

import pytest
from examples.talker import talk
from tests.cli.process import SECONDS
from tests.peers.clients import TELNET_CLIENTS, start
from tests.peers.tmux import Tmux

from holdfast.core.limits import Limits
from holdfast.telnet import ServerTelnet, connect, serve

pytestmark = pytest.mark.asyncio(loop_scope="session")

PATIENT: Final = Limits().but(telnet={"negotiation_seconds_max": SECONDS})
"""Until the client has answered all, however busy the machine is."""

telnetlib3: Any = pytest.importorskip("telnetlib3")


async def test_people_at_real_clients_talk(tmp_path: Path, terminals: Tmux) -> None:
    async with serve(talk) as server:
        port = server.port
        panes = {}
        for name in TELNET_CLIENTS:
            pane = panes[name] = await start(terminals, name, {"telnet": port}, tmp_path)
            await pane.sees("Your name:")
            await pane.types(name.replace("++", "pp"))
            await pane.sees(f"{name.replace('++', 'pp')} has come.")
        await panes["telnet"].types("hello, all")
        for pane in panes.values():
            await pane.sees("telnet: hello, all")
        async with asyncio.timeout(SECONDS), connect(f"telnet://127.0.0.1:{port}") as ours:
            await ours.read_until("Your name: ")
            await ours.send("ours\n")
            await ours.read_until("ours has come.")
            await panes["tt++"].types("hello, ours")
            await ours.read_until("ttpp: hello, ours")
        for pane in panes.values():
            await pane.sees("ours has left.")


async def test_a_client_of_telnetlib3() -> None:
    seen: list[str] = []

    async def greet(telnet: ServerTelnet) -> None:
        seen.append(telnet.capabilities.terminal_type)
        name = await telnet.ask("Name: ")
        await telnet.send(f"Welcome, {name}.\n")

    async with asyncio.timeout(SECONDS), serve(greet, limits=PATIENT) as server:
        reader, writer = await telnetlib3.open_connection(
            "127.0.0.1", server.port, cols=90, rows=20, term="vt220", encoding="utf8"
        )
        heard = ""
        while "Name: " not in heard:
            heard += await reader.read(1000)
        writer.write("ada\r\n")
        while "Welcome, ada." not in heard:
            heard += await reader.read(1000)
        writer.close()
    assert seen
    assert seen[0].lower() == "vt220"


async def test_a_server_of_telnetlib3() -> None:

    async def shell(reader: Any, writer: Any) -> None:
        writer.write("Name: ")
        line = await reader.readline()
        writer.write(f"Welcome, {line.strip()}.\r\n")
        writer.close()

    server = await telnetlib3.create_server(
        host="127.0.0.1", port=0, shell=shell, connect_maxwait=0.5
    )
    try:
        port = server.sockets[0].getsockname()[1]
        async with asyncio.timeout(SECONDS), connect(f"telnet://127.0.0.1:{port}") as telnet:
            await telnet.read_until("Name: ")
            await telnet.send("ada\n")
            await telnet.read_until("Welcome, ada.")
    finally:
        server.close()
        await server.wait_closed()
