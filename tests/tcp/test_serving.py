"""A server within a program's own event loop."""

from __future__ import annotations

import asyncio

import pytest
from tests.net.helpers import patience

from holdfast.tcp import Stream, serve


async def test_a_server_is_cancelled_with_the_task_that_serves() -> None:
    """Its address is free then, and its connections are gone."""
    begun: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def echo(stream: Stream) -> None:
        async for data in stream:
            await stream.write(data)

    async def program() -> None:
        async with serve(echo, "tcp://127.0.0.1:0", drain_seconds=0) as server:
            begun.set_result(str(server.addresses[0]))
            await asyncio.Event().wait()

    async with patience(), asyncio.TaskGroup() as tasks:
        task = tasks.create_task(program())
        host, _, port = (await begun).removeprefix("tcp://").rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"hello")
        assert await reader.readexactly(5) == b"hello"
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(host, int(port))
        writer.close()
