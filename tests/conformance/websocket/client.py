"""The client that Autobahn's server tests: `python -m … URL AGENT`. It says back what it hears."""

from __future__ import annotations

import contextlib
import sys

from holdfast.core.limits import MIB, Limits
from holdfast.net.runtime.loop import run
from holdfast.protocols.websocket import DeflateSettings
from holdfast.websocket import ConnectionClosed, connect

LIMITS = Limits().but(
    websocket={
        "fragments_max": 1_000_000,
        "frame_bytes_max": 16 * MIB,
        "message_bytes_max": 16 * MIB,
        "pings_max": 1_000,
    }
)
COMPRESSION = DeflateSettings(server_max_window_bits=15, client_max_window_bits=15)


async def ask(url: str) -> str:
    """The one message that the suite's server says at `url`."""
    async with connect(url, limits=LIMITS) as ws:
        return str(await ws.recv())


async def run_case(url: str) -> None:
    """One case: whatever happens, the suite judges it."""
    with contextlib.suppress(ConnectionClosed):
        async with connect(url, limits=LIMITS, compression=COMPRESSION) as ws:
            async for message in ws:
                await ws.send(message)


async def main(url: str, agent: str) -> None:
    """All cases, in order."""
    count = int(await ask(f"{url}/getCaseCount"))
    for case in range(1, count + 1):
        await run_case(f"{url}/runCase?case={case}&agent={agent}")
    async with connect(f"{url}/updateReports?agent={agent}", limits=LIMITS) as ws:
        with contextlib.suppress(ConnectionClosed):
            await ws.recv()


if __name__ == "__main__":
    run(main(sys.argv[1], sys.argv[2]))
