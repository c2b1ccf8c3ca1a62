"""Logging in to SSH servers, by all the ways there are."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import asyncssh
import pytest
from tests.backends.ssh.running import gateway_to
from tests.backends.ssh.servers import PASSWORD, encrypted, openssh, scripted
from tests.backends.terminal.client import term_client
from tests.gateway.running import eventually
from tests.programs import need


@pytest.fixture(scope="module")
def keys() -> dict[str, asyncssh.SSHKey]:
    kinds = ("ssh-rsa", "ecdsa-sha2-nistp256", "ssh-ed25519")
    return {kind: asyncssh.generate_private_key(kind) for kind in kinds}


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
        gateway_to(server) as gateway,
        term_client(gateway) as client,
    ):
        await client.asked("key")
        await client.answers(encrypted(key, "open sesame"))
        await client.asked("passphrase")
        await client.answers("wrong")
        assert "passphrase" in (await client.told("notify"))["text"]
        await client.asked("passphrase")
        await client.answers("open sesame")
        await client.told("opened")
        await client.types("stty size; echo FI''NISH\r")
        assert b"24 80" in await client.sees("FINISH")


async def test_by_a_key_of_the_operator(tmp_path: Path) -> None:
    """Nobody is asked anything."""
    key = asyncssh.generate_private_key("ssh-ed25519")
    key.write_private_key(tmp_path / "key")
    only = {"key_file": str(tmp_path / "key"), "methods": ("publickey",)}
    async with (
        openssh(tmp_path, key) as server,
        gateway_to(server, of_target=only) as gateway,
        term_client(gateway) as client,
    ):
        await client.told("opened")
        assert not [message for message in client.messages if message["t"] == "prompt"]
        await client.types("echo FI''NISH\r")
        await client.sees("FINISH")


async def test_what_is_typed_during_the_login_is_not_lost(tmp_path: Path) -> None:
    key = asyncssh.generate_private_key("ssh-ed25519")
    key.write_private_key(tmp_path / "key")
    only = {"key_file": str(tmp_path / "key"), "methods": ("publickey",)}

    async def says_what_comes(process: asyncssh.SSHServerProcess[bytes]) -> None:
        process.stdout.write(b"first %r" % await process.stdin.readexactly(2))
        await asyncio.Event().wait()

    async with (
        scripted(tmp_path, says_what_comes, keys=(key,)) as server,
        gateway_to(server, of_target=only) as gateway,
        term_client(gateway) as client,
    ):
        await client.told("ready")
        await client.types("\x03")
        await client.types("x")
        await client.sees("first b'\\x03x'")


async def test_by_a_certificate_of_the_operator(tmp_path: Path) -> None:
    """It is beside the key. The server knows its authority alone."""
    authority = asyncssh.generate_private_key("ssh-ed25519")
    key = asyncssh.generate_private_key("ssh-ed25519")
    certificate = authority.generate_user_certificate(key, "the gateway", principals=["ann"])
    key.write_private_key(tmp_path / "key")
    certificate.write_certificate(tmp_path / "key-cert.pub")
    line = b"cert-authority " + authority.export_public_key()
    (tmp_path / "authorized_keys").write_bytes(line)
    only = {"key_file": str(tmp_path / "key"), "methods": ("publickey",)}
    async with (
        scripted(tmp_path, authorized_client_keys=str(tmp_path / "authorized_keys")) as server,
        gateway_to(server, of_target=only) as gateway,
        term_client(gateway) as client,
    ):
        await client.told("opened")
        await client.sees("$ ")


async def test_a_host_that_an_authority_vouches_for(tmp_path: Path) -> None:
    """`@cert-authority` in the file of known hosts."""
    authority = asyncssh.generate_private_key("ssh-ed25519")
    key = asyncssh.generate_private_key("ssh-ed25519")
    certificate = authority.generate_host_certificate(key, "box", principals=["127.0.0.1"])
    known = tmp_path / "known"
    known.write_text(f"@cert-authority * {authority.export_public_key().decode()}")
    async with (
        scripted(tmp_path, server_host_certs=[certificate], host_key=key) as server,
        gateway_to(server, known_hosts=str(known)) as gateway,
        term_client(gateway) as client,
    ):
        await client.logs_in(PASSWORD)


@pytest.mark.parametrize("known", ["ssh-rsa", "ecdsa-sha2-nistp256", "ssh-ed25519"])
async def test_a_server_with_keys_of_several_kinds(
    tmp_path: Path, keys: dict[str, asyncssh.SSHKey], known: str
) -> None:
    """One of them is known, and that is the one which it is asked for."""
    others = [key for kind, key in keys.items() if kind != known]
    async with (
        scripted(tmp_path, host_key=keys[known], other_host_keys=others) as server,
        gateway_to(server) as gateway,
        term_client(gateway) as client,
    ):
        await client.logs_in(PASSWORD)


async def test_by_an_agent_of_the_operator(tmp_path: Path) -> None:
    agent, add = need("ssh-agent"), need("ssh-add")
    key = asyncssh.generate_private_key("ssh-ed25519")
    key.write_private_key(tmp_path / "key")
    (tmp_path / "key").chmod(0o600)
    at = str(tmp_path / "agent")
    process = await asyncio.create_subprocess_exec(
        agent, "-D", "-a", at, stdout=asyncio.subprocess.DEVNULL
    )
    try:
        await eventually(lambda: os.path.exists(at))
        environment = {**os.environ, "SSH_AUTH_SOCK": at}
        adding = await asyncio.create_subprocess_exec(
            add, "-q", str(tmp_path / "key"), env=environment
        )
        assert await adding.wait() == 0
        async with (
            openssh(tmp_path, key) as server,
            gateway_to(server, agent=at, of_target={"methods": ("publickey",)}) as gateway,
            term_client(gateway) as client,
        ):
            await client.told("opened")
    finally:
        process.terminate()
        await process.wait()


async def test_a_screen_that_changes_during_the_login(tmp_path: Path) -> None:
    async with (
        scripted(tmp_path) as server,
        gateway_to(server) as gateway,
        term_client(gateway, cols=80, rows=24) as client,
    ):
        await client.asked("password")
        await client.say("resize", cols=100, rows=30)
        await client.answers(PASSWORD)
        await client.told("opened")
        if b"100x30" not in client.output:
            await client.sees("100x30")
