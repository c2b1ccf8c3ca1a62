"""Output that clients do not read: what all of them together can keep here is limited."""

from __future__ import annotations

import contextlib
import socket

from tests.net.certificates import contexts
from tests.net.helpers import Caller, call, serving, until

from holdfast.core.errors import Reason
from holdfast.core.limits import KIB, MIB
from holdfast.net.runtime.room import UNCOUNTED_BYTES, Room

SIZE = 16 * MIB
"""The kernel takes less than a third of it."""


async def test_too_much_unsent_output_ends_the_connection_with_most() -> None:
    room = Room(52 * MIB, "output is unsent")
    async with serving() as served, contextlib.AsyncExitStack() as stack:
        served.server.output_room = room
        address = await served.listen("tcp://127.0.0.1:0")

        async def client(number: int, size: int, source: str = "127.0.0.1") -> Caller:
            caller = await stack.enter_async_context(call(address, local_addr=(source, 0)))
            (await served.stand(number)).connection.send(bytes(size))
            return caller

        some = await client(0, SIZE)
        await client(1, 30 * MIB)
        # No connection has so much, but there is a network with more.
        much = await client(2, 2 * SIZE, "127.0.0.2")
        evicted = await served.stand(1)
        await evicted.until(lambda stand: "lost" in stand.calls)
        assert evicted.reasons == [Reason.SLOW_CONSUMER]
        assert room.closed == 1

        # The others get all of it, and nothing is counted then.
        await some.read(SIZE)
        await much.read(2 * SIZE)
        for number in (0, 2):
            stand = await served.stand(number)
            await stand.until(lambda stand: not stand.connection.full)
            assert stand.reasons == []
        assert room.used == 0


async def test_unsent_output_through_tls_is_counted_and_released() -> None:
    room = Room(4 * SIZE, "output is unsent")
    server_side, client_side = contexts()
    async with serving() as served:
        served.server.output_room = room
        address = await served.listen("tls://localhost:0", server_side)
        async with call(address, ssl=client_side) as caller:
            stand = await served.stand()
            stand.connection.send(bytes(SIZE))
            assert room.used > SIZE // 2
            caller.reset()
            await stand.until(lambda stand: "lost" in stand.calls)
        assert room.used == 0


async def test_buffers_that_are_not_full_are_limited_together() -> None:
    room, count = Room(MIB, "output is unsent"), 24
    async with serving() as served, contextlib.AsyncExitStack() as stack:
        served.server.output_room = room
        address = await served.listen("tcp://127.0.0.1:0")
        for number in range(count):
            sock = stack.enter_context(socket.create_connection(("127.0.0.1", address.port)))
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 * KIB)
            connection = (await served.stand(number)).connection
            connection.extra("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 * KIB)
            while connection.unsent < 56 * KIB:
                connection.send(bytes(4 * KIB))
            assert not connection.full
        await until(lambda: room.closed == sum("lost" in stand.calls for stand in served.stands))
        assert room.closed > 0
        kept = sum(stand.connection.unsent for stand in served.stands)
        assert kept <= MIB + count * UNCOUNTED_BYTES
