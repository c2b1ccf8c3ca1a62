"""A PostgreSQL server for tests: a private cluster, made when the first test needs it."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any, Final

from tests.ports import free_port
from tests.programs import missing, need

_FOLDERS: Final = "/usr/lib/postgresql"
"""Where Debian has the programs of each version."""
_SECONDS_MAX: Final = 120.0
_USERS: Final = ("postgres", "nobody")
"""Who runs the server if root runs the tests: the server refuses root."""
_SETTINGS: Final = {
    "fsync": "off",
    "full_page_writes": "off",
    "max_connections": "60",
    "shared_buffers": "16MB",
    "autovacuum": "off",
    "listen_addresses": "127.0.0.1",
    "log_min_messages": "fatal",
}

REAL: Final = {"fsync": "on", "full_page_writes": "on", "autovacuum": "on"}
"""Settings of a server that loses nothing, as operators have."""


def programs() -> Path:
    """The folder with the server's programs, of the newest version that is installed."""
    found = sorted(
        (each for each in Path(_FOLDERS).glob("*/bin") if (each / "initdb").exists()),
        key=lambda each: float(each.parent.name),
    )
    if found:
        return found[-1]
    initdb = shutil.which("initdb")
    if initdb is None:
        missing("postgresql is not installed (./dev peers)")
    return Path(initdb).resolve().parent


