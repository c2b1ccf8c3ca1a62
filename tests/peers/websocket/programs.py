"""Programs that speak WebSocket: where they are, how they are built and run."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
from collections.abc import AsyncIterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Final

from tests.conformance.vtc.sources import cache_directory
from tests.programs import end, listens, missing, need, start, started

HERE: Final = Path(__file__).parent
SECONDS: Final = 60.0
LARGE_BYTES: Final = 16 * 1024 * 1024
NODE_PACKAGE: Final = "ws@8"


@cache
def install_ws() -> tuple[Path, str]:
    """A folder in the user's cache with the package `ws`, and why it could not be installed."""
    npm = need("npm")
    folder = cache_directory().parent / "peers" / "node"
    fault = ""
    if not (folder / "node_modules" / "ws" / "package.json").exists():
        folder.mkdir(parents=True, exist_ok=True)
        command = [npm, "install", "--silent", "--no-save", "--prefix", str(folder), NODE_PACKAGE]
        try:
            done = subprocess.run(
                command, check=False, capture_output=True, text=True, timeout=SECONDS
            )
            fault = done.stderr.strip()[-300:] or "it failed" if done.returncode else ""
        except subprocess.TimeoutExpired:
            fault = f"no answer from its registry within {SECONDS:g} s"
    return folder / "node_modules", fault


def node_modules() -> Path:
    """The folder with the package `ws`; without it, the test is skipped, and fails in CI."""
    folder, fault = install_ws()
    if fault:
        missing(f"npm cannot install {NODE_PACKAGE}: {fault}")
    return folder


def node(script: str) -> tuple[list[str], dict[str, str]]:
    """How to run one of our scripts for Node."""
    return [need("node"), str(HERE / script)], {"WS": str(node_modules() / "ws" / "wrapper.mjs")}


def go(source: Path, to: Path) -> str:
    """A Go program, built against Debian's gorilla/websocket."""
    command = [need("go"), "build", "-o", str(to), str(source)]
    environment = {"GO111MODULE": "off", "GOPATH": "/usr/share/gocode", "GOFLAGS": "-p=1"}
    subprocess.run(command, check=True, env={**os.environ, **environment})
    return str(to)


async def run(command: Sequence[str], variables: Mapping[str, str] | None = None) -> str:
    """Run a program to its end, which must be good; what it said."""
    process = await start(
        *command,
        env={**os.environ, **(variables or {})},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(SECONDS):
            out, err = await process.communicate()
    finally:
        await end(process)
    assert process.returncode == 0, err.decode()
    return out.decode(errors="replace")


@contextlib.asynccontextmanager
async def running(
    command: Sequence[str], port: int, variables: Mapping[str, str] | None = None
) -> AsyncIterator[None]:
    """A server program, once it listens at `port`, up to the end of the block."""
    async with started(*command, env={**os.environ, **(variables or {})}) as process:
        await listens(port, process)
        yield
