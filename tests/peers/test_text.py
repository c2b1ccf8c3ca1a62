"""Text beyond ASCII at Telnet clients that name no character set, and their colours."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.peers.clients import TELNET_CLIENTS, start
from tests.peers.gateways import running
from tests.peers.tmux import Tmux

pytestmark = pytest.mark.asyncio(loop_scope="session")

MIRROR = Path(__file__).with_name("mirror.py")


async def test_a_person_sees_what_was_sent(tmp_path: Path, terminals: Tmux) -> None:
    async with running(MIRROR, tmp_path) as gateway:
        for name in TELNET_CLIENTS:
            pane = await start(terminals, name, gateway.ports, tmp_path)
            if name == "tf":  # it cannot show UTF-8
                await pane.sees("cafe ?????? ??")
                continue
            await pane.sees("café Привет 天地")
            await pane.types("déjà vu")
            await pane.sees("You said: déjà vu")
            await pane.sees("In UTF-8, with colours.")
