"""Runs mutants against the tests that mirror them, each in a copy of the project."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from queue import Queue
from tempfile import TemporaryDirectory
from typing import Final

from tests.mutants.make import Mutant, mirrored

SECONDS_MAX: Final = 600.0
"""For the tests of one mutant. One that makes them run longer is noticed: a test never ends."""
FAILING_MAX: Final = 3
"""So many tests that fail anyway are left out for one mutant, before it is given up."""
_LEFT_OUT: Final = shutil.ignore_patterns(".*", "__pycache__", "build", "*.egg-info")
_NO_TESTS_STATUS: Final = 5
_FAILED: Final = re.compile(r"^(?:FAILED|ERROR) (tests/.+?)(?: - |$)", re.MULTILINE)


class Verdict(Enum):
    """What became of a mutant."""

    KILLED = "killed"
    SURVIVED = "survived"
    UNCLEAR = "unclear"
    """The tests that failed fail without the mutant too, or there is no test."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """A mutant and what became of it."""

    mutant: Mutant
    verdict: Verdict
    by: str = ""
    """The test that failed."""


def run_all(
    root: Path, mutants: Sequence[Mutant], jobs: int, tell: Callable[[Outcome], None]
) -> list[Outcome]:
    """Run each mutant, `jobs` at a time, and tell of each as it ends."""
    told = threading.Lock()
    with _copies(root, jobs) as copies, ThreadPoolExecutor(jobs) as threads:

        def one(mutant: Mutant) -> Outcome:
            copy = copies.get()
            try:
                outcome = run_one(copy, mutant)
            finally:
                copies.put(copy)
            with told:
                tell(outcome)
            return outcome

        return list(threads.map(one, mutants))


def run_one(copy: Path, mutant: Mutant) -> Outcome:
    """Run the tests that mirror `mutant` in `copy`, which is as before afterwards.

    A test that fails without the mutant too is left out, and the others are asked.
    """
    groups = mirrored(copy, mutant.path)
    failing: list[str] = []
    for group in groups:
        while len(failing) <= FAILING_MAX:
            with _changed(copy / mutant.path, mutant.text):
                status, output = _pytest(
                    copy, [*group, *(f"--deselect={each}" for each in failing)]
                )
            if status in (0, _NO_TESTS_STATUS):
                break
            failed = _FAILED.search(output)
            by = failed[1] if failed else "a test that does not end, or no test can be collected"
            if not failed or "::" not in by or _pytest(copy, [by])[0] == 0:
                return Outcome(mutant, Verdict.KILLED, by)
            failing.append(by)
    return Outcome(
        mutant, Verdict.SURVIVED if groups and not failing else Verdict.UNCLEAR, *failing[:1]
    )


def _pytest(copy: Path, tests: Sequence[str]) -> tuple[int, str]:
    """The status of pytest, and its output; a status of -1 where it does not end in time."""
    command = (sys.executable, "-m", "pytest", "-x", "-q", "--no-header", "-n", "0")
    environment = {**os.environ, "PYTHONPATH": str(copy / "src")}
    try:
        done = subprocess.run(
            (*command, "-p", "no:cacheprovider", *tests),
            cwd=copy,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=SECONDS_MAX,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return -1, ""
    return done.returncode, done.stdout


@contextmanager
def _changed(path: Path, text: str) -> Iterator[None]:
    before = path.read_text()
    path.write_text(text)
    _no_bytecode(path)
    try:
        yield
    finally:
        path.write_text(before)
        _no_bytecode(path)


def _no_bytecode(path: Path) -> None:
    """Python takes a file of the same second and size for the one that it has compiled."""
    for cached in (path.parent / "__pycache__").glob(f"{path.stem}.*.pyc"):
        cached.unlink(missing_ok=True)


@contextmanager
def _copies(root: Path, number: int) -> Iterator[Queue[Path]]:
    """So many copies of the project."""
    with TemporaryDirectory(prefix="holdfast-mutants-") as folder:
        copies: Queue[Path] = Queue()
        for index in range(number):
            copy = Path(folder, str(index))
            shutil.copytree(root, copy, ignore=_LEFT_OUT)
            copies.put(copy)
        yield copies
