"""What the suite asks of each test."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]

_SCOPE: Final = "asyncio_default_fixture_loop_scope=function"
_CONFTEST: Final = "from tests.conftest import no_files_left_open\n"
_TESTS: Final = """
import socket

def test_before():
    pass

def test_leaves_a_socket_open():
    left = [socket.socket()]
    left.append(left)  # only the collector ends it

def test_after():
    pass
"""


def test_a_file_that_is_left_open_fails_the_test_that_left_it(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(_CONFTEST)
    (tmp_path / "test_it.py").write_text(_TESTS)
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-W",
            "error",
            "-o",
            _SCOPE,
            "-p",
            "no:cacheprovider",
        ],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "PATH": ""},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    failed = [line for line in done.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
    assert [line.split(" - ")[0] for line in failed] == [
        "ERROR test_it.py::test_leaves_a_socket_open"
    ], done.stdout
    assert "ResourceWarning" in done.stdout


_ON_UVLOOP: Final = """
import uvloop

def pytest_asyncio_loop_factories(config, item):
    return {"uvloop": uvloop.new_event_loop}
"""
_HANGING: Final = """
import asyncio

async def test_hangs():
    await asyncio.Event().wait()
"""


def test_a_test_that_hangs_on_uvloop_is_ended(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(_ON_UVLOOP)
    (tmp_path / "test_it.py").write_text(_HANGING)
    settings = ("-c", ROOT / "pyproject.toml", "-o", "timeout=1", "-p", "no:cacheprovider")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *settings, "test_it.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 1
    assert "Timeout" in done.stdout, done.stdout + done.stderr
