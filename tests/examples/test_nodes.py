"""The two nodes of `examples/nodes`, as the page "Several nodes" starts them."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from tests.ports import free_port
from tests.postgresql import programs
from tests.programs import ROOT, need

from holdfast.client import Began, Client, Offline, Text, connect

EXAMPLE = ROOT / "examples" / "nodes"
PAGE = ROOT / "docs" / "howto" / "nodes.md"
PORTS = ("5433", "8080", "8081", "8082", "4000", "4011", "4012", "9181", "9182")
SECONDS = 120.0


def laid_out(folder: Path) -> dict[str, str]:
    """The example's files, with ports that are free."""
    folder.chmod(0o711)  # the server may run as another user
    ports = {port: str(free_port()) for port in PORTS}
    for file in EXAMPLE.iterdir():
        if file.is_file():
            text = re.sub("|".join(PORTS), lambda found: ports[found[0]], file.read_text())
            (folder / file.name).write_text(text)
    return ports


class Started:
    """`python nodes.py …`, and the lines that it has written."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.lines: list[str] = []

    async def says(self, text: str) -> str:
        """The next line with `text`."""
        assert self._process.stdout is not None
        while line := (await self._process.stdout.readline()).decode():
            self.lines.append(line)
            if text in line:
                return line
        raise AssertionError("".join(self.lines))


@asynccontextmanager
async def started(folder: Path, what: str) -> AsyncIterator[Started]:
    command = f"python examples/nodes/nodes.py {what}"
    assert f"\n{command}" in PAGE.read_text()
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(folder / "nodes.py"),
        what,
        env=os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        yield Started(process)
        process.send_signal(signal.SIGINT)
        assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()


async def node_with_the_session(ports: dict[str, str]) -> str:
    """The name of the node that has one."""
    async with aiohttp.ClientSession() as browser:
        while True:
            async with browser.get(f"http://127.0.0.1:{ports['9181']}/api/nodes") as answer:
                nodes = (await answer.json())["items"]
            for node in nodes:
                if node["sessions"]:
                    return str(node["name"])


async def seen(client: Client, text: str) -> list[object]:
    """The events up to one with `text`."""
    events: list[object] = []
    async for event in client:
        events.append(event)
        if isinstance(event, Text) and text in event.d:
            return events
    raise AssertionError(events)


@pytest.mark.timeout(150)  # seven programs, on a busy machine
async def test_a_client_goes_on_when_its_node_is_killed() -> None:
    programs()
    need("haproxy")
    with tempfile.TemporaryDirectory(prefix="holdfast-nodes-", dir="/tmp") as name:
        folder = Path(name)
        ports = laid_out(folder)
        async with (
            asyncio.timeout(SECONDS),
            started(folder, "database") as database,
            started(folder, "start") as nodes,
        ):
            await database.says("ready to accept connections")
            await nodes.says("Ready.")
            processes = dict(line.split(": kill -9 ") for line in nodes.lines if "kill -9" in line)
            async with connect(f"ws://127.0.0.1:{ports['8080']}/") as client:
                await seen(client, "Welcome to the chat.")
                client.command("Ada")
                await seen(client, "You are in lobby.")
                victim = f"node {await node_with_the_session(ports)}"
                os.kill(int(processes[victim]), signal.SIGKILL)
                await nodes.says(f"{victim} has ended")
                client.command("I am still here")
                events = await seen(client, "I am still here")
            assert [event for event in events if isinstance(event, Offline)]
            assert not [event for event in events if isinstance(event, Began)]
            await nodes.says(f"{victim}: kill -9 ")
        shutil.rmtree(folder / "data")
