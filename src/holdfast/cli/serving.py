"""Running a gateway in this process: signals, and what is said when it is up."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable

from holdfast.gateway.config import Config
from holdfast.gateway.gateway import Gateway
from holdfast.net.loop import calm_collector


async def serve_gateway(config: Config, started: Callable[[Gateway], None]) -> None:
    """Serve until SIGINT or SIGTERM, which drains; a second one ends at once."""
    gateway = Gateway(config)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, gateway.stop)

    def on_start() -> None:
        started(gateway)
        calm_collector()

    await gateway.run(on_start)
