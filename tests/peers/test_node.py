"""JavaScript outside a browser: the client module and the parrot, under Node."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from importlib import resources
from pathlib import Path
from typing import Any, Final

import playwright
from tests.cli.process import SECONDS, program
from tests.gateway.clients import person_at
from tests.peers.cutter import cutter
from tests.peers.gateways import running, url
from tests.peers.test_resume import COUNT, COUNTING, DONE, LAST
from tests.programs import ROOT

NODE: Final = Path(playwright.__file__).parent / "driver" / "node"
"""Playwright brings its own: always there, and new enough to have WebSockets."""
WS_BUNDLE: Final = NODE.parent / "package" / "lib" / "utilsBundle.js"
"""The package `ws` is in it, which programs give to the client where Node has no WebSocket."""
CLIENT: Final = Path(str(resources.files("holdfast.web").joinpath("holdfast.js")))
SCRIPT: Final = Path(__file__).with_name("node.mjs")


class Script:
    """A running script, and what it has written."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.events: list[dict[str, Any]] = []

    def types(self, line: str) -> None:
        """Type a line."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{line}\n".encode())

    async def until(self, condition: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The next event that is as wanted; those before it are kept in `events`."""
        assert self.process.stdout is not None
        async with asyncio.timeout(SECONDS):
            while True:
                line = await self.process.stdout.readline()
                assert line, f"it ended after {self.events[-3:]}"
                self.events.append(json.loads(line))
                if condition(self.events[-1]):
                    return self.events[-1]

    async def hears(self, text: str) -> None:
        """Wait until this text has come; it may have come before another event was waited for."""
        if text not in self.texts:
            await self.until(lambda event: event["event"] == "text" and event["d"] == text)

    async def comes(self, state: str) -> dict[str, Any]:
        """Wait for this state."""
        return await self.until(lambda event: event.get("name") == state)

    @property
    def states(self) -> list[str]:
        """All states that it was in."""
        return [event["name"] for event in self.events if event["event"] == "state"]

    @property
    def texts(self) -> list[str]:
        """All texts that came."""
        return [event["d"] for event in self.events if event["event"] == "text"]


