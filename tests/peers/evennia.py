"""Evennia, a server of MUDs from PyPI, in an environment of its own in the user's cache.

`python -m tests.peers.evennia` installs it, with a game that has an account; each test module
plays a copy of that game. Its Portal holds the connections, its Server plays.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.ports import free_port

VERSION: Final = "5.0.1"
NAME, PASSWORD = "admin", "hunter-22"
_PYTHON: Final = f"py{sys.version_info.major}.{sys.version_info.minor}"
_CACHE: Final = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "holdfast"
_HOME: Final = _CACHE / f"evennia-{VERSION}-{_PYTHON}"
_READY: Final = _HOME / "ready"
_SECONDS_MAX: Final = 240.0
_PARTS: Final = ("server", "portal")
_SETTINGS: Final = """
import os

TELNET_PORTS = [int(os.environ.get("MUD_PORT", "4000"))]
TELNET_INTERFACES = ["127.0.0.1"]
AMP_PORT = int(os.environ.get("MUD_AMP_PORT", "4006"))
AMP_HOST = AMP_INTERFACE = "127.0.0.1"
WEBSERVER_ENABLED = False
WEBSOCKET_CLIENT_ENABLED = False
GAME_INDEX_ENABLED = False
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
MAX_CONNECTION_RATE = MAX_COMMAND_RATE = 10000
"""


class EvenniaError(Exception):
    """Evennia cannot be installed here, or does not run."""


class Evennia:
    """A game in a folder, and its processes."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self._folder = folder
        self._environment = {
            **os.environ,
            "PATH": f"{_HOME / 'bin'}:{os.environ['PATH']}",
            "MUD_PORT": str(self.port),
            "MUD_AMP_PORT": str(free_port()),
            "EVENNIA_SUPERUSER_USERNAME": NAME,
            "EVENNIA_SUPERUSER_PASSWORD": PASSWORD,
            "EVENNIA_SUPERUSER_EMAIL": "admin@example.org",
        }

    def do(self, *words: str) -> str:
        """Run its launcher; returns what it says."""
        done = subprocess.run(
            [_HOME / "bin" / "evennia", *words],
            cwd=self._folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_SECONDS_MAX,
            check=False,
        )
        return done.stdout + done.stderr

    def start(self) -> None:
        """Start what does not run, and wait for it. On a busy machine the launcher gives up early.
        Raises `EvenniaError`."""
        until = time.monotonic() + _SECONDS_MAX
        while not _runs(said := self.do("start")):
            if time.monotonic() > until:
                raise EvenniaError(f"Evennia does not start: {said}")

    def reload(self) -> None:
        """Replace the Server while the Portal stays."""
        self.do("reload")
        self.await_log("Server successfully reloaded")

    def kill(self, *parts: str) -> None:
        """Kill `portal` or `server`, which cannot notice it."""
        for part in parts:
            file = self._folder / "server" / f"{part}.pid"
            if file.exists():
                os.kill(int(file.read_text()), signal.SIGKILL)
                file.unlink()

    def await_log(self, line: str) -> None:
        """Wait until this stands in the Server's log. Raises `EvenniaError`."""
        log = self._folder / "server" / "logs" / "server.log"
        until = time.monotonic() + _SECONDS_MAX
        while not log.exists() or line not in log.read_text():
            if time.monotonic() > until:
                raise EvenniaError(f"Evennia has not logged {line!r}")
            time.sleep(0.2)  # it has no other way to say so


def _runs(said: str) -> bool:
    """Whether the launcher has started the rest, or has found nothing to start."""
    return "Evennia running" in said or said.count("is already running") == len(_PARTS)


def install() -> None:
    """Install it and make the game that is copied, unless that is done. Raises `EvenniaError`."""
    _CACHE.mkdir(parents=True, exist_ok=True)
    with (_CACHE / f"{_HOME.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not _READY.exists():
            shutil.rmtree(_HOME, ignore_errors=True)
            _run(sys.executable, "-m", "venv", str(_HOME))
            pip = ("install", "-qq", "--disable-pip-version-check", "--retries", "1")
            _run(str(_HOME / "bin" / "pip"), *pip, f"evennia=={VERSION}")
            _run(str(_HOME / "bin" / "evennia"), "--init", "game")
            _make_world()
            _READY.touch()


def _make_world() -> None:
    game = Evennia(_HOME / "game")
    with (_HOME / "game" / "server" / "conf" / "settings.py").open("a") as settings:
        settings.write(_SETTINGS)
    game.do("migrate")
    try:
        game.start()
        game.await_log("successfully restarted in 'reset' mode")  # then its world is made
    finally:
        game.kill(*_PARTS)


def _run(*command: str) -> None:
    done = subprocess.run(
        command,
        cwd=_HOME if _HOME.exists() else None,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise EvenniaError(f"{' '.join(command)}: {(done.stdout + done.stderr).strip()[-500:]}")


@contextmanager
def running_evennia(folder: Path) -> Iterator[Evennia]:
    """A copy of the game while the block runs."""
    shutil.copytree(_HOME / "game", folder)
    game = Evennia(folder)
    try:
        game.start()
        yield game
    finally:
        game.kill(*_PARTS)


if __name__ == "__main__":
    install()
