"""Runs a suite with a runner, ours or the reference, and reads its verdicts."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from holdfast.vtc.haproxy.processes import haproxy_program
from tests.conformance.vtc.verdicts import PASS

_VERDICT = re.compile(r"^#    top  TEST (\S+) (passed|skipped|FAILED) \(", re.MULTILINE)

OURS = Path(sys.executable).parent / "holdfast-vtest"


@dataclass(slots=True)
class Run:
    """What came of one run of a suite."""

    verdicts: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    output: str = ""


@dataclass(slots=True)
class Suite:
    """A suite, where it is and what is known of it."""

    name: str
    directory: Path
    known: Mapping[str, frozenset[str]]
    flaky: frozenset[str] = frozenset()
    files: list[str] = field(default_factory=list)
    ours_only: bool = False
    """It uses commands that the reference has not."""

    def run(self, runner: Path, jobs: int, tests: tuple[str, ...] = ()) -> Run:
        """Run it, or some of its tests."""
        if self.name == "haproxy":
            return run_haproxy(self.directory, runner, jobs, tests)
        return run_files(self.directory, list(tests) or self.files, runner, jobs)

    def wanted(self, test: str) -> frozenset[str]:
        """The verdicts that are right for a test."""
        return self.known.get(test, PASS)


def say(text: str) -> None:
    """Write a line of the report."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def run_haproxy(tree: Path, runner: Path, jobs: int, tests: tuple[str, ...] = ()) -> Run:
    """HAProxy's own `scripts/run-regtests.sh`, unchanged, with `runner`."""
    with short_directory() as directory:
        env = {
            **os.environ,
            "HAPROXY_PROGRAM": haproxy_program(os.environb),
            "VTEST_PROGRAM": str(runner),
            "TMPDIR": str(directory),
        }
        command = ["scripts/run-regtests.sh", "--v", "--j", str(jobs), *tests]
        return _run(command, tree, env)


def run_files(directory: Path, files: list[str], runner: Path, jobs: int) -> Run:
    """A runner on files of a directory. It is called `vtest` and `varnishtest` there."""
    with named(runner) as path, short_directory() as temporary:
        env = {**os.environ, "PATH": f"{path}:{os.environ['PATH']}", "TMPDIR": str(temporary)}
        return _run([f"{path}/vtest", "-k", "-j", str(jobs), *files], directory, env)


@contextmanager
def short_directory() -> Iterator[Path]:
    """A temporary directory with a short path: scripts put Unix sockets below it."""
    for number in range(100):
        directory = Path("/tmp") / f"v{number}"
        with contextlib.suppress(FileExistsError):
            directory.mkdir(mode=0o700)
            break
    else:
        raise FileExistsError("/tmp/v0 to /tmp/v99 exist")
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


@contextmanager
def named(runner: Path) -> Iterator[Path]:
    """A directory in which a runner has the names that scripts call it by."""
    with tempfile.TemporaryDirectory() as directory:
        for name in ("vtest", "varnishtest"):
            (Path(directory) / name).symlink_to(runner)
        yield Path(directory)


def _run(command: list[str], directory: Path, env: dict[str, str]) -> Run:
    started = time.monotonic()
    done = subprocess.run(
        command,
        cwd=directory,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    output = done.stdout.decode("latin-1")
    return Run(dict(_VERDICT.findall(output)), time.monotonic() - started, output)
