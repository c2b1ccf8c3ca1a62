"""A HAProxy for tests, in front of our servers or behind our clients."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from tests.programs import listens, need, started

_HEAD = """\
global
    maxconn 100
defaults
    mode tcp
    timeout connect 5s
    timeout client 10s
    timeout server 10s
"""


@contextlib.asynccontextmanager
async def haproxy(folder: Path, port: int, text: str) -> AsyncIterator[None]:
    """HAProxy with this configuration while the block runs, once `port` is open."""
    config = folder / "haproxy.cfg"
    config.write_text(_HEAD + text)
    command = (need("haproxy"), "-db", "-f", str(config))
    async with started(*command, stderr=asyncio.subprocess.DEVNULL) as process:
        await listens(port, process)
        yield
