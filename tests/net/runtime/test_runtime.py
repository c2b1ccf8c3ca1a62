"""The runtime of an event loop's clients: its timers run while one of them is connected."""

from __future__ import annotations

import asyncio

import pytest

from holdfast.net.runtime.runtime import ClientRuntime, client_runtime


class Timers:
    """What is asked of the timers."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def start(self) -> None:
        self.calls.append("start")

    def stop(self) -> None:
        self.calls.append("stop")


async def test_the_timers_run_while_somebody_holds_them(monkeypatch: pytest.MonkeyPatch) -> None:
    runtime = ClientRuntime(asyncio.get_running_loop())
    timers = Timers()
    monkeypatch.setattr(runtime, "timers", timers)
    for step, calls in [
        (runtime.hold, ["start"]),
        (runtime.hold, ["start"]),
        (runtime.release, ["start"]),
        (runtime.release, ["start", "stop"]),
        (runtime.hold, ["start", "stop", "start"]),
        (runtime.release, ["start", "stop", "start", "stop"]),
    ]:
        step()
        assert timers.calls == calls


async def test_an_event_loop_has_one() -> None:
    loop = asyncio.get_running_loop()
    runtime = client_runtime(loop)
    assert client_runtime(loop) is runtime
