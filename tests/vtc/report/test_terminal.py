"""What a terminal shows of a run."""

from __future__ import annotations

import dataclasses
import io

import pytest
from rich.console import Console
from tests.vtc.running import run_script

from holdfast.vtc.report.terminal import TerminalReport
from holdfast.vtc.run.results import Outcome, Result


@pytest.fixture(scope="module")
def passed() -> Result:
    return run_script("delay 0\n")


def shown(results: list[Result], seconds: float = 1.25) -> str:
    out = io.StringIO()
    report = TerminalReport(Console(file=out, width=40), len(results))
    with report:
        for result in results:
            report.result(result)
        report.summary(results, seconds)
    return out.getvalue()


def but(result: Result, outcome: Outcome, seconds: float = 0.5, reason: str = "") -> Result:
    return dataclasses.replace(result, outcome=outcome, seconds=seconds, reason=reason)


def test_each_result_is_a_line_and_the_end_counts_them(passed: Result) -> None:
    name = passed.script.name
    results = [
        but(passed, Outcome.PASSED, 0.1234),
        but(passed, Outcome.SKIPPED, reason="no such program on this machine, nor on another"),
        but(passed, Outcome.SKIPPED, reason="x"),
    ]
    assert shown(results).splitlines() == [
        f"✓ {name} 0.123 s",
        f"- {name} 0.500 s no such program on this machine, nor on another",
        f"- {name} 0.500 s x",
        "0 failed, 2 skipped, 1 passed, 1.2 s",
    ]


def test_a_failure_is_explained_below_its_line(passed: Result) -> None:
    failed = run_script('vtest "no"\nshell {exit 3}\n')
    lines = shown([failed]).splitlines()
    assert lines[0].startswith(f"✗ {failed.script.name} ")
    assert lines[1].startswith("    test.vtc:2:")
    assert all(line.startswith("    ") or not line for line in lines[1:-1])
    assert lines[-1] == "1 failed, 0 skipped, 0 passed, 1.2 s"


class Running:
    """A run with tests under way."""

    def __init__(self, *names: str) -> None:
        self.running = list(names)


@pytest.mark.parametrize(
    ("names", "text"),
    [
        ((), "0/9 "),
        (("a",), "0/9 a"),
        (("a", "b", "c", "d"), "0/9 a, b, c, d"),
        (("a", "b", "c", "d", "e", "f"), "0/9 a, b, c, d and 2 more"),
    ],
)
def test_the_status_line_names_what_runs(names: tuple[str, ...], text: str) -> None:
    report = TerminalReport(Console(file=io.StringIO()), 9)
    assert report._progress().plain == "0/9 "
    report.watch(Running(*names))  # type: ignore[arg-type]
    assert report._progress().plain == text
