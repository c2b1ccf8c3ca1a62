"""Starts of `holdfast` as copies of a process that has imported it already.

Python takes a third of a second of a processor to import the gateway, and the suite starts
hundreds. `install` makes `subprocess` start a Python program of this project as a copy of the
template (`tests/fork_template`): a process of its own, a child of this one, with the arguments,
files, folder, environment, session and group that were asked for, and nothing of this process.
Whatever else is asked for (another program, a `preexec_fn` but `take_terminal`, other variables for
Python itself) is started as ever, and so is everything until the template is ready.
"""

from __future__ import annotations

import atexit
import json
import os
import socket
import subprocess
import sys
import sysconfig
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from tests import fork_template

_NAMES: Final = (
    *("args", "executable", "preexec_fn", "close_fds", "pass_fds", "cwd", "env", "startupinfo"),
    *(
        "creationflags",
        "shell",
        "p2cread",
        "p2cwrite",
        "c2pread",
        "c2pwrite",
        "errread",
        "errwrite",
    ),
    *("restore_signals", "gid", "gids", "uid", "umask", "start_new_session", "process_group"),
)
"""What `Popen._execute_child` is given."""
_ORDINARY: Final = {
    "executable": None,
    "close_fds": True,
    "shell": False,
    "restore_signals": True,
    "gid": None,
    "gids": None,
    "uid": None,
    "umask": -1,
}
"""What is asked for most of the time; anything else is not for the template."""
_OF_PYTHON: Final = ("PYTHON", "LD_", "LC_", "LANG", "MALLOC_", "OPENSSL_", "GLIBC_")
"""Variables that a process looks at before it runs a line of ours."""
_ANY_VALUE: Final = ("PYTHONFAULTHANDLER", "PYTHONUNBUFFERED")
"""Those that the template sets up by itself."""
_SCRIPTS: Final = Path(sysconfig.get_path("scripts"))
_PROGRAMS: Final = tuple(str(_SCRIPTS / name) for name in ("holdfast", "holdfast-vtest"))


class ForkServer:
    """The template, as the process sees it that wants copies."""

    def __init__(self) -> None:
        here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.environments: dict[int, dict[str, str]] = {}
        """By process: the environment. `/proc` shows that of the template."""
        self._socket = here
        self._lock = threading.Lock()
        self._is_ready = False
        self._variables = _variables(os.environ)
        command = [sys.executable, fork_template.__file__, str(there.fileno())]
        self._process = subprocess.Popen(
            command, executable=sys.executable, pass_fds=[there.fileno()]
        )
        there.close()

    def close(self) -> None:
        """End the template."""
        self._socket.close()
        self._process.wait()

    def wait_until_ready(self) -> None:
        with self._lock:
            if not self._is_ready:
                self._is_ready = self._socket.recv(100) == b"ready"

    def takes(self, environment: Mapping[str, str]) -> bool:
        """Whether copies can be had by now, and with this environment."""
        if self._variables != _variables(environment):
            return False
        if not self._is_ready and self._lock.acquire(blocking=False):
            try:
                self._is_ready = self._socket.recv(100, socket.MSG_DONTWAIT) == b"ready"
            except BlockingIOError:
                return False
            finally:
                self._lock.release()
        return self._is_ready

    def start(self, request: Mapping[str, Any], files: list[int]) -> int:
        """Have a copy run what the request says. Returns its number, 0 if there is none."""
        with self._lock:
            try:
                socket.send_fds(self._socket, [json.dumps(request).encode()], files)
                pid = int(self._socket.recv(100) or b"0")
            except OSError:
                pid = 0
            self._is_ready = pid != 0
        if pid:
            self.environments[pid] = request["env"]
        return pid


_server: ForkServer | None = None


def server() -> ForkServer:
    """The fork server of this process, started when it is first asked for."""
    global _server
    if _server is None:
        _server = ForkServer()
        atexit.register(_server.close)
    return _server


def environment_of(pid: int) -> list[bytes]:
    """What a process was started with, if it is a copy: `NAME=value`, as in `/proc`."""
    variables = {} if _server is None else _server.environments.get(pid, {})
    return [os.fsencode(f"{name}={value}") for name, value in variables.items()]


def install() -> None:
    """Make `subprocess` start programs by it, in this process."""
    execute = subprocess.Popen._execute_child  # type: ignore[attr-defined]

    def execute_child(self: subprocess.Popen[Any], *given: Any) -> None:
        asked = dict(zip(_NAMES, given, strict=False))
        words = _words(asked)
        if len(given) != len(_NAMES) or words is None or not _copy(self, words, asked):
            execute(self, *given)

    subprocess.Popen._execute_child = execute_child  # type: ignore[attr-defined]


def _words(asked: Mapping[str, Any]) -> list[str] | None:
    """What Python is to run, if the template can: `-m holdfast …` or a script."""
    if any(asked[name] != value for name, value in _ORDINARY.items()):
        return None
    if asked["preexec_fn"] not in (None, fork_template.take_terminal):
        return None
    if isinstance(asked["args"], str | bytes | os.PathLike):
        return None
    words = list(map(os.fsdecode, asked["args"]))
    if words[0] == sys.executable and len(words) > 1:
        del words[0]
    elif words[0] not in _PROGRAMS:
        return None
    is_ours = words[:2] == ["-m", "holdfast"] or words[0].endswith(".py") or words[0] in _PROGRAMS
    return words if is_ours else None


def _copy(process: subprocess.Popen[Any], words: list[str], asked: Mapping[str, Any]) -> bool:
    """Start a copy for `process`. Returns whether it could be had."""
    given = os.environ if asked["env"] is None else asked["env"]
    environment = {os.fsdecode(name): os.fsdecode(value) for name, value in given.items()}
    cwd = os.fsdecode(asked["cwd"] or os.getcwd())
    if not os.path.isdir(cwd) or not server().takes(environment):
        return False
    streams = [asked[name] for name in ("p2cread", "c2pwrite", "errwrite")]
    files = [number if at == -1 else at for number, at in enumerate(streams)]
    pass_fds = sorted(asked["pass_fds"])
    request = {
        "words": words,
        "cwd": cwd,
        "env": environment,
        "pass_fds": pass_fds,
        "session": asked["start_new_session"],
        "group": asked["process_group"],
        "terminal": asked["preexec_fn"] is not None,
    }
    pid = server().start(request, [*files, *pass_fds])
    if not pid:
        return False
    process.pid = pid
    process._child_created = True  # type: ignore[attr-defined]
    pipes = ("p2cread", "p2cwrite", "c2pread", "c2pwrite", "errread", "errwrite")
    process._close_pipe_fds(*[asked[name] for name in pipes])  # type: ignore[attr-defined]
    return True


def _variables(environment: Mapping[str, str]) -> dict[str, str]:
    return {
        name: value
        for name, value in environment.items()
        if value and name.startswith(_OF_PYTHON) and name not in _ANY_VALUE
    }
