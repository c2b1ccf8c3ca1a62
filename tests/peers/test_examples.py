"""What `examples/` and README.md show is run as it stands."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from textwrap import indent
from typing import Final

import pytest
from playwright.async_api import Browser
from tests.cli.process import SECONDS, run
from tests.gateway.clients import person_at
from tests.net.certificates import write_pems
from tests.peers.gateways import RunningGateway, running
from tests.programs import ROOT

EXAMPLES: Final = ROOT / "examples"
README: Final = (ROOT / "README.md").read_text()
URL: Final = "ws://127.0.0.1:8080/"


def shown(language: str, marker: str) -> str:
    """The one piece of code in the README with `marker` in it."""
    (found,) = (
        code for code in re.findall(rf"```{language}\n(.*?)```", README, re.S) if marker in code
    )
    return str(found)


@asynccontextmanager
async def python(*arguments: str | Path) -> AsyncIterator[asyncio.StreamReader]:
    """What a Python program writes, while the block runs."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-u", *arguments), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        yield process.stdout
    finally:
        process.kill()
        await process.wait()


async def says(output: asyncio.StreamReader, line: str) -> None:
    """Wait until the program has written this line."""
    async with asyncio.timeout(SECONDS):
        while (found := (await output.readline()).decode()) != f"{line}\n":
            assert found, f"it ended without {line!r}"


async def answers(gateway: RunningGateway) -> None:
    """The parrot is there."""
    async with person_at(gateway.ports["tcp"], telnet=False) as someone:
        await someone.sees("Say something.\n> ")
        someone.types("Polly")
        await someone.sees("You said: Polly\n> ")


async def test_the_parrot_and_who_watches_it(tmp_path: Path) -> None:
    async with running(EXAMPLES / "parrot.py", tmp_path) as gateway:
        await answers(gateway)
        async with python(EXAMPLES / "watch.py", gateway.url("ws"), "Hello", "you") as output:
            await says(output, "--- a new session")
            await says(output, "Say something.")
            await says(output, "You said: Hello")
            await says(output, "You said: you")


async def test_the_application_of_the_readme(tmp_path: Path) -> None:
    code = shown("python", "app.run()")
    (tmp_path / "parrot.py").write_text(code)
    async with running(tmp_path / "parrot.py", tmp_path) as gateway:
        await answers(gateway)
    example = (EXAMPLES / "parrot.py").read_text().partition("\n\n")[2]
    assert example.replace('if __name__ == "__main__":\n    ', "") == code  # one and the same


@pytest.mark.asyncio(loop_scope="session")
async def test_the_clients_of_the_readme(tmp_path: Path, browser: Browser) -> None:
    async with running(EXAMPLES / "parrot.py", tmp_path) as gateway:
        code = shown("python", "async with connect").replace(URL, gateway.url("ws"))
        head, _, body = code.partition("\n\n")
        main = f"async def main():\n{indent(body, '    ')}\n"
        (tmp_path / "client.py").write_text(
            f"import asyncio\n{head}\n{main}\nasyncio.run(main())\n"
        )
        async with python(tmp_path / "client.py") as output:
            await says(output, "You said: look")

        script = shown("js", "new Session").replace("wss://example.org/", gateway.url("ws"))
        async with await browser.new_context() as context:
            page = await context.new_page()
            page.set_default_timeout(SECONDS * 1000)
            await page.goto(f"{gateway.page}healthz")
            async with page.expect_console_message(lambda it: it.text == "You said: look"):
                await page.add_script_tag(content=script, type="module")


async def once_it_listens(socket: Path) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection to a server that is about to open this socket: nothing tells of it."""
    while True:
        try:
            return await asyncio.open_unix_connection(str(socket))
        except (FileNotFoundError, ConnectionRefusedError):
            await asyncio.sleep(0.01)


async def test_the_tcp_server_of_the_readme(tmp_path: Path) -> None:
    socket = tmp_path / "echo.sock"
    code = shown("python", "serve_forever").replace("tcp://127.0.0.1:7000", f"unix:{socket}")
    (tmp_path / "echo.py").write_text(code)
    async with python(tmp_path / "echo.py"):
        async with asyncio.timeout(SECONDS):
            reader, writer = await once_it_listens(socket)
            writer.write(b"hello")
            assert await reader.readexactly(5) == b"hello"
            writer.close()


async def test_configurations(tmp_path: Path) -> None:
    assert (await run("check", EXAMPLES / "gateway.toml", folder=tmp_path))[0] == 0
    certificate = write_pems(tmp_path).certificate
    config = shown("toml", "certificate = ")
    for path, real in (("cert.pem", certificate.cert), ("key.pem", certificate.key)):
        config = config.replace(f"/etc/holdfast/{path}", str(real))
    for text in (config, shown("toml", "[[upstream]]")):
        (tmp_path / "gateway.toml").write_text(text)
        assert (await run("check", "gateway.toml", folder=tmp_path))[0] == 0


def test_nothing_is_forgotten() -> None:
    tested = {"gateway.toml", "parrot.mjs", "parrot.py", "watch.py"}
    elsewhere = {"parrot.vtc", "ssh.toml", "talker.py", "webs_demo.py"}  # by tests of their own
    assert {path.name for path in EXAMPLES.iterdir() if path.is_file()} == tested | elsewhere
    assert len(re.findall(r"^```(?!sh)\w", README, re.M)) == 6


def test_every_command_of_the_readme_exists() -> None:
    verbs = set(re.findall(r"\./dev (\w+)", README))
    dev = (ROOT / "dev").read_text()
    assert {verb for verb in verbs if f"\n{verb})\n" not in dev} - {"help"} == set()
    assert os.access(ROOT / "dev", os.X_OK)
