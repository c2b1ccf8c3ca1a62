"""A HAProxy for tests, in front of our servers or behind our clients."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from pathlib import Path

from tests.net.helpers import until
from tests.programs import need

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
    process = await asyncio.create_subprocess_exec(
        need("haproxy"), "-db", "-f", str(config), stderr=asyncio.subprocess.DEVNULL
    )
    try:
        await until(lambda: process.returncode is not None or _is_open(port))
        assert process.returncode is None, "HAProxy does not take its configuration"
        yield
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def _is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
