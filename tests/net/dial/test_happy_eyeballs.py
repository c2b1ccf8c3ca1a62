from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator

import pytest
from tests.net.helpers import patience

from holdfast.net.dial import happy_eyeballs as race
from holdfast.net.dial.happy_eyeballs import Found, connect_first, in_turns

V4, V6 = socket.AF_INET, socket.AF_INET6


def found(family: int, name: str) -> Found:
    return (family, socket.SOCK_STREAM, 6, "", name)


ORDERS = {
    "one-family": ([V4, V4], [0, 1]),
    "turns": ([V6, V6, V6, V4, V4], [0, 3, 1, 4, 2]),
    "the-resolver's-favourite-first": ([V4, V6, V6], [0, 1, 2]),
    "none": ([], []),
}


@pytest.mark.parametrize(("families", "order"), ORDERS.values(), ids=ORDERS)
def test_families_take_turns(families: list[int], order: list[int]) -> None:
    all_ = [found(family, str(number)) for number, family in enumerate(families)]
    assert [int(one[4]) for one in in_turns(all_)] == order


@contextlib.contextmanager
def deaf() -> Iterator[tuple[str, int]]:
    """An address that answers no connection: its queue is full."""
    with socket.socket() as sock, contextlib.ExitStack() as callers:
        sock.bind(("127.0.0.3", 0))
        sock.listen(0)
        for _ in range(4):
            caller = callers.enter_context(socket.socket())
            caller.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                caller.connect(sock.getsockname())
        yield sock.getsockname()


class Resolver:
    """An event loop that resolves every name to these addresses."""

    def __init__(self, *addresses: tuple[str, int]) -> None:
        self._loop = asyncio.get_running_loop()
        self._addresses = addresses

    async def getaddrinfo(self, *_: object, **__: object) -> list[Found]:
        return [(V4, socket.SOCK_STREAM, 6, "", where) for where in self._addresses]

    async def sock_connect(self, sock: socket.socket, where: tuple[str, int]) -> None:
        await self._loop.sock_connect(sock, where)


async def connect(*addresses: tuple[str, int]) -> tuple[str, int]:
    """Race to these; the address of the winner."""
    async with patience():
        sock = await connect_first(Resolver(*addresses), "name", 0)  # type: ignore[arg-type]
    with sock:
        peer: tuple[str, int] = sock.getpeername()
        return peer


@contextlib.contextmanager
def listening() -> Iterator[tuple[str, int]]:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        yield sock.getsockname()


def closed() -> tuple[str, int]:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        address: tuple[str, int] = sock.getsockname()
        return address


async def test_the_first_address_has_a_head_start() -> None:
    with listening() as first, listening() as second:
        assert await connect(first, second) == first


async def test_an_address_that_refuses_costs_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(race, "HEAD_START_SECONDS", 3600.0)
    with listening() as good:
        assert await connect(closed(), closed(), good) == good


async def test_an_address_that_is_silent_costs_its_head_start(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(race, "HEAD_START_SECONDS", 0.01)
    with deaf() as silent, listening() as good:
        assert await connect(silent, good) == good


async def test_when_all_refuse_the_first_cause_is_told() -> None:
    with pytest.raises(ConnectionRefusedError):
        await connect(closed(), closed())


async def test_cancelling_leaves_no_socket_open(monkeypatch: pytest.MonkeyPatch) -> None:
    """At whatever step: an open one would be a ResourceWarning."""
    monkeypatch.setattr(race, "HEAD_START_SECONDS", 0.001)
    with deaf() as silent, listening() as good:
        for step in range(12):
            async with asyncio.TaskGroup() as tasks:
                racing = tasks.create_task(connect(silent, good))
                for _ in range(step):
                    await asyncio.sleep(0)
                racing.cancel()
