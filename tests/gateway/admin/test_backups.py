"""Backups that an operator asks a running gateway for."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
import structlog
from tests.gateway.admin.asking import administered, ask, told
from tests.gateway.running import TCP, configured, eventually, serving

from holdfast.sessions.stores import sqlite
from holdfast.sessions.stores.base import StoreError


async def test_a_gateway_that_stops_gives_up_a_backup(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, given_up = threading.Event(), threading.Event()

    def write_copy(db: sqlite3.Connection, path: Path, between: Callable[[], bool]) -> int:
        """A copy without an end."""
        begun.set()
        while between():
            threading.Event().wait(0.001)
        given_up.set()
        raise StoreError("given up")

    monkeypatch.setattr(sqlite, "write_copy", write_copy)
    path = str(tmp_path / "copy.db")
    with structlog.testing.capture_logs() as logs:
        async with serving(administered(configured(tmp_path, [TCP], backend="echo"))) as gateway:
            body = msgspec.json.encode({"path": path})
            assert (await ask(gateway, "/api/backup", "POST", body)).status == 202
            await eventually(begun.is_set)
            assert (await told(gateway, "/api/backup"))["state"] == "running"
            assert (await ask(gateway, "/api/backup", "POST", body)).status == 409
    assert given_up.is_set()
    (failed,) = [log for log in logs if log["event"] == "backup failed"]
    assert failed["error"] == f"{path}: the backup was given up: the gateway stops"
    assert logs[-1]["event"] == "stopped"
    assert logs[-1]["clean"]


async def test_the_path_of_a_backup_is_absolute(tmp_path: Path) -> None:
    async with serving(administered(configured(tmp_path, [TCP], backend="echo"))) as gateway:
        for path in ("", "copy.db", f"{tmp_path}/a\0b"):
            body = msgspec.json.encode({"path": path})
            answer = await ask(gateway, "/api/backup", "POST", body)
            expected = f"path: expected an absolute path, found {path!r}"
            assert (answer.status, msgspec.json.decode(answer.body)) == (400, {"error": expected})
        assert (await told(gateway, "/api/backup"))["state"] == "none"
