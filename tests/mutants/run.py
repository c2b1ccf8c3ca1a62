"""Runs mutants against the tests that mirror them, each in a copy of the project."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from queue import Queue
from tempfile import TemporaryDirectory
from typing import Final

from tests.mutants.first_failure import FILE
from tests.mutants.make import Mutant, mirrored

ROOT: Final = Path(__file__).parents[2]

SECONDS_MAX: Final = 1800.0
"""For the tests of one mutant; one that takes longer is unclear."""
TEST_SECONDS_MAX: Final = 100
"""For one test. A mutant that makes one run longer is noticed: something never ends."""
FAILING_MAX: Final = 5
"""So many tests that fail anyway are left out for one mutant, before it is given up."""
_LEFT_OUT: Final = shutil.ignore_patterns(".*", "__pycache__", "build", "*.egg-info")
_TYPES: Final = ".mypy_cache"
_NO_TESTS_STATUS: Final = 5


class Verdict(Enum):
    """What became of a mutant."""

    KILLED = "killed"
    SURVIVED = "survived"
    REFUSED = "refused"
    """No test failed, but the type checker refuses the change: nobody can make it unnoticed."""
    UNCLEAR = "unclear"
    """Too many tests fail without the mutant too, or they take too long."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """A mutant and what became of it."""

    mutant: Mutant
    verdict: Verdict
    by: str = ""
    """The test that failed; where none did, what is to know of those that were left out."""


class TooLongError(Exception):
    """The tests of a mutant take more than `SECONDS_MAX`."""


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
    failing: list[str] = []
    try:
        for group in mirrored(copy, mutant.path):
            by = _first_to_notice(copy, mutant, group, failing)
            if by:
                return Outcome(mutant, Verdict.KILLED, by)
            if len(failing) > FAILING_MAX:
                return Outcome(mutant, Verdict.UNCLEAR, f"fail anyway: {', '.join(failing)}")
    except TooLongError:
        return Outcome(mutant, Verdict.UNCLEAR, "the tests take too long")
    verdict = Verdict.REFUSED if _is_refused(copy, mutant) else Verdict.SURVIVED
    return Outcome(mutant, verdict, f"without {', '.join(failing)}" if failing else "")


def _first_to_notice(copy: Path, mutant: Mutant, group: Sequence[str], failing: list[str]) -> str:
    """The first test of `group` that fails, and passes without the mutant; empty if none does.

    Tests that fail anyway are added to `failing`.
    """
    while len(failing) <= FAILING_MAX:
        with _changed(copy / mutant.path, mutant.text):
            status, failed = _pytest(copy, [*group, *(f"--deselect={each}" for each in failing)])
        if status in (0, _NO_TESTS_STATUS):
            return ""
        if not failed:
            return "the tests, which cannot be collected or do not end"
        if _pytest(copy, [failed])[0] == 0:
            return failed
        failing.append(failed)
    return ""


def _pytest(copy: Path, tests: Sequence[str]) -> tuple[int, str]:
    """The status of pytest, and the name of the test that failed. Raises `TooLongError`."""
    report = copy / "first-failure"
    report.unlink(missing_ok=True)
    options = ("-x", "-q", "--no-header", "-n", "0", "-o", f"timeout={TEST_SECONDS_MAX}")
    plugins = ("-p", "no:cacheprovider", "-p", "tests.mutants.first_failure")
    environment = {
        "PYTHONPATH": f"{copy / 'src'}{os.pathsep}{ROOT}",
        "HOLDFAST_PURE": "core",  # what is compiled knows no mutant
        FILE: str(report),
    }
    status = _run(copy, ("-m", "pytest", *options, *plugins, *tests), environment)
    return status, report.read_text() if report.exists() else ""


def _is_refused(copy: Path, mutant: Mutant) -> bool:
    """Whether the type checker finds something in the module, and nothing without the mutant."""
    check = ("-m", "mypy", "--no-error-summary", str(mutant.path))
    with _changed(copy / mutant.path, mutant.text):
        status = _run(copy, check, {})
    return status != 0 and _run(copy, check, {}) == 0


def _run(copy: Path, arguments: Sequence[str], environment: Mapping[str, str]) -> int:
    """The status of a Python program in `copy`. Raises `TooLongError`."""
    try:
        return subprocess.run(
            (sys.executable, *arguments),
            cwd=copy,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=SECONDS_MAX,
            check=False,
        ).returncode
    except subprocess.TimeoutExpired as error:
        raise TooLongError from error


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
            if (root / _TYPES).is_dir():  # else the type checker reads everything for the first
                shutil.copytree(root / _TYPES, copy / _TYPES)
            copies.put(copy)
        yield copies
