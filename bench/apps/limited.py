"""An echo that admits little of one address, for the flood: limited.py PORT.

At SIGUSR1 it writes a line of JSON: how many it has accepted and refused so far.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys

from holdfast.core.limits import ConnectionLimits
from holdfast.net.connection.stream import Stream, serve
from holdfast.net.log import configure_logs
from holdfast.net.runtime.loop import run

LIMITS = ConnectionLimits(accepts_per_address_per_second_max=100, accept_burst_per_address_max=200)


async def echo(stream: Stream) -> None:
    async for data in stream:
        await stream.write(data)


async def main() -> None:
    async with serve(echo, f"tcp://127.0.0.1:{sys.argv[1]}", limits=LIMITS) as server:

        def tell() -> None:
            print(json.dumps({"accepted": server.accepted, "refused": server.refused}), flush=True)

        asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, tell)
        await asyncio.Event().wait()


configure_logs("info")
run(main())
