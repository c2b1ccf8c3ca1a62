"""START_TLS at a listener of a gateway: the session is one in TLS."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

import pytest
from tests.gateway.running import SECONDS, serving
from tests.net.certificates import AUTHORITY, issue
from tests.protocols.telnet.wire import sb, wire

from holdfast.gateway.config import load
from holdfast.protocols.telnet.codes import DO, IAC, START_TLS, WILL, WONT

LISTENER = """
[[listener]]
url = "telnet://127.0.0.1:0"
backend = "echo"
durability = "memory"
starttls = "{starttls}"
certificate = {{ cert = "{folder}/a.pem", key = "{folder}/a.key" }}
"""
ASK = wire(IAC, DO, START_TLS)
FOLLOWS = sb(START_TLS, 1)


def configuration(folder: Path, starttls: str) -> Path:
    issue(folder, "a.example", name="a")
    path = folder / "holdfast.toml"
    path.write_text(LISTENER.format(folder=folder, starttls=starttls))
    return path


async def test_a_session_in_tls(tmp_path: Path) -> None:
    context = ssl.create_default_context(cadata=AUTHORITY)
    async with serving(load(configuration(tmp_path, "offered"))) as gateway:
        async with asyncio.timeout(SECONDS):
            port = gateway.addresses[0].port
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            assert await reader.readexactly(3) == ASK
            writer.write(b"injected" + wire(IAC, WILL, START_TLS) + FOLLOWS)
            assert await reader.readexactly(6) == FOLLOWS
            await writer.start_tls(context, server_hostname="a.example")
            writer.write(b"hello\r\n")
            heard = await reader.readuntil(b"hello\r\n")
            assert b"injected" not in heard
            (connection,) = gateway.listeners.clients.connections
            assert connection.secure

            # A certificate that is replaced is the next connection's.
            before = writer.get_extra_info("peercert")["serialNumber"]
            writer.close()
            issue(tmp_path, "a.example", name="a")
            gateway.reload()
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(wire(IAC, WILL, START_TLS) + FOLLOWS)
            assert await reader.readexactly(9) == ASK + FOLLOWS
            await writer.start_tls(context, server_hostname="a.example")
            assert writer.get_extra_info("peercert")["serialNumber"] != before
            writer.close()


@pytest.mark.parametrize("starttls", ["offered", "required"])
async def test_a_client_that_refuses(tmp_path: Path, starttls: str) -> None:
    async with serving(load(configuration(tmp_path, starttls))) as gateway:
        async with asyncio.timeout(SECONDS):
            reader, writer = await asyncio.open_connection("127.0.0.1", gateway.addresses[0].port)
            writer.write(wire(IAC, WONT, START_TLS) + b"hello\r\n")
            if starttls == "required":
                assert b"has not agreed" in await reader.read()
            else:
                await reader.readuntil(b"hello\r\n")
            writer.close()
