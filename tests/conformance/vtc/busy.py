"""A suite beside busy processes: does it fail more often than with the reference?"""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.conformance.vtc.suites import OURS, Suite, say

BUSY = 2
ROUNDS = 3


def compare_beside_busy_processes(suite: Suite, jobs: int, reference: Path | None) -> bool:
    """Run the suite in turns with both; whether ours fails no more often.

    Without the reference no test may fail that is not known to.
    """
    runners = {"ours": OURS}
    if reference and not suite.ours_only:
        runners["the reference"] = reference
    failures = {name: Counter[str]() for name in runners}
    with _busy_processes():
        for turn in range(1, ROUNDS + 1):
            for name, runner in runners.items():
                run = suite.run(runner, jobs)
                failed = [
                    test for test, got in run.verdicts.items() if got not in suite.wanted(test)
                ]
                failures[name].update(failed)
                say(
                    f"{suite.name}, busy, {name}, run {turn}: {len(run.verdicts)} tests in "
                    f"{run.seconds:.1f} s (-j{jobs}), {len(failed)} failed"
                )
    for name, counts in failures.items():
        for test, count in counts.most_common():
            say(f"    {name}: {test} failed {count} of {ROUNDS} times")
    return failures["ours"].total() <= failures.get("the reference", Counter()).total()


@contextmanager
def _busy_processes() -> Iterator[None]:
    with ExitStack() as stack:
        for _ in range(BUSY):
            program = subprocess.Popen([sys.executable, "-c", "while True: pass"])
            stack.callback(program.wait)
            stack.callback(program.kill)
        yield
