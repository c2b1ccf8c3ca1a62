"""A proxy that keeps connections to its servers ready: a client need not wait for one.

    python examples/tcp/pool.py tcp://127.0.0.1:7003 tcp://127.0.0.1:8001 tcp://127.0.0.1:8002

At most 100 connections are open to each server.
"""

from __future__ import annotations

import asyncio
import sys

from holdfast.tcp import Upstream, UpstreamLimits, serve_forever

LIMITS = UpstreamLimits(connections_max=100, ready_seconds_max=30.0)


async def main(url: str, *servers: str) -> None:
    async with Upstream(*servers, ready=4, limits=LIMITS) as upstream:
        await serve_forever(upstream.proxy, url, started=lambda at: print(*at, flush=True))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
