"""How a HAProxy in the background says that it is ready."""

from __future__ import annotations

import asyncio
import os
import socket
from pathlib import Path

import pytest

from holdfast.vtc.haproxy.ready import ReadySocket, wait_for_pid_file
from holdfast.vtc.language.errors import Failure


def tell(path: str, *messages: bytes) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        for message in messages:
            sock.sendto(message, path)


@pytest.mark.parametrize(
    "messages", [[b"READY=1"], [b"STATUS=x\nREADY=1\nMAINPID=1"], [b"STATUS=x", b"READY=1"]]
)
def test_it_says_so(tmp_path: Path, messages: list[bytes]) -> None:
    async def run() -> None:
        ready = ReadySocket(str(tmp_path / "s"))
        try:
            tell(ready.path, *messages)
            await ready.wait(5)
        finally:
            ready.close()

    asyncio.run(run())


def test_it_says_something_else(tmp_path: Path) -> None:
    async def run() -> None:
        ready = ReadySocket(str(tmp_path / "s"))
        try:
            tell(ready.path, b"STATUS=loading")
            with pytest.raises(Failure, match="timeout waiting for sd_notify"):
                await ready.wait(0.05)
        finally:
            ready.close()

    asyncio.run(run())


def test_its_pid_is_in_a_file(tmp_path: Path) -> None:
    path = tmp_path / "pid"

    async def write_later() -> None:
        path.write_text("")
        await asyncio.sleep(0.01)
        path.write_text(f"{os.getpid()}\n")

    async def run() -> int:
        async with asyncio.TaskGroup() as group:
            group.create_task(write_later())
            return await wait_for_pid_file(str(path), lambda _: True)
        raise AssertionError

    assert asyncio.run(run()) == os.getpid()


@pytest.mark.parametrize(
    ("text", "reason"),
    [(None, "Could not read PID file"), ("x\n", "Could not read"), ("1\n", "it has PID 1")],
)
def test_its_pid_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str | None, reason: str
) -> None:
    monkeypatch.setattr("holdfast.vtc.haproxy.ready.PID_SECONDS_MAX", 0.05)
    path = tmp_path / "pid"
    if text:
        path.write_text(text)
    with pytest.raises(Failure, match=reason):
        asyncio.run(wait_for_pid_file(str(path), lambda pid: pid == os.getpid()))
