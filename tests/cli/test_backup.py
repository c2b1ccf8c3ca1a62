"""`holdfast backup` of a running gateway, and `holdfast restore`."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from tests.cli.test_admin import ask, entered, gateway, rows, run
from tests.gateway.clients import person_at


async def test_a_gateway_begins_again_with_a_backup(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = tmp_path / "backups" / "copy.db"
    async with gateway(tmp_path) as (it, port):
        async with person_at(port, telnet=False) as someone:
            code = await someone.shown_code()
            someone.types("remember me")
            await someone.sees("remember me")
            said = await ask(tmp_path, "backup", str(copy))
            assert said.startswith(f"{copy}: ")
            failed, out, err = await run("backup", copy, "--admin", f"unix:{tmp_path / 'admin'}")
            assert (failed, out) == (1, "")
            assert "expected a new file, found one that exists" in err
        (logged,) = await it.logged("backup made")
        assert logged["bytes"] == copy.stat().st_size
        config = tmp_path / "holdfast.toml"
        monkeypatch.chdir(tmp_path)
        failed, _, err = await run("restore", copy, config)
        assert (failed, err) == (1, "holdfast: sessions.db: a gateway uses it; stop it first\n")
        it.send(signal.SIGTERM)
        assert await it.ends() == 0
    code_, out, err = await run("restore", copy, config)
    assert (code_, err) == (0, "")
    assert out.startswith(f"sessions.db: restored from {copy}, with 1 session\nsessions.db.before-")
    async with gateway(tmp_path) as (_, port):
        assert len(await rows(tmp_path, "sessions")) == 1
        async with person_at(port, telnet=False) as someone:
            await entered(someone)
            someone.types(f"resume {code}")
            await someone.sees("*** Welcome back")


async def test_what_a_backup_must_be_told(tmp_path: Path) -> None:
    async with gateway(tmp_path):
        admin = f"unix:{tmp_path / 'admin'}"
        code, out, err = await run("backup", "/proc/none/copy.db", "--admin", admin)
        assert (code, out) == (1, "")
        assert "the copy cannot be written" in err
    nothing = tmp_path / "nothing.toml"
    nothing.write_text(
        '[[listener]]\nurl = "tcp://127.0.0.1:0"\nbackend = "echo"\ndurability = "memory"\n'
    )
    code, out, err = await run("restore", tmp_path / "copy.db", nothing)
    assert (code, out) == (2, "")
    assert err.endswith("store.path: expected a path, found none\n")
