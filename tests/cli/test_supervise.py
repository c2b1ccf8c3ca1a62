"""What runs an application, without a gateway."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tests.cli.process import SECONDS

from holdfast.cli import supervise
from holdfast.cli.supervise import Child, Supervisor

DISTANT = 3600.0


@asynccontextmanager
async def supervised(folder: Path) -> AsyncIterator[asyncio.Queue[int]]:
    """Run `application.py` in `folder`; yields the process ids of its runs as they come."""
    runs: asyncio.Queue[int] = asyncio.Queue()
    command = [str(folder / "application.py")]
    application = Child(command, runs.put_nowait, watched=folder)
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(Supervisor(application, {}).run())
        try:
            async with asyncio.timeout(SECONDS):
                yield runs
        finally:
            task.cancel()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervise, "_LOOK_SECONDS", 0.02)


async def test_a_mended_application_is_tried_without_waiting_for_the_pause_to_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervise, "_PAUSE_SECONDS_MIN", DISTANT)
    monkeypatch.setattr(supervise, "_PAUSE_SECONDS_MAX", DISTANT)
    path = tmp_path / "application.py"
    path.write_text("this is no Python\n")
    async with supervised(tmp_path) as runs:
        await runs.get()
        await asyncio.sleep(0.3)  # it has ended by now or it has not: both must do
        path.write_text("raise SystemExit\n")
        await runs.get()


async def test_it_does_not_spin_on_an_application_that_ends_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervise, "_PAUSE_SECONDS_MIN", DISTANT)
    monkeypatch.setattr(supervise, "_PAUSE_SECONDS_MAX", DISTANT)
    (tmp_path / "application.py").write_text("raise SystemExit\n")
    async with supervised(tmp_path) as runs:
        await runs.get()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await runs.get()


async def test_the_end_stops_the_application_in_an_orderly_way(tmp_path: Path) -> None:
    (tmp_path / "application.py").write_text(
        "import pathlib, signal, sys\n"
        f"here = pathlib.Path({str(tmp_path)!r})\n"
        "signal.signal(signal.SIGTERM, lambda *_: ((here / 'told').touch(), sys.exit()))\n"
        "(here / 'ready').touch()\n"
        "signal.pause()\n"
    )
    async with supervised(tmp_path) as runs:
        await runs.get()
        while not (tmp_path / "ready").exists():  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert (tmp_path / "told").exists()


async def test_one_that_does_not_listen_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervise, "_STOP_SECONDS_MAX", 0.1)
    (tmp_path / "application.py").write_text(
        "import pathlib, signal\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        f"pathlib.Path({str(tmp_path / 'ready')!r}).touch()\n"
        "while True: signal.pause()\n"
    )
    async with supervised(tmp_path) as runs:
        pid = await runs.get()
        while not (tmp_path / "ready").exists():  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert not Path(f"/proc/{pid}").exists()  # noqa: ASYNC240
