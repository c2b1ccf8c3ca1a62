"""Compression with real clients: MCCP2 to tt++ and tf, MCCP3 from tt++."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from tests.peers.clients import start
from tests.peers.tmux import Tmux

from holdfast.core.limits import Limits
from holdfast.protocols.telnet import Settled, TelnetServer
from holdfast.protocols.telnet.charsets import AUTOMATIC
from holdfast.protocols.telnet.codes import MCCP2
from holdfast.protocols.telnet.negotiation import Side
from holdfast.protocols.telnet.server import Offers, server_options

pytestmark = pytest.mark.asyncio(loop_scope="session")

OPTIONS = server_options(Offers(mccp2=True, mccp3=True))


class Mirror(asyncio.Protocol):
    """A server that says again what it hears, and says first whether it compresses."""

    def __init__(self) -> None:
        self.inflated = 0
        self.lost = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._core = TelnetServer(Limits().telnet, 0.0, AUTOMATIC, OPTIONS)
        self._send()

    def data_received(self, data: bytes) -> None:
        for event in self._core.receive_data(data, 0.0):
            if isinstance(event, Settled):
                compressed = self._core.is_on(MCCP2, Side.US)
                self._core.send_text(f"Compressed: {compressed}.\n")
            elif isinstance(event, str):
                self.inflated = self._core.inflated
                self._core.send_text(f"You said {event}.\n")
        self._send()

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost.set()

    def close(self) -> None:
        self._transport.abort()

    def _send(self) -> None:
        self._transport.write(self._core.data_to_send())


@pytest.mark.parametrize(("name", "inflates"), [("tt++", True), ("tf", False)])
async def test_text_passes_both_ways(
    tmp_path: Path, terminals: Tmux, name: str, inflates: bool
) -> None:
    mirror = Mirror()
    server = await asyncio.get_running_loop().create_server(lambda: mirror, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        pane = await start(terminals, name, {"telnet": port}, tmp_path)
        await pane.sees("Compressed: True.")
        for line in ("look", "north"):
            await pane.types(line)
            await pane.sees(f"You said {line}.")
        assert (mirror.inflated > 0) is inflates
        mirror.close()
        await mirror.lost.wait()
