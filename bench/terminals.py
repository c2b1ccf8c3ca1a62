"""Terminals as a person has them: on a private SSH server by `ssh`, Holdfast and webssh, and of
this machine by Holdfast and ttyd."""

from __future__ import annotations

import asyncio
import getpass
import json
import os
import shutil
import struct
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Final, Protocol

import aiohttp
import asyncssh
from msgspec import Struct
from tests.ports import free_port

from bench import harness
from bench.harness import BUILD, HOLDFAST, Missing
from bench.lean_websocket import LeanWebSocket, lean_websocket

_ACK_BYTES: Final = 64 * 1024
_READ_BYTES: Final = 1 << 20
_SHELL: Final = "bash --norc --noprofile"
_SSHD: Final = "/usr/sbin/sshd"


class SshServer(Struct, frozen=True):
    """A private `sshd`, and the key that opens it."""

    port: int
    folder: Path

    @property
    def key(self) -> Path:
        return self.folder / "user_key"

    @property
    def known_hosts(self) -> Path:
        return self.folder / "known_hosts"


@contextmanager
def ssh_server(folder: Path) -> Iterator[SshServer]:
    """An `sshd` for the block, on the core of the load."""
    if not Path(_SSHD).exists():
        raise Missing("sshd is not installed (./dev peers)")
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)
    server = SshServer(free_port(), folder)
    host_key = asyncssh.generate_private_key("ssh-ed25519")
    user_key = asyncssh.generate_private_key("ssh-ed25519")
    for key, path in ((host_key, folder / "host_key"), (user_key, server.key)):
        key.write_private_key(path)
        path.chmod(0o600)
    public = host_key.export_public_key().decode().strip()
    server.known_hosts.write_text(f"[127.0.0.1]:{server.port} {public}\n")
    (folder / "authorized_keys").write_bytes(user_key.export_public_key())
    (folder / "sshd_config").write_text(f"""
        Port {server.port}
        ListenAddress 127.0.0.1
        HostKey {folder}/host_key
        AuthorizedKeysFile {folder}/authorized_keys
        PidFile none
        UsePAM no
        StrictModes no
        PermitRootLogin yes
        PrintMotd no
        PrintLastLog no
        MaxStartups 1000
        ForceCommand exec {_SHELL}
        SetEnv SHLVL=1 HISTFILE=/dev/null
    """)
    command = [_SSHD, "-D", "-e", "-f", str(folder / "sshd_config")]
    with harness.running(command, port=server.port, core=1):
        yield server


class Terminal(Protocol):
    """One terminal, as the load uses it."""

    async def read(self) -> bytes:
        """The next output."""

    async def write(self, data: bytes) -> None:
        """Type."""


# --- ssh


