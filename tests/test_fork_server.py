from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests import fork_server
from tests.cli.pseudo_terminal import terminal
from tests.vtc.running import processes_of

SCRIPT = '''\
"""Says what it is."""
import json, os, signal, sys

main = sys.modules["__main__"]
file = int(sys.argv[1])
os.write(file, b"passed on")
kept = [name for name in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{name}")]
print(
    json.dumps(
        {
            "arguments": sys.argv,
            "path": sys.path,
            "folder": os.getcwd(),
            "environment": sorted(map(list, os.environ.items())),
            "files": sorted(kept, key=int),
            "streams": [
                [it.name, it.mode, it.encoding, it.errors, it.line_buffering, it.isatty()]
                for it in (sys.stdin, sys.stdout, sys.stderr)
            ],
            "stdin": sys.stdin.read(),
            "session": os.getsid(0) == os.getpid(),
            "group": os.getpgid(0) == os.getpid(),
            "parent": os.getppid(),
            "signals": [str(signal.getsignal(number)) for number in range(1, 32)],
            "name": __name__,
            "file": main.__file__,
        }
    )
)
sys.stderr.write("not a line")
sys.exit(7)
'''


@pytest.fixture(scope="module", autouse=True)
def ready() -> None:
    fork_server.server().wait_until_ready()


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "script.py"
    path.write_text(SCRIPT)
    return path


def is_a_copy(pid: int) -> bool:
    return bool(fork_server.environment_of(pid))


def answer(script: Path, **options: Any) -> tuple[bool, dict[str, Any], str, int]:
    """What the script says."""
    readable, writable = os.pipe()
    process = subprocess.Popen(
        [sys.executable, script.name, str(writable), "ä"],
        cwd=script.parent,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        pass_fds=[writable],
        encoding="utf-8",
        **{"env": dict(os.environ), **options},  # without what a library has put in C's environment
    )
    out, err = process.communicate("typed\n")
    os.close(writable)
    with open(readable, "rb") as passed:
        assert passed.read() == b"passed on"
    said = json.loads(out)
    assert said["parent"] == os.getpid()
    return is_a_copy(process.pid), said, err, process.returncode


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"start_new_session": True},
        {"process_group": 0},
        {"env": {**os.environ, "FORK_SERVER": "a \udcff b"}},
    ],
    ids=["as it is", "session", "group", "environment"],
)
def test_a_copy_is_like_a_process_of_its_own(script: Path, options: Mapping[str, Any]) -> None:
    copied, by_copy, *end_of_copy = answer(script, **options)
    real, by_real, *end_of_real = answer(script, executable=sys.executable, **options)
    assert (copied, real) == (True, False)
    differences = {
        name: (by_copy[name], by_real[name]) for name in by_real if by_copy[name] != by_real[name]
    }
    assert differences == {}
    assert end_of_copy == end_of_real == ["not a line", 7]


def test_it_dies_of_a_signal() -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "holdfast", "serve", "/dev/stdin"], stdin=subprocess.PIPE
    ) as process:
        assert is_a_copy(process.pid)
        process.kill()
    assert process.returncode == -signal.SIGKILL


def test_an_exception_ends_it(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text("1 / 0\n")
    done = subprocess.run([sys.executable, script], capture_output=True, check=False)
    assert done.returncode == 1
    assert done.stderr.endswith(b"ZeroDivisionError: division by zero\n")


def test_the_program_has_its_name() -> None:
    program = str(Path(sys.executable).with_name("holdfast"))
    done = subprocess.run([program, "--no"], capture_output=True, check=False)
    assert done.returncode == 2
    assert b"Usage: holdfast" in done.stderr


@pytest.mark.parametrize(
    "options",
    [
        {"preexec_fn": os.getpid},
        {"env": {**os.environ, "PYTHONHASHSEED": "1"}},
        {"env": {**os.environ, "LC_ALL": "de_DE.UTF-8"}},
        {"cwd": "/", "close_fds": False},
        {"umask": 0o77},
    ],
    ids=["code before", "hash seed", "locale", "open files", "umask"],
)
def test_what_a_copy_cannot_be_is_started(options: Mapping[str, Any]) -> None:
    command = [sys.executable, "-m", "holdfast", "version"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, **options) as process:
        assert not is_a_copy(process.pid)


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no such folder"):
        subprocess.Popen([sys.executable, "-m", "holdfast"], cwd=tmp_path / "no such folder")


async def test_a_terminal_of_its_own() -> None:
    async with terminal("explain", "--no") as it:
        assert is_a_copy(it.process.pid)
        await it.sees("holdfast explain [OPTIONS]")
        assert await it.ends() == 2


def test_a_copy_that_is_left_is_found(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "holdfast", "serve", "/dev/stdin"]
    environment = {**os.environ, "VARNISH_DEFAULT_N": f"{tmp_path}/v1"}
    with subprocess.Popen(command, stdin=subprocess.PIPE, env=environment) as process:
        assert is_a_copy(process.pid)
        assert len(processes_of(tmp_path)) == 1
        process.kill()
    assert processes_of(tmp_path) == []
