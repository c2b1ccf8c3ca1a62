"""How much memory a connected client takes. `./dev bench memory` has the whole process."""

from __future__ import annotations

import gc
import tracemalloc
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

from tests.gateway.clients import v1
from tests.gateway.running import WS, configured, serving

from holdfast.gateway.gateway import Gateway
from holdfast.net.runtime import timers

CLIENTS: Final = 50
BYTES_MAX: Final = 3_700
"""For one client and its session, in objects that Holdfast makes. It was 3,450."""


async def connect(stack: AsyncExitStack, gateway: Gateway, count: int) -> None:
    """Connect so many clients, each with a session of its own."""
    for _ in range(count):
        client = await stack.enter_async_context(v1(gateway))
        await client.expect("welcome")


def taken() -> int:
    """How much the objects take that Holdfast has made, in bytes.

    Those of the timers depend on how many deadlines share a slot, so on the machine's speed.
    """
    gc.collect()
    ours = tracemalloc.Filter(inclusive=True, filename_pattern="*/holdfast/*")
    slots = tracemalloc.Filter(inclusive=False, filename_pattern=timers.__file__)
    return sum(it.size for it in tracemalloc.take_snapshot().filter_traces([ours, slots]).traces)


async def test_a_client_and_its_session_take_little_memory(tmp_path: Path) -> None:
    config = configured(tmp_path, (WS,), backend="echo", durability="memory")
    async with serving(config) as gateway, AsyncExitStack() as stack:
        await connect(stack, gateway, 5)  # what all clients share is made
        tracemalloc.start()
        try:
            before = taken()
            await connect(stack, gateway, CLIENTS)
            each = (taken() - before) / CLIENTS
        finally:
            tracemalloc.stop()
        assert each < BYTES_MAX
