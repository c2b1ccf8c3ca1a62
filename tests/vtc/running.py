"""Runs a script in this process, for tests."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from textwrap import dedent

from tests.fork_server import environment_of
from tests.vtc.cases import Case

from holdfast.vtc.language.script import parse_script
from holdfast.vtc.run.results import Outcome, Result, RunSettings
from holdfast.vtc.run.runner import ScriptRunner, common_macros

SECONDS_MAX = 30.0
NAME = "test.vtc"
PROGRAM = str(Path(sys.executable).with_name("holdfast-vtest"))


def run_script(text: str, **settings: object) -> Result:
    """The result of a script; a title is put in front if it has none."""
    whole = dedent(text).lstrip()
    if not whole.startswith(("vtest", "varnishtest")):
        whole = f'vtest "a test"\n{whole}'
    results: list[Result] = []
    with tempfile.TemporaryDirectory(prefix="v.") as directory, common_macros({}, "/") as macros:
        merged = {"macros": macros, "directory": directory, "pwd": "/", "seconds_max": SECONDS_MAX}
        chosen = RunSettings(**{**merged, **settings})  # type: ignore[arg-type]
        runner = ScriptRunner([parse_script(NAME, whole)], chosen, results.append)
        asyncio.run(runner.run())
        assert os.listdir(directory) == [], "the test's directory is left behind"
        assert_no_processes(Path(directory))
    return results[0]


def assert_ends_as_it_should(case: Case) -> None:
    """Run a script and compare its end with the specification's."""
    result = run_script(case.script)
    assert result.outcome is case.outcome, result.text()
    assert case.reason in result.reason
    if case.outcome is Outcome.FAILED:
        assert result.failure is not None
        position = result.failure.position
        assert position is not None, result.text()
        assert case.where in ("", f"{position.line}:{position.column}")


def processes_of(directory: Path) -> list[str]:
    """The command lines of all living processes that a test in `directory` has started."""
    marker = f"VARNISH_DEFAULT_N={directory}/".encode()
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            entries = (process / "environ").read_bytes().split(b"\0")
            words = (process / "cmdline").read_bytes()
        except OSError:
            continue
        entries += environment_of(int(process.name))
        if any(entry.startswith(marker) for entry in entries):
            found.append(words.replace(b"\0", b" ").decode())
    return found


def assert_no_processes(directory: Path) -> None:
    """What a test in `directory` has started is dead; what was killed may take a moment."""
    deadline = time.monotonic() + SECONDS_MAX
    while processes_of(directory) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert processes_of(directory) == []


def vtest(*words: str, cwd: Path, **env: str) -> subprocess.CompletedProcess[str]:
    """Run the program `holdfast-vtest` to its end."""
    return subprocess.run(
        [PROGRAM, *words],
        cwd=cwd,
        env={**os.environ, "TMPDIR": str(cwd), **env},
        capture_output=True,
        text=True,
        errors="surrogateescape",
        timeout=60,
        check=False,
    )
