"""Logging in to SSH servers, by all the ways there are."""

from __future__ import annotations

from pathlib import Path

import asyncssh
from tests.backends.ssh.running import gateway_to
from tests.backends.ssh.servers import PASSWORD, openssh, scripted
from tests.backends.terminal.client import term_client


async def test_by_password(tmp_path: Path) -> None:
    async with (
        scripted(tmp_path) as server,
        gateway_to(server) as gateway,
        term_client(gateway, cols=100, rows=30, term="xterm") as client,
    ):
        ready = await client.told("ready")
        assert ready["n"] == ready["gap"] == 0
        await client.logs_in(PASSWORD)
        await client.sees("xterm 100x30\r\n$ ")
        await client.types("hello\r")
        await client.sees("you said hello\r\n")
        await client.types("exit 3\r")
        assert (await client.told("exit"))["status"] == 3
        assert (await client.ends())[0] == 4004


async def test_by_answers(tmp_path: Path) -> None:
    async with (
        scripted(tmp_path, ask=True) as server,
        gateway_to(server, of_target={"user": "kim"}) as gateway,
        term_client(gateway) as client,
    ):
        assert (await client.told("notify"))["text"] == "Two questions"
        prompt = await client.asked("prompt")
        assert (prompt["text"], prompt["echo"]) == ("Colour", True)
        await client.answers("blue")
        assert (await client.asked("prompt"))["echo"] is False
        await client.answers("42")
        await client.told("opened")


async def test_by_key_with_a_passphrase(tmp_path: Path) -> None:
    key = asyncssh.generate_private_key("ssh-ed25519")
    async with (
        openssh(tmp_path, key) as server,
        gateway_to(server, of_target={"command": "bash --norc --noprofile"}) as gateway,
        term_client(gateway) as client,
    ):
        await client.asked("key")
        await client.answers(key.export_private_key(passphrase="open sesame").decode())
        await client.asked("passphrase")
        await client.answers("wrong")
        assert "passphrase" in (await client.told("notify"))["text"]
        await client.asked("passphrase")
        await client.answers("open sesame")
        await client.told("opened")
        await client.types("stty size; echo FI''NISH\r")
        assert b"24 80" in await client.sees("FINISH")
