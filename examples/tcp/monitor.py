"""An echo server that is watched: who connects to the second address is told of each event.

    python examples/tcp/monitor.py tcp://127.0.0.1:7004 tcp://127.0.0.1:7005

A line for each connection that comes, goes or fails; a metrics system can scrape the counters
instead (`holdfast.tcp.metrics`).
"""

from __future__ import annotations

import asyncio
import sys

from holdfast.tcp import Connection, Observer, Stream, serve


class Feed(Observer):
    """Tells each monitor what happens. One that does not read misses lines."""

    def __init__(self) -> None:
        self.monitors: set[Stream] = set()

    def opened(self, connection: Connection) -> None:
        self._tell(f"opened {connection.id} {connection.peer}")

    def closed(self, connection: Connection) -> None:
        self._tell(f"closed {connection.id} {connection.bytes_in} {connection.bytes_out}")

    def failed(self, peer: str, error: Exception) -> None:
        self._tell(f"failed {peer} {error}")

    async def monitor(self, stream: Stream) -> None:
        self.monitors.add(stream)
        try:
            await stream.write(b"watching\n")
            async for _ in stream:  # until it leaves
                pass
        finally:
            self.monitors.discard(stream)

    def _tell(self, line: str) -> None:
        for stream in self.monitors:
            if not stream.connection.full:
                stream.connection.write(f"{line}\n".encode())


async def echo(stream: Stream) -> None:
    async for data in stream:
        await stream.write(data)


async def main(url: str, monitors_url: str) -> None:
    feed = Feed()
    async with (
        serve(echo, url, observer=feed) as server,
        serve(feed.monitor, monitors_url) as monitors,
    ):
        print(*server.addresses, *monitors.addresses, flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
