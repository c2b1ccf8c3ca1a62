"""`holdfast publish` at a real gateway."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from msgspec import structs
from tests.gateway.api.asking import API, KEY, Person, person, with_api
from tests.gateway.running import SECONDS, TCP, configured, serving


class Shell:
    """Runs the command beside a gateway, and gives its exit code and its errors."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def run(self, *arguments: str, given: bytes = b"", **variables: str) -> tuple[int, str]:
        environment = {
            **os.environ,
            "HOLDFAST_API": f"unix:{self._folder / 'api'}",
            "HOLDFAST_API_KEY": KEY,
            **variables,
        }
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "holdfast", "publish", *arguments,
            env=environment,
            stdin=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        async with asyncio.timeout(SECONDS):
            _, errors = await process.communicate(given)
        assert process.returncode is not None
        return process.returncode, errors.decode()


@asynccontextmanager
async def shell(folder: Path) -> AsyncIterator[tuple[Shell, Person]]:
    """A shell, and Anna, who has a session at the gateway."""
    api = structs.replace(API, listen=f"unix:{folder / 'api'}")
    config = with_api(configured(folder, [TCP], backend="echo"), api)
    async with serving(config) as gateway, person(gateway, "anna") as anna:
        yield Shell(folder), anna


async def test_what_is_given_and_what_comes_in_is_published(tmp_path: Path) -> None:
    async with shell(tmp_path) as (it, anna):
        assert await it.run("--user", "anna", "one", "two") == (0, "")
        assert await it.run("--session", anna.sid, given=b"three\r\nfour\nfive") == (0, "")
        assert await it.run("--user", "anna", "--id", "7", "six") == (0, "")
        assert await it.run("--user", "anna", "--id", "7", "six") == (0, "")
        code, errors = await it.run("--user", "anna", "--user", "ben", "seven")
        assert (code, errors) == (1, "holdfast: no session of the user 'ben'\n")
        await anna.hears("one", "two", "three", "four", "five", "six", "seven")


async def test_what_cannot_be_published_is_said(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("another key than the right one\n")
    async with shell(tmp_path) as (it, _):
        code, errors = await it.run("hello")
        assert code == 2
        assert "expected --user, --group or --session" in errors
        code, errors = await it.run("--user", "anna", "--package", "A", "{")
        assert code == 2
        assert "expected JSON, found '{'" in errors
        code, errors = await it.run("--session", "s0", "x")
        assert code == 1
        assert "the application has no session s0" in errors
        code, errors = await it.run("--user", "anna", "x", "--key-file", str(key))
        assert code == 1
        assert "the key is wrong" in errors
    code, errors = await Shell(tmp_path).run("--user", "anna", "x", "--seconds", "0")
    assert code == 1
    assert "POST /v1/publish" in errors
