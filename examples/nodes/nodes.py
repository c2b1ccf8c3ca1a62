"""PostgreSQL, two nodes behind HAProxy, and the chat, on this machine: to see what a kill does.

    python nodes.py database    # a PostgreSQL server of its own; Ctrl-C stops it
    python nodes.py start       # the nodes, HAProxy and the chat, each started again when it ends

Sessions, logs and the password are in the folder `data` beside this file. Delete it to begin anew.
"""

from __future__ import annotations

import asyncio
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

DATA = Path("data")
DATABASE_PORT = "5433"
READY = ("http://127.0.0.1:9181/readyz", "http://127.0.0.1:9182/readyz")
READY_SECONDS_MAX = 60.0
PAUSE_SECONDS = 1.0
"""Before a program that has ended is started again."""
HELP = """
Ready. Connect, in another terminal:

    holdfast connect ws://127.0.0.1:8080/
    telnet 127.0.0.1 4000
    or a browser at http://127.0.0.1:8080/play/

Then kill a node as above, and see the client go on. Ctrl-C stops everything.
"""
PROGRAMS = {
    "node a": ("holdfast", "serve", "a.toml"),
    "node b": ("holdfast", "serve", "b.toml"),
    "chat": (sys.executable, "-m", "holdfast.demo.chat"),
    "haproxy": ("haproxy", "-db", "-f", "haproxy.cfg"),
}


def database() -> None:
    """Become PostgreSQL's server, with a cluster of its own."""
    where = postgresql()
    cluster, password = DATA / "postgresql", DATA / "password"
    if not password.exists():
        password.touch(0o600)
        password.write_text(secrets.token_urlsafe() + "\n")
    cluster.mkdir(mode=0o700, exist_ok=True)
    if os.getuid() == 0:  # PostgreSQL refuses root
        become_postgres(cluster, password)
    if not (cluster / "PG_VERSION").exists():
        options = ("-U", "holdfast", "-A", "scram-sha-256", f"--pwfile={password}", "-E", "UTF8")
        run(f"{where}/initdb", "-D", str(cluster), *options)
        create = "CREATE DATABASE holdfast TEMPLATE template0"
        run(f"{where}/postgres", "--single", "-D", str(cluster), "postgres", given=create)
    print(f"PostgreSQL starts at port {DATABASE_PORT}.", flush=True)
    here = ("-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=")
    server = f"{where}/postgres"
    os.execv(server, (server, "-D", str(cluster), "-p", DATABASE_PORT, *here))


def postgresql() -> str:
    """The folder with the programs of the newest PostgreSQL, as Debian has them, or of the PATH."""
    found = [each.parent for each in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    if found:
        return str(max(found, key=lambda folder: float(folder.parent.name)))
    initdb = shutil.which("initdb")
    if initdb is None:
        raise SystemExit("PostgreSQL is not installed; on Debian: apt install postgresql")
    return str(Path(initdb).resolve().parent)


def become_postgres(*files: Path) -> None:
    """Go on as the user `postgres`, who gets these files."""
    user = pwd.getpwnam("postgres")
    for file in files:
        os.chown(file, user.pw_uid, user.pw_gid)
    os.setgroups([])
    os.setgid(user.pw_gid)
    os.setuid(user.pw_uid)


def run(*command: str, given: str = "") -> None:
    done = subprocess.run(command, input=given, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{command[0]} has failed: {done.stderr.strip()}")


async def start() -> None:
    """Run everything but the database, until a signal."""
    for program in ("holdfast", "haproxy"):
        if shutil.which(program) is None:
            raise SystemExit(f"{program} is not installed, or not in the PATH")
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(keep(name, command)) for name, command in PROGRAMS.items()]
        await asyncio.to_thread(wait_until_ready)
        print(HELP, flush=True)
        await stopped.wait()
        for task in running:
            task.cancel()


async def keep(name: str, command: Sequence[str]) -> None:
    """Run a program, and start it again whenever it ends."""
    links = f"unix:{DATA}/a.sock unix:{DATA}/b.sock"
    environment = os.environ | {"HOLDFAST_LINK": links, "HOLDFAST_CHAT_DATA": str(DATA)}
    with log_of(name) as log:
        while True:
            process = await asyncio.create_subprocess_exec(
                *command, env=environment, stdout=log, stderr=log, start_new_session=True
            )
            print(f"{name}: kill -9 {process.pid}", flush=True)
            try:
                code = await process.wait()
            except asyncio.CancelledError:
                process.terminate()
                await process.wait()
                raise
            why = f": {last_line(name)}" if code > 0 else ""
            print(f"{name} has ended ({code}), and is started again{why}", flush=True)
            await asyncio.sleep(PAUSE_SECONDS)


def log_of(name: str) -> BinaryIO:
    return open(DATA / f"{name}.log", "ab")


def last_line(name: str) -> str:
    """What a program has said last."""
    said = (DATA / f"{name}.log").read_text(errors="replace").splitlines()
    return said[-1] if said else "it said nothing"


def wait_until_ready() -> None:
    """Wait until clients may come to both nodes."""
    deadline = time.monotonic() + READY_SECONDS_MAX
    for url in READY:
        while not ready(url):
            if time.monotonic() >= deadline:
                raise SystemExit(f"The nodes are not ready: their logs are in {DATA.resolve()}")
            time.sleep(0.1)


def ready(url: str) -> bool:
    try:
        urllib.request.urlopen(url, timeout=1.0).close()
    except (urllib.error.URLError, OSError):
        return False
    return True


if __name__ == "__main__":
    os.chdir(Path(__file__).parent)
    DATA.mkdir(exist_ok=True)
    match sys.argv[1:]:
        case ["database"]:
            database()
        case ["start"]:
            asyncio.run(start())
        case _:
            raise SystemExit(__doc__)
