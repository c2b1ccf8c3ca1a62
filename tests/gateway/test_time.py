"""What waits, waits for time to pass: not for the wall clock, and not for a stopped process."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from unittest import mock

import pytest
from structlog.testing import capture_logs
from tests.gateway.clients import person
from tests.gateway.running import SECONDS, configured, eventually, linked

from holdfast.core.limits import Limits
from holdfast.gateway.config import Config
from holdfast.gateway.environment import Environment
from holdfast.gateway.gateway import Gateway
from holdfast.net.runtime.loop import unwrapped
from holdfast.sessions.manager import SessionManager

HOUR = 3_600.0


class WallClock:
    """The wall clock, which somebody sets."""

    def __init__(self) -> None:
        self.set_by = 0.0

    def __call__(self) -> float:
        return time.time() + self.set_by


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("holdfast.gateway.gateway._SWEEP_SECONDS", 0.02)


@asynccontextmanager
async def running(config: Config, wall: WallClock) -> AsyncIterator[Gateway]:
    gateway = Gateway(config, environment=Environment(wall=wall))
    started = asyncio.Event()
    with unwrapped():
        async with asyncio.timeout(4 * SECONDS), asyncio.TaskGroup() as tasks:
            tasks.create_task(gateway.run(started.set))
            await started.wait()
            async with linked(gateway):
                yield gateway
                gateway.stop()


async def swept(gateway: Gateway) -> None:
    """Wait until a sweep has looked at the clock and at the sessions."""
    sweeps = []

    def expire(now: float) -> None:
        sweeps.append(now)
        SessionManager.expire(gateway.manager, now)

    with mock.patch.object(gateway.manager, "expire", expire):
        await eventually(lambda: len(sweeps) > 1)


async def left(gateway: Gateway) -> str:
    """Begin a session for which something is kept, and leave it. Returns its code."""
    sessions = gateway.manager.sessions
    async with person(gateway, "tcp") as someone:
        code = await someone.shown_code()
        await eventually(lambda: all(s.row.known for s in sessions.values()))
        for session in sessions.values():
            gateway.manager.set_data(session, b"kept")
    await eventually(lambda: all(s.state.detached for s in gateway.manager.sessions.values()))
    return code


@pytest.mark.parametrize("step", [2 * HOUR, -2 * HOUR])
async def test_a_session_waits_its_time_however_the_clock_is_set(
    tmp_path: Path, step: float
) -> None:
    wall = WallClock()
    config = configured(tmp_path)
    async with running(config, wall) as gateway:
        code = await left(gateway)
        wall.set_by = step
        await swept(gateway)
        async with person(gateway, "tcp") as someone:
            someone.types(f"resume {code}")
            await someone.sees("Welcome back.")


async def test_a_session_does_not_wait_longer_because_the_clock_was_set_back(
    tmp_path: Path,
) -> None:
    wall = WallClock()
    wall.set_by = HOUR
    limits = Limits().but(session={"detached_seconds_max": 0.5})
    async with running(configured(tmp_path, limits=limits), wall) as gateway:
        await left(gateway)
        wall.set_by = 0.0
        await left(gateway)
        await eventually(lambda: not gateway.manager.sessions)


async def test_a_wrong_code_is_not_counted_longer_because_the_clock_was_set_back(
    tmp_path: Path,
) -> None:
    wall = WallClock()
    wall.set_by = HOUR
    async with running(configured(tmp_path), wall) as gateway:
        code = await left(gateway)
        async with person(gateway, "tcp") as someone:
            someone.types("resume AAAA-AAAA")
            await someone.sees("it is not known")
        wall.set_by = 0.0
        async with person(gateway, "tcp") as someone:
            someone.types(f"resume {code}")
            await someone.sees("Welcome back.")


@pytest.mark.parametrize(("during", "between"), [(2 * HOUR, 0.0), (-HOUR, 0.0), (0.0, -2 * HOUR)])
async def test_a_restart_goes_on_with_the_time_that_has_passed(
    tmp_path: Path, during: float, between: float
) -> None:
    wall = WallClock()
    config = configured(tmp_path)
    async with running(config, wall) as gateway:
        code = await left(gateway)
        with capture_logs() as logs:
            wall.set_by += during
            await swept(gateway)
        told = [log["seconds"] for log in logs if log["event"] == "wall clock was set"]
        assert told == ([pytest.approx(during, abs=1)] if during else [])
    wall.set_by += between
    async with running(config, wall) as gateway:
        (session,) = gateway.manager.sessions.values()
        assert 0 <= gateway.clock() - session.row.detached < SECONDS
        await swept(gateway)
        async with person(gateway, "tcp") as someone:
            someone.types(f"resume {code}")
            await someone.sees("Welcome back.")


async def test_time_passes_while_the_gateway_is_not_there(tmp_path: Path) -> None:
    wall = WallClock()
    config = configured(tmp_path)
    async with running(config, wall) as gateway:
        await left(gateway)
    wall.set_by = 2 * HOUR
    async with running(config, wall) as gateway:
        await eventually(lambda: not gateway.manager.sessions)
