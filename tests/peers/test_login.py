"""A login at the terminals that can hide what is typed."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest
from tests.peers.clients import OURS, TELNET_CLIENTS, start
from tests.peers.gateways import running
from tests.peers.tmux import Tmux

pytestmark = pytest.mark.asyncio(loop_scope="session")

PASSWORD: Final = Path(__file__).with_name("password.py")
HIDING: Final = (*TELNET_CLIENTS, *(name for name, scheme in OURS.items() if scheme != "tcp"))
_REFUSED: Final = "That is not the password."


async def test_secrets_are_not_shown(tmp_path: Path, terminals: Tmux) -> None:
    async with running(PASSWORD, tmp_path) as gateway:
        for name in HIDING:
            pane = await start(terminals, name, gateway.ports, tmp_path)
            await pane.sees("Name:")
            await pane.types("alibaba")
            await pane.sees("Password:")
            await pane.types("open-barley")
            await pane.sees_after(_REFUSED, "Name:")
            await pane.types("alibaba")
            await pane.sees_after(_REFUSED, "Password:")
            await pane.types("sesame")
            await pane.sees("Welcome, alibaba.")
            await pane.sees("Your secret:")
            await pane.types("forty-thieves")
            await pane.sees("It has 13 letters.")
            await pane.types("in sight")
            screen = await pane.sees("It has 8 letters.")
            assert "in sight" in screen, name
            for secret in ("open-barley", "sesame", "forty-thieves"):
                assert secret not in screen, name
