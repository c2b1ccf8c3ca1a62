"""Signals of a service: what each does while it serves, and that nothing is left behind."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable

import pytest
import structlog
from tests.net.helpers import call, patience, until

from holdfast.net.addresses import Address
from holdfast.net.connection.stream import Stream, serve_forever
from holdfast.net.server import service
from holdfast.net.server.service import serve_until_stopped, signals

NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the service manager is told."""
    found: list[str] = []
    monkeypatch.setattr(service, "notify", lambda *words: found.extend(words))
    return found


async def signalled(number: signal.Signals, done: Callable[[], bool]) -> None:
    os.kill(os.getpid(), number)
    await until(done)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_to_stop_is_told(told: list[str], number: signal.Signals) -> None:
    calls: list[str] = []
    with signals(lambda: calls.append("stop"), lambda: calls.append("reload")):
        await signalled(number, lambda: bool(calls))
    assert calls == ["stop"]
    assert told == ["STOPPING=1"]


async def test_a_signal_to_reload_is_told_with_the_time(told: list[str]) -> None:
    calls: list[str] = []
    before = asyncio.get_running_loop().time()
    with signals(lambda: calls.append("stop"), lambda: calls.append("reload")):
        await signalled(signal.SIGHUP, lambda: "READY=1" in told)
    assert calls == ["reload"]
    reloading, at, ready = told
    assert (reloading, ready) == ("RELOADING=1", "READY=1")
    name, _, microseconds = at.partition("=")
    assert name == "MONOTONIC_USEC"
    assert before - 1 < int(microseconds) / 1e6 < asyncio.get_running_loop().time() + 1


async def test_no_handler_is_left_behind(told: list[str]) -> None:
    loop = asyncio.get_running_loop()
    with signals(lambda: None, lambda: None):
        pass
    assert [loop.remove_signal_handler(number) for number in NUMBERS] == [False] * 3


class FakeServer:
    """A server whose drain lasts until it is closed, or told to end."""

    def __init__(self) -> None:
        self.calls: list[object] = []
        self.over = asyncio.Event()

    def reload(self) -> None:
        self.calls.append("reload")

    async def drain(self, seconds: float) -> None:
        self.calls.append(("drain", seconds))
        await self.over.wait()

    async def close(self) -> None:
        self.calls.append("close")
        self.over.set()


async def test_a_server_drains_at_the_first_signal(told: list[str]) -> None:
    server, started = FakeServer(), asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        serving = tasks.create_task(serve_until_stopped(server, 2.5, started.set))  # type: ignore[arg-type]
        await started.wait()
        await signalled(signal.SIGHUP, lambda: "reload" in server.calls)
        await signalled(signal.SIGTERM, lambda: ("drain", 2.5) in server.calls)
        assert not serving.done()
        server.over.set()
    assert server.calls == ["reload", ("drain", 2.5)]
    assert [word for word in told if "USEC" not in word] == [
        "READY=1",
        "RELOADING=1",
        "READY=1",
        "STOPPING=1",
    ]


async def test_a_server_closes_at_the_second_signal(told: list[str]) -> None:
    server, started = FakeServer(), asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(serve_until_stopped(server, 2.5, started.set))  # type: ignore[arg-type]
        await started.wait()
        await signalled(signal.SIGINT, lambda: ("drain", 2.5) in server.calls)
        await signalled(signal.SIGTERM, lambda: "close" in server.calls)
    assert server.calls == [("drain", 2.5), "close"]


async def test_no_time_to_drain_is_no_time(told: list[str]) -> None:
    where: asyncio.Future[Address] = asyncio.get_running_loop().create_future()

    async def stay(stream: Stream) -> None:
        await stream.write(b"hello")
        await asyncio.Event().wait()

    with structlog.testing.capture_logs() as logs:
        async with patience(), asyncio.TaskGroup() as tasks:
            tasks.create_task(
                serve_forever(
                    stay,
                    "tcp://127.0.0.1:0",
                    drain_seconds=0,
                    started=lambda addresses: where.set_result(addresses[0]),
                )
            )
            async with call(await where) as caller:
                assert await caller.read(5) == b"hello"
                os.kill(os.getpid(), signal.SIGTERM)
                await caller.dropped()
    (line,) = (log for log in logs if log["event"] == "drain timed out")
    assert (line["dropped"], line["seconds"]) == (1, 0)
