"""SSH servers for tests: OpenSSH's own, and one that does what a test wants."""

from __future__ import annotations

import asyncio
import getpass
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import asyncssh
from msgspec import Struct
from tests.gateway.running import SECONDS
from tests.ports import free_port
from tests.programs import look_everywhere, need

from holdfast.backends.ssh.tunnel import SocketTunnel

PASSWORD: Final = "c0rrect horse"
_ROUNDS: Final = 16
_SSHD_FOLDER: Final = Path("/run/sshd")
_CONFIG: Final = """
Port {port}
ListenAddress 127.0.0.1
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/authorized_keys
PidFile none
UsePAM no
StrictModes no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin yes
PrintMotd no
PrintLastLog no
ForceCommand exec bash --norc --noprofile
SetEnv SHLVL=1 HISTFILE=/dev/null
"""
"""With a shell that reads nothing of its user's (`SHLVL`: bash does for the first one of a login)
and writes nothing there: what is set up there may take any time."""


class SshServer(Struct, frozen=True):
    """Where a server is, and who may log in."""

    port: int
    user: str
    folder: Path
    host_key: asyncssh.SSHKey

    @property
    def known_hosts(self) -> str:
        """A file with the server's key."""
        name = self.fingerprint.partition(":")[2].replace("/", "_")
        path = self.folder / f"known_hosts-{name}"
        public = self.host_key.export_public_key().decode().strip()
        path.write_text(f"[127.0.0.1]:{self.port} {public}\n")
        return str(path)

    @property
    def fingerprint(self) -> str:
        return self.host_key.get_fingerprint("sha256")


@asynccontextmanager
async def openssh(folder: Path, *keys: asyncssh.SSHKey) -> AsyncIterator[SshServer]:
    """Debian's sshd on a port of its own, where whoever runs the tests logs in with `keys`."""
    look_everywhere()
    sshd = need("sshd")
    if os.geteuid() == 0:
        _SSHD_FOLDER.mkdir(exist_ok=True)  # where it goes before the login
    host_key = asyncssh.generate_private_key("ssh-ed25519")
    host_key.write_private_key(folder / "host_key")
    (folder / "host_key").chmod(0o600)
    lines = b"".join(key.export_public_key() for key in keys)
    (folder / "authorized_keys").write_bytes(lines)
    port = free_port()
    config = folder / "sshd_config"
    config.write_text(_CONFIG.format(port=port, folder=folder))
    process = await asyncio.create_subprocess_exec(
        sshd, "-D", "-e", "-f", str(config), stderr=asyncio.subprocess.PIPE
    )
    assert process.stderr is not None
    try:
        async with asyncio.timeout(SECONDS):
            said = b""
            while b"Server listening" not in said:
                line = await process.stderr.readline()
                assert line, f"sshd has ended: {said!r}"
                said += line
        drained = asyncio.get_running_loop().create_task(process.stderr.read())
        yield SshServer(port, getpass.getuser(), folder, host_key)
        process.terminate()
        await drained
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()


def encrypted(key: asyncssh.SSHKey, passphrase: str) -> str:
    """The file of a private key, with the rounds that ssh-keygen has long taken.

    What asyncssh takes is more than a second, in which a test's gateway would do nothing else.
    """
    data: bytes = key.export_private_key(
        passphrase=passphrase, rounds=_ROUNDS, ignore_few_rounds=True
    )
    return data.decode()


class Accounts(asyncssh.SSHServer):
    """Who may log in: `ann` by password, `kim` by answers, and with `keys` everybody."""

    def __init__(self, keys: list[asyncssh.SSHKey], ask: bool) -> None:
        self._keys = keys
        self._ask = ask
        self._user = ""

    def begin_auth(self, username: str) -> bool:
        self._user = username
        return True

    def public_key_auth_supported(self) -> bool:
        return bool(self._keys)

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        return key in [each.convert_to_public() for each in self._keys]

    def password_auth_supported(self) -> bool:
        return not self._ask

    def validate_password(self, username: str, password: str) -> bool:
        return username == "ann" and password == PASSWORD

    def kbdint_auth_supported(self) -> bool:
        return self._ask

    def get_kbdint_challenge(self, username: str, lang: str, submethods: str) -> Any:
        return ("Two questions", "Answer both.", "", [("Colour: ", True), ("Token: ", False)])

    def validate_kbdint_response(self, username: str, responses: Any) -> bool:
        return username == "kim" and list(responses) == ["blue", "42"]


Program = Callable[[asyncssh.SSHServerProcess[bytes]], Awaitable[None]]


async def echo_shell(process: asyncssh.SSHServerProcess[bytes]) -> None:
    """Says its terminal's kind and size, then each line back; `exit N` ends it."""
    process.stdout.write(
        f"{process.term_type} {process.term_size[0]}x{process.term_size[1]}\r\n$ ".encode()
    )
    line = b""
    while True:
        try:
            data = await process.stdin.read(1024)
        except asyncssh.TerminalSizeChanged as changed:
            process.stdout.write(f"size {changed.width}x{changed.height}\r\n".encode())
            continue
        if not data:
            break
        line += data
        while b"\r" in line:
            said, _, line = line.partition(b"\r")
            if said.startswith(b"exit"):
                process.exit(int(said[4:] or b"0"))
                return
            process.stdout.write(b"you said " + said + b"\r\n$ ")


@asynccontextmanager
async def scripted(
    folder: Path,
    program: Program = echo_shell,
    *,
    keys: tuple[asyncssh.SSHKey, ...] = (),
    ask: bool = False,
    host_key: asyncssh.SSHKey | None = None,
    other_host_keys: Sequence[asyncssh.SSHKey] = (),
    port: int = 0,
    **options: Any,
) -> AsyncIterator[SshServer]:
    """A server that runs `program` for everybody who logs in; with `ask` by answers."""
    host_key = host_key or asyncssh.generate_private_key("ssh-ed25519")

    server = await asyncssh.create_server(
        lambda: Accounts(list(keys), ask),
        "127.0.0.1",
        port,
        server_host_keys=[host_key, *other_host_keys],
        process_factory=program,
        encoding=None,
        line_editor=False,
        **options,
    )
    try:
        yield SshServer(server.sockets[0].getsockname()[1], "ann", folder, host_key)
    finally:
        server.close()
        await server.wait_closed()


async def logged_in(port: int, cipher: str, **options: Any) -> asyncssh.SSHClientConnection:
    """A connection to such a server on a socket as the gateway has it; `options` are asyncssh's."""
    sock = socket.create_connection(("127.0.0.1", port))
    sock.setblocking(False)
    return await asyncssh.connect(
        tunnel=SocketTunnel(sock),
        username="ann",
        password=PASSWORD,
        known_hosts=None,
        config=None,
        client_keys=None,
        agent_path=None,
        encryption_algs=[cipher],
        compression_algs=None,
        **options,
    )