@asynccontextmanager
async def script(
    where: str, *stretched: float, environment: Mapping[str, str] = {}
) -> AsyncIterator[Script]:
    """The client under Node, at an address; `node.mjs` tells what may be stretched."""
    arguments = [CLIENT.as_uri(), where, *map(str, stretched)]
    process = await asyncio.create_subprocess_exec(
        *(NODE, SCRIPT),
        *arguments,
        env={**os.environ, **environment},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        yield Script(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def test_the_client_resumes_by_itself_and_leaves(tmp_path: Path) -> None:
    async with (
        running(COUNTING, tmp_path) as gateway,
        cutter(gateway.ports["ws"]) as cable,
        script(url("ws", cable.port)) as it,
    ):
        it.types(COUNT)
        for number in (100, 200, 300):
            await it.hears(f"Number {number}.")
            cable.cut()
            await it.comes("offline")
            it.types(f"typed at {number}")
            await cable.mend()
            await it.comes("online")
        await it.hears("Done: typed at 300.")
        assert it.texts == [
            "Ready.",
            *(f"Number {n}." for n in range(1, LAST + 1)),
            *(DONE, *(f"Done: typed at {n}." for n in (100, 200, 300))),
        ]
        assert it.process.stdin is not None
        it.process.stdin.close()
        assert (await it.comes("ended"))["reason"] == "closed by this page"
        async with asyncio.timeout(SECONDS):
            assert await it.process.wait() == 0  # nothing of it keeps Node from ending


async def test_the_package_ws(tmp_path: Path) -> None:
    """It throws errors that nobody listens to: a gateway that is away must not end the program."""
    async with (
        running(COUNTING, tmp_path) as gateway,
        cutter(gateway.ports["ws"]) as cable,
    ):
        cable.cut()
        at = url("ws", cable.port)
        async with script(at, environment={"WS_BUNDLE": str(WS_BUNDLE)}) as it:
            await it.comes("offline")
            await it.comes("offline")
            await cable.mend()
            await it.hears("Ready.")
            cable.cut()
            await it.comes("offline")
            it.types("typed meanwhile")
            await cable.mend()
            await it.hears("Done: typed meanwhile.")


BEATS: Final = """
[limits.websocket]
heartbeat_seconds_max = 2
"""


async def test_a_gateway_that_is_silent_is_left_and_found_again(tmp_path: Path) -> None:
    async with (
        running(COUNTING, tmp_path, limits=BEATS) as gateway,
        script(gateway.url("ws")) as it,
    ):
        await it.hears("Ready.")
        gateway.program.send(signal.SIGSTOP)
        assert (await it.comes("offline"))["reason"] == "the gateway is silent"
        it.types("said meanwhile")
        gateway.program.send(signal.SIGCONT)
        await it.comes("online")
        await it.hears("Done: said meanwhile.")
        assert it.texts == ["Ready.", "Done: said meanwhile."]


async def test_a_page_in_the_background_is_not_cut_off(tmp_path: Path) -> None:
    """Its timers are late, as a browser has them: what is heard meanwhile counts."""
    async with (
        running(COUNTING, tmp_path, limits=BEATS) as gateway,
        script(gateway.url("ws"), 3) as it,
    ):
        await it.hears("Ready.")
        await asyncio.sleep(13)  # two of its beats, and six of the gateway's
        it.types("in time")
        await it.hears("Done: in time.")
        assert it.states == ["connecting", "online"]


async def test_a_page_that_wakes_looks_at_once_whether_the_gateway_is_there(tmp_path: Path) -> None:
    """The machine was asleep, or the network is another: a beat would be long to wait for."""
    async with (
        running(COUNTING, tmp_path) as gateway,
        script(gateway.url("ws"), 1, 0.4) as it,
    ):
        await it.hears("Ready.")
        it.types("wake")
        await asyncio.sleep(4.5)  # longer than it waits for the gateway's answer
        it.types("here")
        await it.hears("Done: here.")
        assert it.states == ["connecting", "online"]  # somebody is there: nothing happens
        gateway.program.send(signal.SIGSTOP)
        it.types("wake")
        assert (await it.comes("offline"))["reason"] == "the gateway is silent"
        gateway.program.send(signal.SIGCONT)
        await it.comes("online")


async def test_a_code_right_and_wrong(tmp_path: Path) -> None:
    async with (
        running(COUNTING, tmp_path) as gateway,
        person_at(gateway.ports["telnet"], telnet=True) as someone,
        script(gateway.url("ws")) as it,
    ):
        await it.hears("Ready.")
        it.types("mine")
        await it.hears("Done: mine.")
        it.types("resume ABCD-2345")
        await it.until(lambda event: event["event"] == "refused")
        await it.comes("online")
        it.types("still mine")
        await it.hears("Done: still mine.")
        assert it.texts == ["Ready.", "Done: mine.", "Done: still mine."]  # no other session's
        code = await someone.shown_code()
        someone.types("theirs")
        await someone.sees("Done: theirs.")
        it.types(f"resume {code}")
        await it.hears("Done: theirs.")


async def test_the_parrot(tmp_path: Path) -> None:
    """An application in another language, which is killed and started again."""
    config = (ROOT / "examples" / "gateway.toml").read_text()
    for port in ("4000", "4001", "8080"):
        config = config.replace(f"127.0.0.1:{port}", "127.0.0.1:0")
    (tmp_path / "gateway.toml").write_text(config)
    command = (NODE, ROOT / "examples" / "parrot.mjs")
    environment = {**os.environ, "HOLDFAST_LINK": "unix:holdfast-data/link.sock"}
    async with program("serve", "gateway.toml", folder=tmp_path) as it:
        ports = await it.ports(3)
        async with person_at(ports["telnet"], telnet=True) as someone:
            for said in ("Polly", "wants a cracker"):
                process = await asyncio.create_subprocess_exec(
                    *command, cwd=tmp_path, env=environment, stdout=asyncio.subprocess.PIPE
                )
                try:
                    await it.logged("application linked", 1 + (said != "Polly"))
                    someone.types(said)
                    await someone.sees(f"You said: {said}\n")
                finally:
                    process.kill()
                    await process.wait()
                await someone.sees("The application is away.")
