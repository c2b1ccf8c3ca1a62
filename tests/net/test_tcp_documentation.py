"""The examples of docs/tcp.md, run as they stand; only the port is another."""

from __future__ import annotations

import asyncio
import contextlib
import re
import signal
import ssl
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import NamedTuple

import pytest
from tests.net.certificates import AUTHORITY, PASSPHRASE, issue, locked
from tests.net.helpers import Caller, call, patience
from tests.ports import free_port

from holdfast.net.addresses import Address

PAGE = Path(__file__).parents[2] / "docs" / "tcp.md"
EXAMPLES = dict(re.findall(r"^## (.*?)$.*?^```python\n(.*?)^```$", PAGE.read_text(), re.M | re.S))


class Running(NamedTuple):
    """An example that serves."""

    address: Address
    process: asyncio.subprocess.Process

    async def line(self) -> str:
        """The next line that it prints."""
        assert self.process.stdout is not None
        async with patience():
            return (await self.process.stdout.readline()).decode().strip()


@contextlib.asynccontextmanager
async def example(title: str, folder: Path) -> AsyncIterator[Running]:
    """Run an example while the block runs, once it listens; it must end well."""
    ports = {written: free_port() for written in ("7000", "7001", "7002")}
    port = ports["7000"]
    program = folder / "example.py"
    # In one pass: a free port may look like another of the page's.
    program.write_text(re.sub("700[0-2]", lambda it: str(ports[it[0]]), EXAMPLES[title]))
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(program), cwd=folder, stdout=asyncio.subprocess.PIPE
    )
    address = Address("tcp", "127.0.0.1", port, "")
    try:
        async with patience():
            while process.returncode is None:
                with contextlib.suppress(OSError):
                    reader, writer = await asyncio.open_connection("127.0.0.1", port)
                    writer.write_eof()
                    with contextlib.suppress(ConnectionError):
                        await reader.read()  # until the server has let go of it
                    writer.close()
                    break
                await asyncio.sleep(0.02)
        yield Running(address, process)
        process.send_signal(signal.SIGTERM)
        async with patience():
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def echoes(caller: Caller) -> None:
    await caller.write(b"hello")
    assert await caller.read(5) == b"hello"


async def an_echo(running: Running) -> None:
    async with call(running.address) as caller:
        await echoes(caller)


async def reading(running: Running) -> None:
    async with call(running.address) as caller:
        await caller.write(b"11\none two six5\nthree")
        assert await caller.read(4) == b"2\n0\n"
        await caller.write(b"nonsense\n")
        assert await caller.read_all() == b"expected a length\n"


async def behind(running: Running) -> None:
    async with call(running.address) as caller:
        await caller.write(b"PROXY TCP4 192.0.2.7 192.0.2.8 1234 80\r\n")
        assert await caller.read_all() == b"hello, 192.0.2.7:1234\n"


async def limited(running: Running) -> None:
    async with call(running.address) as first, call(running.address) as second:
        await echoes(first)
        await echoes(second)
        async with call(running.address) as third:
            await third.dropped()


async def observed(running: Running) -> None:
    assert await running.line() == "opened 1"  # the look at the port
    assert await running.line() == "closed 1 0 0"
    async with call(running.address) as caller:
        await echoes(caller)
        assert await running.line() == "opened 2"
    assert await running.line() == "closed 2 5 5"


async def passed_on(running: Running) -> None:
    async with call(running.address) as caller:
        assert await caller.read_all() == b"no server is there\n"


async def shared(running: Running) -> None:
    assert await running.line() == "two workers"
    await an_echo(running)


VISITS: dict[str, Callable[[Running], Awaitable[None]]] = {
    "A server": an_echo,
    "Reading": reading,
    "Behind a load balancer": behind,
    "Servers behind you": passed_on,
    "Limits": limited,
    "Observing connections": observed,
    "Without coroutines": an_echo,
    "More cores": shared,
}


@pytest.mark.parametrize("title", VISITS)
async def test_an_example_does_what_the_page_says(title: str, tmp_path: Path) -> None:
    async with example(title, tmp_path) as running:
        await VISITS[title](running)


async def test_the_example_of_tls(tmp_path: Path) -> None:
    issue(tmp_path, "a.example", name="a")
    issue(tmp_path, "b.example", name="b")
    key = tmp_path / "b.key"
    key.write_text(locked(key.read_text()))
    (tmp_path / "b.secret").write_text(PASSPHRASE)
    (tmp_path / "clients.pem").write_text(AUTHORITY)
    client = issue(tmp_path, "anna@example.org", name="anna", common_name="anna")
    context = ssl.create_default_context(cadata=AUTHORITY)
    async with example("TLS", tmp_path) as running:
        async with call(running.address, ssl=context, server_hostname="b.example") as caller:
            assert await caller.read_all() == b"TLSv1.3 nobody\n"
        context.load_cert_chain(client.cert, client.key)
        async with call(running.address, ssl=context, server_hostname="a.example") as caller:
            assert b"CN=anna" in await caller.read_all()


def test_every_example_of_the_page_is_run() -> None:
    assert set(EXAMPLES) == {*VISITS, "TLS"}
    assert PAGE.read_text().count("```python") == len(EXAMPLES)