class Cluster:
    """A running server. Its superuser is `holdfast`, who needs no password at the socket."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self._programs = programs()
        self._numbers = count(1)
        self._free: list[str] = []
        self._server: subprocess.Popen[bytes] | None = None
        self._settings: dict[str, str] = {}

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def _saved(self) -> Path:
        return self.folder / "saved"

    def make(self) -> None:
        """Make the cluster's files."""
        if os.getuid() == 0:
            os.chown(self.folder, _user().pw_uid, _user().pw_gid)
        pwfile = self.write("password", b"right\n")
        options = ["-U", "holdfast", "-A", "scram-sha-256", f"--pwfile={pwfile}", "-E", "UTF8"]
        self._run("initdb", "-D", str(self.data), "--no-sync", "--locale=C", *options)
        rules = self.data / "pg_hba.conf"
        rules.write_text(
            "local all all trust\nlocal replication all trust\n"
            "host all all 127.0.0.1/32 scram-sha-256\n"
        )

    def make_standby(self, primary: Cluster) -> None:
        """Make the files of a server that reads what another one, which runs, has written."""
        if os.getuid() == 0:
            os.chown(self.folder, _user().pw_uid, _user().pw_gid)
        at = f"host={primary.folder} port={primary.port} user=holdfast"
        self._run(
            "pg_basebackup", "-D", str(self.data), "-d", at, "-X", "stream", "-c", "fast", "-R"
        )

    def start(self, **settings: str) -> None:
        """Start the server, and wait until it answers."""
        self._settings = settings
        options = {**_SETTINGS, "unix_socket_directories": str(self.folder), **settings}
        command = [str(self._programs / "postgres"), "-D", str(self.data), "-p", str(self.port)]
        for key, value in options.items():
            command += ["-c", f"{key}={value}"]
        self._server = subprocess.Popen(
            command, cwd=self.folder, stderr=subprocess.DEVNULL, **_as_user()
        )
        deadline = time.monotonic() + _SECONDS_MAX
        while not self._is_ready():
            assert self._server.poll() is None, "the server has ended"
            assert time.monotonic() < deadline, "the server does not start"
            time.sleep(0.02)

    def start_again(self) -> None:
        """Start the server with the settings that it had."""
        self.start(**self._settings)

    def stop(self, how: signal.Signals = signal.SIGQUIT) -> None:
        """Stop the server: at once, as after a crash."""
        if self._server is not None:
            self._server.send_signal(how)
            self._server.wait(_SECONDS_MAX)
            self._server = None

    def save(self) -> None:
        """Copy the files of the server, which is stopped."""
        assert self._server is None
        shutil.rmtree(self._saved, ignore_errors=True)
        _copy(self.data, self._saved)

    def restore(self) -> None:
        """Go back to the copy: what was committed since is lost, as where a standby takes over."""
        assert self._server is None
        shutil.rmtree(self.data)
        self._saved.rename(self.data)

    @contextmanager
    def stopped(self, processes: Sequence[int]) -> Iterator[None]:
        """These processes, and the one that accepts connections, answer nothing meanwhile."""
        assert self._server is not None
        every = [self._server.pid, *processes]
        for pid in every:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in every:
                os.kill(pid, signal.SIGCONT)

    def write(self, name: str, content: bytes) -> Path:
        """A file that the server, and nobody else, may read."""
        path = self.folder / name
        path.touch(0o600)
        path.write_bytes(content)
        if os.getuid() == 0:
            os.chown(path, _user().pw_uid, _user().pw_gid)
        return path

    def url(self, database: str, *, user: str = "holdfast", **options: str) -> str:
        """The address of a database, by the Unix socket."""
        query = {"host": str(self.folder), "port": str(self.port), **options}
        words = "&".join(f"{key}={value}" for key, value in query.items())
        return f"postgresql://{user}@/{database}?{words}"

    def network_url(self, database: str, credentials: str = "holdfast:right") -> str:
        """The address of a database, by TCP, where a password is asked for."""
        return f"postgresql://{credentials}@127.0.0.1:{self.port}/{database}"

    async def new_database(self, options: str = "") -> str:
        """Make a database. Returns its name."""
        name = f"test{next(self._numbers)}"
        await self.run("postgres", f"CREATE DATABASE {name} TEMPLATE template0 {options}")
        return name

    async def empty_database(self) -> str:
        """An empty database: one that was given back, or a new one."""
        return self._free.pop() if self._free else await self.new_database()

    async def give_back(self, name: str) -> None:
        """Empty a database, for the next test. Nobody uses it any more."""
        await self.run(name, "DROP SCHEMA IF EXISTS holdfast CASCADE")
        self._free.append(name)

    async def run(self, database: str, *statements: str) -> list[Any]:
        """Execute statements as the superuser. Returns the rows of the last one."""
        import asyncpg  # each process of the suite would pay for it

        db = await asyncpg.connect(self.url(database))
        try:
            rows: list[Any] = []
            for statement in statements:
                rows = await db.fetch(statement)
            return rows
        finally:
            await db.close()

    def _is_ready(self) -> bool:
        """Whether the server says so in its file (its line 8)."""
        try:
            lines = (self.data / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return False
        assert self._server is not None
        return lines[:1] == [str(self._server.pid)] and lines[7:8] == ["ready   "]

    def _run(self, program: str, *arguments: str) -> None:
        command: Sequence[str] = (str(self._programs / program), *arguments)
        done = subprocess.run(
            command, cwd=self.folder, capture_output=True, check=False, **_as_user()
        )
        assert done.returncode == 0, done.stderr.decode()


@contextmanager
def pooled(cluster: Cluster, mode: str) -> Iterator[int]:
    """PgBouncer in front of a cluster, in one of its modes. Gives its port."""
    port = free_port()
    settings = f"""
        [databases]
        * = host={cluster.folder} port={cluster.port} user=holdfast
        [pgbouncer]
        listen_addr = 127.0.0.1
        listen_port = {port}
        unix_socket_dir =
        auth_type = any
        pool_mode = {mode}
        default_pool_size = {20 if mode == "session" else 3}
        server_round_robin = 1
    """
    lines = "\n".join(line.strip() for line in settings.splitlines())
    config = cluster.write("pgbouncer.ini", lines.encode())
    pgbouncer = subprocess.Popen(
        [need("pgbouncer"), "-q", str(config)],
        cwd=cluster.folder,
        stderr=subprocess.DEVNULL,
        **_as_user(),
    )
    try:
        _wait_for(port, pgbouncer)
        yield port
    finally:
        pgbouncer.kill()
        pgbouncer.wait(_SECONDS_MAX)


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    """Wait until somebody listens at a port."""
    deadline = time.monotonic() + _SECONDS_MAX
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            assert process.poll() is None, "the program has ended"
            assert time.monotonic() < deadline, "the program does not start"
            time.sleep(0.02)
        else:
            return


@contextmanager
def standby(primary: Cluster) -> Iterator[Cluster]:
    """A replica of a cluster, which is removed afterwards."""
    with tempfile.TemporaryDirectory(prefix="holdfast-pg-", dir="/tmp") as folder:
        replica = Cluster(Path(folder))
        replica.make_standby(primary)
        replica.start()
        try:
            yield replica
        finally:
            replica.stop()


@contextmanager
def running(**settings: str) -> Iterator[Cluster]:
    """A cluster of its own, which is removed afterwards."""
    with tempfile.TemporaryDirectory(prefix="holdfast-pg-", dir="/tmp") as folder:
        cluster = Cluster(Path(folder))
        cluster.make()
        cluster.start(**settings)
        try:
            yield cluster
        finally:
            cluster.stop()


def _copy(folder: Path, target: Path) -> None:
    """Copy a folder with the owners of its files."""
    subprocess.run(["cp", "-a", str(folder), str(target)], check=True)


def _user() -> pwd.struct_passwd:
    known = {user.pw_name: user for user in pwd.getpwall()}
    for name in _USERS:
        if name in known:
            return known[name]
    return missing("no user that could run PostgreSQL's server, which refuses root")


def _as_user() -> dict[str, Any]:
    if os.getuid() != 0:
        return {}
    user = _user()
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
