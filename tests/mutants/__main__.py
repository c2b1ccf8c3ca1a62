"""`./dev mutants [--sample N] [--seed S]`: how many changes of a line the tests notice."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from tests.mutants.make import sample
from tests.mutants.run import Outcome, Verdict, run_all

ROOT = Path(__file__).parents[2]


def main() -> None:
    """Draw a sample, run it, and write a table by folder and what survived."""
    parser = argparse.ArgumentParser(prog="./dev mutants", description=__doc__)
    parser.add_argument("--sample", type=int, default=70, help="how many mutants (70)")
    parser.add_argument("--seed", type=int, default=1, help="of the sample (1)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="so many at a time")
    options = parser.parse_args()
    started = time.monotonic()
    outcomes = run_all(ROOT, sample(ROOT, options.sample, options.seed), options.jobs, _tell)
    sys.stdout.write(f"\n{table(outcomes)}\n{time.monotonic() - started:.0f} s\n")


def table(outcomes: Sequence[Outcome]) -> str:
    """What became of the mutants of each folder."""
    counts: dict[str, Counter[Verdict]] = {}
    for outcome in outcomes:
        folder = outcome.mutant.path.parts[2]
        counts.setdefault(folder, Counter())[outcome.verdict] += 1
    rows = [*sorted(counts.items()), ("all", sum(counts.values(), Counter[Verdict]()))]
    return "\n".join(
        [
            f"{'folder':12} {'mutants':>7} {'killed':>7} {'survived':>8} {'refused':>7}"
            f" {'unclear':>7}",
            *(f"{folder:12} {count.total():7} {_row(count)}" for folder, count in rows),
        ]
    )


def _row(count: Counter[Verdict]) -> str:
    killed, survived = count[Verdict.KILLED], count[Verdict.SURVIVED]
    share = f"{100 * killed / (killed + survived):5.0f} %" if killed + survived else ""
    refused, unclear = count[Verdict.REFUSED], count[Verdict.UNCLEAR]
    return f"{killed:7} {survived:8} {refused:7} {unclear:7} {share}"


def _tell(outcome: Outcome) -> None:
    mutant = outcome.mutant
    sys.stdout.write(f"{outcome.verdict.value:9} {mutant.path}:{mutant.line}  {outcome.by}\n")
    if outcome.verdict is not Verdict.KILLED:
        sys.stdout.write(f"          - {mutant.before}\n          + {mutant.after}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
