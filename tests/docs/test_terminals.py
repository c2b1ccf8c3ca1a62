"""The configurations in the page on terminals, and the example, work as they stand."""

from __future__ import annotations

import os
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tests.backends.ssh.servers import PASSWORD, SshServer, scripted
from tests.backends.terminal.client import term_client
from tests.gateway.running import port, serving
from tests.gateway.test_http import ask

from holdfast.gateway.config import parse
from holdfast.gateway.gateway import Gateway

ROOT = Path(__file__).parents[2]
SHOWN = re.findall(r"^```toml\n(.*?)^```", (ROOT / "docs/terminals.md").read_text(), re.M | re.S)
EXAMPLE = (ROOT / "examples/ssh.toml").read_text()


def elsewhere(text: str, server: SshServer | None = None) -> str:
    """A configuration on a free port, whose first target is `server`: nothing else is changed."""
    text, count = re.subn(
        r'^url = "ws://127.0.0.1:80\d\d/"', 'url = "ws://127.0.0.1:0/"', text, flags=re.M
    )
    assert count == 1
    if server is None:
        return text
    line = 'host = "127.0.0.1"'
    assert line in text
    return text.replace(line, f"{line}\nport = {server.port}", 1)


@asynccontextmanager
async def served(text: str) -> AsyncIterator[Gateway]:
    async with serving(parse(text)) as gateway:
        yield gateway


@pytest.mark.parametrize("text", [SHOWN[0], EXAMPLE], ids=["page", "example"])
async def test_a_login_as_it_is_shown(tmp_path: Path, text: str) -> None:
    async with scripted(tmp_path) as server, served(elsewhere(text, server)) as gateway:
        page = await ask(gateway, "/")
        assert page.status == 200
        policy = page.headers["Content-Security-Policy"]
        assert policy.startswith(
            "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline';"
            " connect-src 'self'; img-src 'self' data:;"
        )
        assert policy.endswith("frame-ancestors 'none'")
        async with term_client(port(gateway, "ws")) as client:
            if text == EXAMPLE:
                assert (await client.asked("target"))["choices"] == ["this machine", "build"]
                await client.answers("this machine")
            await client.asked("user")
            await client.answers("ann")
            assert server.fingerprint in (await client.asked("hostkey"))["text"]
            await client.answers("yes")
            await client.logs_in(PASSWORD)
            await client.types("hello\r")
            await client.sees("you said hello")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may run commands as somebody else")
async def test_a_command_as_it_is_shown() -> None:
    async with served(elsewhere(SHOWN[1])) as gateway, term_client(gateway) as client:
        await client.told("opened")
        await client.types("id -un; echo FI''NISH\r")
        assert b"nobody" in await client.sees("FINISH")
