"""The examples of `holdfast.tcp`, as programs of their own."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.net.certificates import AUTHORITY, issue, write_pems
from tests.net.helpers import Caller, call, patience

from holdfast.net.addresses import Address, parse_address
from holdfast.tcp import LengthPrefixed, Stream, serve

EXAMPLES = Path(__file__).parents[2] / "examples" / "tcp"
ANYWHERE = "tcp://127.0.0.1:0"


@contextlib.asynccontextmanager
async def running(name: str, *arguments: str) -> AsyncIterator[list[Address]]:
    """Run an example; it prints where it listens."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(EXAMPLES / name), *arguments, stdout=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        async with patience():
            line = await process.stdout.readline()
        yield [parse_address(url) for url in line.decode().split()]
    finally:
        process.terminate()
        await process.wait()


@contextlib.asynccontextmanager
async def named(*names: str) -> AsyncIterator[list[str]]:
    """Servers that say their name, then echo. Their URLs."""
    async with contextlib.AsyncExitStack() as stack:
        urls = []
        for name in names:

            async def answer(stream: Stream, name: str = name) -> None:
                await stream.write(name.encode())
                async for data in stream:
                    await stream.write(data)

            server = await stack.enter_async_context(serve(answer, ANYWHERE))
            urls.append(str(server.addresses[0]))
        yield urls


async def line(caller: Caller) -> str:
    async with patience():
        return (await caller.reader.readline()).decode().rstrip()


async def test_devices_report_in_a_protocol_of_their_own() -> None:
    async with running("devices.py", ANYWHERE) as (address,), call(address) as caller:
        framing = LengthPrefixed(1_000)
        for report, answer in (
            (b"boiler 41.5", b"ok 1"),
            (b"boiler 42", b"ok 2"),
            (b"boiler", b"error expected NAME VALUE, found b'boiler'"),
        ):
            await caller.write(framing.encode(report))
            expected = framing.encode(answer)
            assert await caller.read(len(expected)) == expected
        await caller.write(b"\xff\xff\xff\xff")
        await caller.dropped()


async def test_a_gateway_takes_clients_with_a_certificate_and_no_others(tmp_path: Path) -> None:
    pems = write_pems(tmp_path)
    client = issue(tmp_path, "anna@example.org", name="anna")
    authority = tmp_path / "clients.pem"
    authority.write_text(AUTHORITY)
    context = ssl.create_default_context(cafile=str(authority))
    stranger = ssl.create_default_context(cafile=str(authority))
    context.load_cert_chain(client.cert, client.key)
    async with named("hello") as urls:
        arguments = (pems.certificate.cert, pems.certificate.key, str(authority), *urls)
        async with running("gateway.py", "tls://127.0.0.1:0", *arguments) as (address,):
            async with call(address, ssl=context, server_hostname="localhost") as caller:
                assert await caller.read(5) == b"hello"
                await caller.write(b"through")
                assert await caller.read(7) == b"through"

            async def without_one() -> None:
                async with call(address, ssl=stranger, server_hostname="localhost") as caller:
                    await caller.read(1)

            with pytest.raises((ssl.SSLError, ConnectionError, EOFError)):
                await without_one()


async def test_a_proxy_uses_its_servers_in_turn() -> None:
    async with named("a", "b") as urls, running("pool.py", ANYWHERE, *urls) as (address,):
        found = []
        for _ in range(4):
            async with call(address) as caller:
                found.append(await caller.read(1))
                await caller.write(b"x")
                assert await caller.read(1) == b"x"
        assert set(found) == {b"a", b"b"}


async def test_a_monitor_is_told_who_comes_and_goes() -> None:
    async with (
        running("monitor.py", ANYWHERE, ANYWHERE) as (address, monitors),
        call(monitors) as monitor,
    ):
        assert await line(monitor) == "watching"
        async with call(address) as caller:
            assert (await line(monitor)).startswith("opened 1 127.0.0.1:")
            await caller.write(b"hello")
            assert await caller.read(5) == b"hello"
        assert await line(monitor) == "closed 1 5 5"


async def test_messages_in_frames_reach_the_others() -> None:
    async with (
        running("messages.py", ANYWHERE) as (address,),
        call(address) as first,
        call(address) as second,
    ):
        for caller in (first, second):
            await caller.write(b"\x02\x01p")
            assert await caller.read(3) == b"\x03\x01p"
        await first.write(b"\x01\x05hello")
        assert await second.read(7) == b"\x01\x05hello"
        await second.write(b"\x09\x00")
        await second.dropped()
        await first.write(b"\x02\x00")
        assert await first.read(2) == b"\x03\x00"
