"""The epoll set of a loop ends with the loop, whatever cycles hold what used it."""

from __future__ import annotations

import asyncio
import gc
import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from holdfast.net.runtime.loop import new_event_loop
from holdfast.net.transport.transports import COMPILED, Sockets


def sets() -> int:
    """The epoll sets of this process."""
    count = 0
    for file in Path("/proc/self/fd").iterdir():
        try:
            count += "eventpoll" in os.readlink(file)
        except FileNotFoundError:  # it was that of the listing
            continue
    return count


class Ending(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.close()


async def use_a_socket() -> None:
    sockets = Sockets(asyncio.get_running_loop())
    cycle: list[object] = [sockets]
    cycle.append(cycle)
    near, far = socket.socketpair()
    sockets.adopt(Ending(), near)
    with far:
        await asyncio.get_running_loop().sock_recv(_non_blocking(far), 1)


def _non_blocking(sock: socket.socket) -> socket.socket:
    sock.setblocking(False)
    return sock


@pytest.mark.skipif(not COMPILED, reason="the loop's own sockets are in its own set")
@pytest.mark.parametrize("make", [new_event_loop, asyncio.new_event_loop], ids=["ours", "asyncio"])
def test_loops_that_ended_leave_no_set_behind(
    make: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    before = sets()
    gc.disable()
    try:
        for _ in range(10):
            with asyncio.Runner(loop_factory=make) as runner:
                runner.run(use_a_socket())
        assert sets() <= before + 1  # the last one's is closed when the next one is made
    finally:
        gc.enable()
