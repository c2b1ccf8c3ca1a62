"""The console's files, asked for over bare sockets."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.gateway.admin.asking import TOKEN, ask
from tests.gateway.admin.test_admin import guarded
from tests.gateway.running import serving

from holdfast.gateway.admin import console


async def test_the_files_are_public_and_strict(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built = tmp_path / "console"
    built.mkdir()
    (built / "index.html").write_text("<!doctype html>é")
    (built / "console.js").write_text("'use strict'")
    (built / "secret.txt").write_text("secret")
    monkeypatch.setattr(console, "_folder", lambda: built)
    async with serving(guarded(tmp_path)) as gateway:
        answer = await ask(gateway, "/console")
        assert (answer.status, answer.headers["Location"]) == (308, "/console/")
        answer = await ask(gateway, "/console/")
        assert (answer.status, answer.body.decode()) == (200, "<!doctype html>é")
        assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        answer = await ask(gateway, "/console/console.js")
        assert answer.headers["Content-Type"] == "text/javascript; charset=utf-8"
        for path in ("console.css", "secret.txt", "../console/index.html", "%2e%2e/token"):
            assert (await ask(gateway, f"/console/{path}")).status in (401, 404), path
        assert (await ask(gateway, "/api/overview")).status == 401
        assert (await ask(gateway, "/api/overview", token=TOKEN)).status == 200
        own = {"Origin": "http://127.0.0.1:9180", "Host": "127.0.0.1:9180"}
        assert (await ask(gateway, "/api/overview", token=TOKEN, headers=own)).status == 200


async def test_a_console_that_was_not_built_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    missing = Path(console.__file__).parents[2] / "web" / "console_missing"
    monkeypatch.setattr(console, "_folder", lambda: missing)
    async with serving(guarded(tmp_path)) as gateway:
        answer = await ask(gateway, "/console/")
        assert answer.status == 200
        assert b"./dev pages" in answer.body
