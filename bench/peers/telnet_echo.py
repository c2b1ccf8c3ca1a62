"""Telnet servers that echo lines: telnet_echo.py NAME PORT [--mccp]"""

from __future__ import annotations

import asyncio
import sys
from importlib import import_module
from typing import Any

import uvloop


async def holdfast_telnet(port: int) -> None:
    from holdfast.core.limits import Limits
    from holdfast.protocols.telnet.server import Offers
    from holdfast.telnet import ServerTelnet, serve

    async def echo(telnet: ServerTelnet) -> None:
        async for line in telnet:
            await telnet.send(f"{line}\n")

    limits = Limits().but(
        telnet={"bytes_per_second_max": 1e12, "bytes_burst_max": 10**12},
        connection={"connections_per_address_max": 20_000},
    )
    offers = Offers(mccp2="--mccp" in sys.argv)
    async with serve(echo, "127.0.0.1", port, limits=limits, offers=offers) as server:
        await server.serve_forever()


async def telnetlib3(port: int) -> None:
    async def shell(reader: Any, writer: Any) -> None:
        while line := await reader.readline():
            writer.write(line)

    library: Any = import_module("telnetlib3")
    await library.create_server(host="127.0.0.1", port=port, shell=shell)
    await asyncio.Event().wait()


def twisted(port: int) -> None:
    telnet: Any = import_module("twisted.conch.telnet")
    protocol: Any = import_module("twisted.internet.protocol")
    reactor: Any = import_module("twisted.internet.reactor")

    class Echo(telnet.StatefulTelnetProtocol):  # type: ignore[misc]
        state = "Line"

        def telnet_Line(self, line: bytes) -> str:
            self.transport.write(line + b"\n")
            return "Line"

    factory = protocol.ServerFactory()
    factory.protocol = lambda: telnet.TelnetTransport(Echo)
    reactor.listenTCP(port, factory, backlog=4096, interface="127.0.0.1")
    reactor.run()


def main() -> None:
    name, port = sys.argv[1], int(sys.argv[2])
    if name == "twisted":
        twisted(port)
    else:
        uvloop.run(telnetlib3(port) if name == "telnetlib3" else holdfast_telnet(port))


main()
