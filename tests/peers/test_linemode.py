"""LINEMODE with inetutils telnet, which offers it at a port that is written with a `-`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.cli.process import SECONDS
from tests.peers.tmux import Tmux
from tests.programs import need

from holdfast.core.limits import Limits
from holdfast.protocols.telnet import Event, Interrupt, LinemodeChanged, TelnetServer
from holdfast.protocols.telnet.codes import ECHO
from holdfast.protocols.telnet.negotiation import Q, Side

pytestmark = pytest.mark.asyncio(loop_scope="session")


class Mirror(asyncio.Protocol):
    """A server that writes down what it hears, and says it again if it is a line."""

    def __init__(self) -> None:
        self.heard: list[Event] = []
        self._changed = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.core = TelnetServer(Limits().telnet, 0.0)
        self.send()

    def data_received(self, data: bytes) -> None:
        events = self.core.receive_data(data, 0.0)
        self.heard += events
        for event in events:
            if isinstance(event, str):
                self.core.send_text(f"You said [{event}].\n")
        self.send()
        self._changed.set()

    def send(self) -> None:
        self.transport.write(self.core.data_to_send())

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(SECONDS):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    @property
    def lines(self) -> list[Event]:
        return [event for event in self.heard if isinstance(event, str)]


async def test_the_client_edits_traps_signals_and_hides(tmp_path: Path, terminals: Tmux) -> None:
    mirror = Mirror()
    server = await asyncio.get_running_loop().create_server(lambda: mirror, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        pane = await terminals.open(need("telnet"), "--", "127.0.0.1", f"-{port}")
        await mirror.until(lambda: LinemodeChanged(True, True) in mirror.heard)

        # A line comes whole, as it was edited.
        for key in ("h", "e", "l", "x", "y", "BSpace", "BSpace", "l", "o", "Enter"):
            await pane.press(key)
        await pane.sees("You said [hello].")
        assert mirror.lines == ["hello"]

        await pane.press("C-c")
        await mirror.until(lambda: Interrupt() in mirror.heard)

        # A password is edited as well, and is not on the screen.
        mirror.core.hide_input(True)
        mirror.core.send_prompt("Password: ")
        mirror.send()
        await pane.sees("Password: ")
        await mirror.until(lambda: mirror.core._echoing)
        for key in ("s", "e", "c", "x", "BSpace", "r", "e", "t"):
            await pane.press(key)
        await pane.press("Enter")
        await mirror.until(lambda: len(mirror.lines) == 2)
        mirror.core.hide_input(False)
        mirror.send()
        await mirror.until(lambda: mirror.core._options.state(ECHO, Side.US) is Q.NO)
        await pane.types("aloud")
        screen = await pane.sees("You said [aloud].")
        assert mirror.lines == ["hello", "secret", "aloud"]
        assert screen.count("secret") == 1  # what the server said again
        assert screen.count("aloud") == 2
        mirror.transport.abort()
        await pane.ends()
    assert mirror.core.malformed == 0
