"""The template of the fork server: a process that has imported `holdfast`, and copies itself.

Run as `python fork_template.py FD`, where FD is a socket. Each request on it says what a process
is to run; its standard streams come with it. The process is made by `clone` with `CLONE_PARENT`,
so it is a child of whoever started the template.
"""

from __future__ import annotations

import ctypes
import faulthandler
import fcntl
import gc
import io
import json
import os
import pkgutil
import platform
import runpy
import signal
import socket
import sys
import termios
from importlib import import_module
from types import ModuleType
from typing import Any, Final

REQUEST_BYTES_MAX: Final = 1 << 17
FILES_MAX: Final = 16
CLONE_PARENT: Final = 0x8000
CLONE_NUMBERS: Final = {"x86_64": 56, "aarch64": 220}
"""The number of the system call, by machine."""
_PACKAGES: Final = ("holdfast.cli", "holdfast.backends", "holdfast.vtc")
_MODULES: Final = (
    "holdfast.app",
    "holdfast.client",
    "holdfast.tcp",
    "holdfast.websocket",
    "uvloop",
)


def main() -> None:
    here = socket.socket(fileno=int(sys.argv[1]))
    preload()
    gc.collect()
    gc.freeze()
    here.send(b"ready")
    while True:
        request, files, _, _ = socket.recv_fds(here, REQUEST_BYTES_MAX, FILES_MAX)
        if not request:
            return
        wanted = json.loads(request)
        pid = clone()
        if pid == 0:
            take_place(wanted, files, here)
            break
        for file in files:
            os.close(file)
        if pid < 0:
            here.send(b"0")
    run(wanted["words"])


def preload() -> None:
    """Import what programs of the suite import when they start."""
    for package in map(import_module, _PACKAGES):
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not found.name.endswith("pytest_plugin"):
                import_module(found.name)
    for module in _MODULES:
        import_module(module)


def clone() -> int:
    """Copy this process, as `os.fork` does, but as a child of its parent. Negative: an error."""
    python = ctypes.pythonapi
    syscall = ctypes.PyDLL(None).syscall
    syscall.restype = ctypes.c_long
    python.PyOS_BeforeFork()
    number = CLONE_NUMBERS[platform.machine()]
    pid = syscall(number, CLONE_PARENT | signal.SIGCHLD, *[ctypes.c_void_p(None)] * 4)
    if pid == 0:
        python.PyOS_AfterFork_Child()
    else:
        python.PyOS_AfterFork_Parent()
    return int(pid)


def take_place(wanted: dict[str, Any], files: list[int], here: socket.socket) -> None:
    """Be what a process is that was started for this request, and tell that it runs."""
    if wanted["session"]:
        os.setsid()
    if wanted["group"] >= 0:
        os.setpgid(0, wanted["group"])
    os.chdir(wanted["cwd"])
    os.environb.clear()
    os.environ.update(wanted["env"])
    numbers = [0, 1, 2, *wanted["pass_fds"]]
    highest = max(*numbers, *files, here.fileno()) + 1
    # First out of the way of the numbers that are wanted.
    kept = [os.dup2(file, highest + at) for at, file in enumerate(files)]
    answer = os.dup2(here.detach(), highest + len(files), inheritable=False)
    for file, number in zip(kept, numbers, strict=True):
        os.dup2(file, number)
    if wanted["terminal"]:
        take_terminal()
    os.write(answer, b"%d" % os.getpid())
    low = 0
    for number in sorted(numbers):
        if low < number:
            os.closerange(low, number)
        low = number + 1
    os.closerange(low, answer + 1)
    open_streams()
    if wanted["env"].get("PYTHONFAULTHANDLER"):
        faulthandler.enable()


def take_terminal() -> None:
    """Make the terminal that is the standard input control this session."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def open_streams() -> None:
    """Make the standard streams anew: they may be terminals now."""
    unbuffered = bool(os.environ.get("PYTHONUNBUFFERED"))
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        old = getattr(sys, name)
        raw = io.FileIO(number, "w" if number else "r", closefd=False)
        raw.name = f"<{name}>"
        if number == 0:
            file: Any = io.BufferedReader(raw)
        else:
            file = raw if unbuffered else io.BufferedWriter(raw)
        new: Any = io.TextIOWrapper(
            file,
            old.encoding,
            old.errors,
            newline="\n",
            line_buffering=not unbuffered and (name == "stderr" or raw.isatty()),
            write_through=unbuffered,
        )
        new.mode = old.mode
        setattr(sys, name, new)
        setattr(sys, f"__{name}__", new)


def run(words: list[str]) -> None:
    """Run the program, as Python does with these arguments."""
    if words[0] == "-m":
        sys.path[0] = os.getcwd()
        sys.argv = words[1:]
        runpy.run_module(words[1], run_name="__main__", alter_sys=True)
    else:
        sys.path[0] = os.path.dirname(os.path.realpath(words[0]))
        sys.argv = words
        main = ModuleType("__main__")
        main.__file__ = os.path.abspath(words[0])
        sys.modules["__main__"] = main
        with io.open_code(words[0]) as file:
            code = compile(file.read(), main.__file__, "exec")
        exec(code, main.__dict__)


if __name__ == "__main__":
    main()
