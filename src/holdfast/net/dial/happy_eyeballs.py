"""Happy eyeballs (RFC 8305): of a name's addresses, the first that answers.

The families take turns, the resolver's favourite first; each address gets a
head start over the next. The event loop that we run on has no such thing.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Sequence
from itertools import chain, zip_longest
from typing import Any, Final

from holdfast.net.transport.transports import keep_urgent_data_in_place

HEAD_START_SECONDS: Final = 0.25
"""The "Connection Attempt Delay" of RFC 8305 section 5."""

Found = tuple[Any, Any, int, str, Any]
"""One answer of `getaddrinfo`."""


async def connect_first(loop: asyncio.AbstractEventLoop, host: str, port: int) -> socket.socket:
    """A socket connected to `host`. Raises the `OSError` of the first address that failed."""
    found: Sequence[Found] = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = in_turns(found)
    if len(addresses) == 1:
        return await connect(loop, addresses[0])
    return await _Attempts(loop).run(addresses)


def in_turns(found: Sequence[Found]) -> list[Found]:
    """The addresses with their families taking turns (RFC 8305 section 4)."""
    families: dict[int, list[Found]] = {}
    for one in found:
        families.setdefault(one[0], []).append(one)
    turns = chain.from_iterable(zip_longest(*families.values()))
    return [one for one in turns if one is not None]


class _Attempts:
    """One race. It ends with the first that is connected, or with the last failure."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._winner: socket.socket | None = None
        self._failures: list[OSError] = []
        self._runners: list[asyncio.Task[None]] = []
        self._changed = asyncio.Event()

    async def run(self, addresses: Sequence[Found]) -> socket.socket:
        try:
            async with asyncio.TaskGroup() as tasks:
                for address in addresses:
                    self._changed.clear()
                    self._runners.append(tasks.create_task(self._attempt(address)))
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(HEAD_START_SECONDS):
                            await self._changed.wait()
                    if self._winner is not None:
                        break
        except BaseException:
            if self._winner is not None:
                self._winner.close()
            raise
        if self._winner is None:
            raise self._failures[0]
        return self._winner

    async def _attempt(self, address: Found) -> None:
        try:
            sock = await connect(self._loop, address)
        except OSError as error:
            self._failures.append(error)
        else:
            if self._winner is not None:
                sock.close()
            else:
                self._winner = sock
                for runner in self._runners:
                    if runner is not asyncio.current_task():
                        runner.cancel()
        self._changed.set()


async def connect(loop: asyncio.AbstractEventLoop, address: Found) -> socket.socket:
    """A socket connected to one address. Raises `OSError`."""
    family, kind, protocol, _, where = address
    sock = socket.socket(family, kind, protocol)
    try:
        sock.setblocking(False)
        keep_urgent_data_in_place(sock)
        await loop.sock_connect(sock, where)
    except BaseException:
        sock.close()
        raise
    return sock
