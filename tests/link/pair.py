"""Two peers on a Unix socket, or one and a caller who writes its frames by hand."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

import msgspec
from tests.net.helpers import Caller, call, patience

from holdfast.core.limits import LinkLimits
from holdfast.link.codec import FrameDecoder
from holdfast.link.messages import GOODBYE, Goodbye, Message, Notification
from holdfast.link.peer import Dispatch, Peer, connection_limits
from holdfast.net.addresses import Address, parse_address
from holdfast.net.connection.connection import Connection
from holdfast.net.dial.dial import dial
from holdfast.net.runtime.runtime import Runtime
from holdfast.net.server.server import Server

Methods = dict[str, tuple[Any, Callable[[Any], Any]]]


class Side:
    """The owner of one peer."""

    def __init__(
        self, tasks: asyncio.TaskGroup, limits: LinkLimits, methods: Methods | None = None
    ) -> None:
        self.peer: Peer
        self.reasons: list[str] = []
        self.spawned = 0
        self.limits = limits
        self.methods: Methods = methods or {}
        self.established = True
        self._tasks = tasks
        self._changed = asyncio.Event()

    def handler(self, connection: Connection) -> Peer:
        return Peer(connection, self, self.limits)

    def linked(self, peer: Peer) -> None:
        self.peer = peer
        peer.dispatch = Dispatch(self.methods)
        if self.established:
            peer.established()
        self._changed.set()

    def unlinked(self, peer: Peer, reason: str) -> None:
        assert peer is self.peer
        self.reasons.append(reason)
        self._changed.set()

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        self._tasks.create_task(work)
        self.spawned += 1
        self._changed.set()

    async def until(self, condition: Callable[[Side], object]) -> None:
        async with patience():
            while not condition(self):
                self._changed.clear()
                await self._changed.wait()

    async def until_unlinked(self) -> str:
        """Wait for the end of the link. Returns its reason, which was told once."""
        await self.until(lambda side: side.reasons)
        (reason,) = self.reasons
        return reason


@contextlib.asynccontextmanager
async def served(tmp_path: Path, side: Side) -> AsyncIterator[tuple[Server, Address]]:
    """A link's server, whose peers are `side`'s."""
    runtime = Runtime(asyncio.get_running_loop())
    runtime.timers.start()
    server = Server(connection_limits(side.limits), runtime)
    server.start()
    try:
        yield server, await server.listen(parse_address(f"unix:{tmp_path / 'link'}"), side.handler)
    finally:
        await server.close()
        runtime.timers.stop()


@contextlib.asynccontextmanager
async def pair(
    tmp_path: Path,
    limits: LinkLimits | None = None,
    theirs: Methods | None = None,
    ours: Methods | None = None,
) -> AsyncIterator[tuple[Side, Side]]:
    """Two linked sides: ours, which dialled, and theirs, which accepted."""
    limits = limits or LinkLimits()
    async with asyncio.TaskGroup() as tasks:
        our, their = Side(tasks, limits, ours), Side(tasks, limits, theirs)
        async with served(tmp_path, their) as (server, address):
            await dial(
                address,
                our.handler,
                clockwork=server.runtime,
                limits=connection_limits(limits),
            )
            await their.until(lambda side: hasattr(side, "peer"))
            yield our, their
            our.peer._connection.abort()
            await our.until_unlinked()
            await their.until_unlinked()


class Raw:
    """A caller that writes its frames by hand, and reads what is answered."""

    def __init__(self, caller: Caller) -> None:
        self.caller = caller
        self._decoder = FrameDecoder(1 << 24)
        self._heard: list[Message] = []

    async def say(self, frame: bytes) -> None:
        await self.caller.write(frame)

    async def hear(self) -> Message:
        """The next message."""
        async with patience():
            while not self._heard:
                data = await self.caller.reader.read(1 << 16)
                assert data, "the link has ended"
                self._heard += self._decoder.receive_data(data)
        return self._heard.pop(0)

    async def hear_goodbye(self) -> str:
        """The reason with which the other end closes the link, as it then does."""
        message = await self.hear()
        assert isinstance(message, Notification)
        assert message.method == GOODBYE
        assert self._heard == []
        assert await self.caller.read_all() == b""
        return msgspec.msgpack.decode(message.params, type=Goodbye).reason


@contextlib.asynccontextmanager
async def raw(
    tmp_path: Path, limits: LinkLimits | None = None, methods: Methods | None = None
) -> AsyncIterator[tuple[Raw, Side]]:
    """A caller, and the side that it is linked with."""
    async with asyncio.TaskGroup() as tasks:
        side = Side(tasks, limits or LinkLimits(), methods)
        async with served(tmp_path, side) as (_, address), call(address) as caller:
            await side.until(lambda side: hasattr(side, "peer"))
            yield Raw(caller), side
