"""A server as a service: signals, and notifications of the service manager.

SIGTERM and SIGINT stop in order, a second one at once; SIGHUP reads certificates again, or stops
where a terminal sends it.
"""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from holdfast.net.server.inherited import notify
from holdfast.net.server.server import Server

_STOP: Final = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def signals(stop: Callable[[], None], reload: Callable[[], None] | None) -> Iterator[None]:
    """Call `stop` and `reload` when the process is asked to, inside a running event loop.

    Without `reload`, SIGHUP stops: it is the end of the terminal.
    """
    loop = asyncio.get_running_loop()

    def on_stop() -> None:
        notify("STOPPING=1")
        stop()

    def on_hangup() -> None:
        if reload is None:
            on_stop()
            return
        # sd_notify(3): with Type=notify-reload, systemd matches the two by the time.
        notify("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")
        reload()
        notify("READY=1")

    for number in _STOP:
        loop.add_signal_handler(number, on_stop)
    loop.add_signal_handler(signal.SIGHUP, on_hangup)
    try:
        yield
    finally:
        for number in (*_STOP, signal.SIGHUP):
            loop.remove_signal_handler(number)


async def serve_until_stopped(
    server: Server, drain_seconds: float, started: Callable[[], None] = lambda: None
) -> None:
    """Run a server that listens until a signal; then drain it, or close it at a second one.

    `started` is called when a signal would do no harm any more.
    """
    stopping, hurried = asyncio.Event(), asyncio.Event()

    def stop() -> None:
        if stopping.is_set():
            hurried.set()
        stopping.set()

    async def close_when_hurried() -> None:
        await hurried.wait()
        await server.close()

    with signals(stop, server.reload):
        started()
        notify("READY=1")
        await stopping.wait()
        async with asyncio.TaskGroup() as tasks:
            closing = tasks.create_task(close_when_hurried())
            await server.drain(drain_seconds)
            closing.cancel()
