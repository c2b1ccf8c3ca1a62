"""The settings and the results of a run of tests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum

from holdfast.vtc.language.errors import Failure
from holdfast.vtc.language.position import Position
from holdfast.vtc.language.script import Script
from holdfast.vtc.run.log import Log, render_diag


class KeepDirectories(Enum):
    """Which directories stay when their test is over."""

    NONE = "none"
    FAILED = "failed"
    ALL = "all"


@dataclass(frozen=True, slots=True)
class RunSettings:
    """The settings of all tests of a run."""

    macros: dict[str, str] = field(default_factory=dict)
    """Macros that every test has."""
    seconds_max: float = 60.0
    """How long a test may take."""
    keep: KeepDirectories = KeepDirectories.NONE
    vtest1: bool = False
    """Behave as the first VTest does."""
    in_source_tree: bool = False
    """Option `-i` of VTest2: the feature `topbuild`."""
    directory: str = "/tmp"
    """Where the tests' directories are made."""
    pwd: str = "/"
    why_not: Callable[[str], str] = lambda _: ""
    """Why a script, given its text, cannot run here; empty if it can."""

    @property
    def io_seconds_max(self) -> float:
        """How long a client or a server waits for its peer."""
        return self.seconds_max / 2


class Outcome(Enum):
    """How a test ended. The value is the word in the result line."""

    PASSED = "passed"
    SKIPPED = "skipped"
    FAILED = "FAILED"


@dataclass(slots=True)
class Result:
    """The result of one run of one script."""

    script: Script
    outcome: Outcome
    seconds: float
    log: Log
    diag: str
    """Output that commands wrote past the log."""
    failure: Failure | None
    reason: str
    """Why it was skipped, or why it failed, in one line."""
    timed_out: bool
    checks: list[Position]
    """Where the expectations stand that held."""
    directory: str | None
    """The test's directory, if it was kept."""

    def text(self) -> str:
        """Render the whole log and the output past it."""
        return self.log.render() + render_diag(self.diag)