class PlainSsh:
    """OpenSSH's client, with a pipe at each end."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        assert process.stdin is not None
        self._stdout, self._stdin = process.stdout, process.stdin

    async def read(self) -> bytes:
        return await self._stdout.read(_READ_BYTES)

    async def write(self, data: bytes) -> None:
        self._stdin.write(data)


@asynccontextmanager
async def plain_ssh(server: SshServer) -> AsyncIterator[tuple[Terminal, int]]:
    """A terminal, and the process whose CPU time counts."""
    options = ("UserKnownHostsFile=" + str(server.known_hosts), "IdentitiesOnly=yes")
    process = await asyncio.create_subprocess_exec(
        *harness.pinned(0, ["ssh", "-tt", "-F", "none", "-i", str(server.key)]),
        *(word for option in options for word in ("-o", option)),
        *("-p", str(server.port), f"{getpass.getuser()}@127.0.0.1"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        limit=_READ_BYTES,
    )
    try:
        yield PlainSsh(process), process.pid
    finally:
        process.kill()
        await process.wait()


# --- Holdfast


@contextmanager
def holdfast(server: SshServer) -> Iterator[tuple[int, int]]:
    """A gateway in front of `server`; its port and its process."""
    keys = f"""
        backend = "ssh"
        [listener.ssh]
        known_hosts = "{server.known_hosts}"
        [[listener.ssh.target]]
        name = "box"
        host = "127.0.0.1"
        port = {server.port}
        user = "{getpass.getuser()}"
        key_file = "{server.key}"
        methods = ["publickey"]
        """
    with _gateway(server.folder, keys) as found:
        yield found


@contextmanager
def holdfast_pty(folder: Path) -> Iterator[tuple[int, int]]:
    """A gateway whose terminals are shells of this machine; its port and its process."""
    keys = f"""
        backend = "pty"
        [listener.pty]
        command = {json.dumps(_SHELL.split())}
        user = "{getpass.getuser()}"
        """
    with _gateway(folder, keys) as found:
        yield found


@contextmanager
def _gateway(folder: Path, keys: str) -> Iterator[tuple[int, int]]:
    port = free_port()
    config = folder / "gateway.toml"
    config.write_text(f"""
        [[listener]]
        url = "ws://127.0.0.1:{port}/"
        {keys}
        [limits.terminal]
        terminals_per_network_max = 500
        terminals_per_user_max = 500
        [store]
        path = "{folder}/sessions.db"
    """)
    command = [*HOLDFAST, "serve", str(config), "--log-level", "error"]
    with harness.running(command, port=port) as process:
        yield port, process.pid


class HoldfastTerminal:
    """A client of `holdfast.term.v1` that has shown what it has read."""

    def __init__(self, socket: LeanWebSocket) -> None:
        self._socket = socket
        self._offset = self._acked = self._c = 0
        self.messages: list[dict[str, Any]] = []

    async def read(self) -> bytes:
        while True:
            message = await self._socket.recv()
            if isinstance(message, str):
                self._hear(json.loads(message))
                continue
            self._offset += len(message)
            if self._offset - self._acked >= _ACK_BYTES:
                self._acked = self._offset
                await self.say("ack", n=self._offset)
            return message

    async def write(self, data: bytes) -> None:
        self._c += 1
        await self._socket.send(struct.pack(">BI", 0, self._c) + data)

    async def say(self, t: str, **fields: object) -> None:
        await self._socket.send(json.dumps({"t": t, **fields}))

    async def told(self, t: str) -> dict[str, Any]:
        """Wait for a message; output before it is left out."""
        while not any(message["t"] == t for message in self.messages):
            message = await self._socket.recv()
            if isinstance(message, str):
                self._hear(json.loads(message))
            else:
                self._offset += len(message)
        return next(message for message in self.messages if message["t"] == t)

    def _hear(self, message: dict[str, Any]) -> None:
        self.messages.append(message)
        if message["t"] == "watching":
            self._offset = self._acked = message["n"]
        if message["t"] in ("error", "bye"):
            raise Missing(f"holdfast: {message}")


@asynccontextmanager
async def holdfast_terminal(port: int, **first: object) -> AsyncIterator[HoldfastTerminal]:
    """A terminal at a gateway; with a `token`, somebody who watches."""
    async with lean_websocket(port, subprotocol="holdfast.term.v1") as socket:
        terminal = HoldfastTerminal(socket)
        await terminal.say("watch" if first else "open", **first)
        await terminal.told("watching" if first else "ready")
        yield terminal


# --- webssh


def _webssh() -> Path:
    """The program `wssh`, in an environment of its own: it wants other versions than we do."""
    folder = BUILD / "webssh"
    program = folder / "bin" / "wssh"
    if not program.exists():
        BUILD.mkdir(exist_ok=True)
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        pip = [str(folder / "bin" / "pip"), "install", "-q", "--disable-pip-version-check"]
        if subprocess.run([*pip, "webssh"], check=False).returncode:
            raise Missing("webssh: cannot be installed")
    return program


@contextmanager
def webssh(server: SshServer) -> Iterator[tuple[int, int]]:
    """webssh; its port and its process."""
    port = free_port()
    command = [
        str(_webssh()),
        f"--port={port}",
        "--address=127.0.0.1",
        "--policy=autoadd",
        "--xsrf=False",
        "--logging=error",
        "--maxconn=1000",
    ]
    with harness.running(command, port=port) as process:
        yield port, process.pid


class WebsshTerminal:
    """A client of webssh."""

    def __init__(self, socket: LeanWebSocket) -> None:
        self._socket = socket

    async def read(self) -> bytes:
        message = await self._socket.recv()
        return message.encode() if isinstance(message, str) else message

    async def write(self, data: bytes) -> None:
        await self._socket.send(json.dumps({"data": data.decode()}))


@asynccontextmanager
async def webssh_terminal(server: SshServer, port: int) -> AsyncIterator[Terminal]:
    """A terminal at webssh."""
    form = {
        "hostname": "127.0.0.1",
        "port": str(server.port),
        "username": getpass.getuser(),
        "privatekey": server.key.read_text(),
    }
    async with (
        aiohttp.ClientSession() as http,
        http.post(f"http://127.0.0.1:{port}/", data=form) as answer,
    ):
        found = json.loads(await answer.text())
    if not found.get("id"):
        raise Missing(f"webssh: {found}")
    async with lean_websocket(port, f"/ws?id={found['id']}") as socket:
        yield WebsshTerminal(socket)


# --- ttyd


@contextmanager
def ttyd() -> Iterator[tuple[int, int]]:
    """ttyd with a shell; its port and its process. Raises `Missing` where it is not installed."""
    program = shutil.which("ttyd")
    if program is None:
        raise Missing("ttyd is not installed")
    port = free_port()
    command = [program, "--port", str(port), "--interface", "127.0.0.1", "--writable"]
    with harness.running([*command, "--debug", "1", *_SHELL.split()], port=port) as process:
        yield port, process.pid


class TtydTerminal:
    """A client of ttyd: a byte that says what it is stands before all that is sent."""

    def __init__(self, socket: LeanWebSocket) -> None:
        self._socket = socket

    async def read(self) -> bytes:
        while True:
            message = await self._socket.recv()
            if isinstance(message, bytes) and message[:1] == b"0":
                return message[1:]

    async def write(self, data: bytes) -> None:
        await self._socket.send(b"0" + data)


@asynccontextmanager
async def ttyd_terminal(port: int) -> AsyncIterator[Terminal]:
    """A terminal at ttyd."""
    async with lean_websocket(port, "/ws", "tty") as socket:
        await socket.send(b'{"AuthToken":"","columns":80,"rows":24}')
        yield TtydTerminal(socket)
