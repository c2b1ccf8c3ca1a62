from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio
from playwright.async_api import Browser
from tests.peers.chromium import chromium
from tests.peers.tmux import Tmux, tmux


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    """One browser for all tests of a process: it takes its time to start."""
    async with chromium() as it:
        yield it


@pytest_asyncio.fixture(loop_scope="session")
async def terminals(tmp_path: Path) -> AsyncIterator[Tmux]:
    async with tmux(tmp_path) as it:
        yield it
