"""The report for a terminal: a status line, results, explained failures, a summary."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from rich.console import Console
from rich.live import Live
from rich.text import Text

from holdfast.vtc.report.explain import explain
from holdfast.vtc.run.execute import Run
from holdfast.vtc.run.results import Outcome, Result

_STYLES = {
    Outcome.PASSED: ("✓", "green"),
    Outcome.SKIPPED: ("-", "yellow"),
    Outcome.FAILED: ("✗", "bold red"),
}
_REFRESH_PER_SECOND = 8
_SHOWN_RUNNING_MAX = 4


class TerminalReport:
    """Reports a run while it is running."""

    def __init__(self, console: Console, total: int) -> None:
        self._console = console
        self._total = total
        self._done = 0
        self._run: Run | None = None
        self._live = Live(
            get_renderable=self._progress,
            console=console,
            refresh_per_second=_REFRESH_PER_SECOND,
            transient=True,
            auto_refresh=console.is_terminal,
        )

    def __enter__(self) -> TerminalReport:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._console.is_terminal:
            self._live.stop()

    def watch(self, run: Run) -> None:
        """Show what this run is at."""
        self._run = run

    def _progress(self) -> Text:
        running = self._run.running if self._run else []
        shown = ", ".join(running[:_SHOWN_RUNNING_MAX])
        more = len(running) - _SHOWN_RUNNING_MAX
        if more > 0:
            shown += f" and {more} more"
        return Text(f"{self._done}/{self._total} {shown}", style="dim")

    def result(self, result: Result) -> None:
        """Tell of a test that is over."""
        self._done += 1
        sign, style = _STYLES[result.outcome]
        line = Text(f"{sign} ", style=style)
        line.append(result.script.name)
        line.append(f" {result.seconds:.3f} s", style="dim")
        if result.outcome is Outcome.SKIPPED:
            line.append(f" {result.reason}", style="yellow")
        self._console.print(line, soft_wrap=True)
        if result.outcome is Outcome.FAILED:
            self._console.print(Text(_indented(explain(result))), soft_wrap=True)

    def summary(self, results: Sequence[Result], seconds: float) -> None:
        """Report the whole run, and the tests whose results differ."""
        counts = Counter(result.outcome for result in results)
        text = Text()
        for outcome, word in (
            (Outcome.FAILED, "failed"),
            (Outcome.SKIPPED, "skipped"),
            (Outcome.PASSED, "passed"),
        ):
            style = _STYLES[outcome][1] if counts[outcome] else "dim"
            text.append(f"{counts[outcome]} {word}", style=style)
            text.append(", ")
        text.append(f"{seconds:.1f} s")
        self._console.print(text)
        for line in flakes(results):
            self._console.print(Text(line, style="magenta"))


def _indented(text: str) -> str:
    return "".join(f"    {line}\n" for line in text.splitlines())


def flakes(results: Sequence[Result]) -> list[str]:
    """The tests that passed sometimes, with how often, and why they failed."""
    runs: dict[str, list[Result]] = {}
    for result in results:
        runs.setdefault(result.script.name, []).append(result)
    lines = []
    for name, found in runs.items():
        failed = [result for result in found if result.outcome is Outcome.FAILED]
        if 0 < len(failed) < len(found):
            lines.append(f"flaky: {name} failed {len(failed)} of {len(found)} times")
            reasons = Counter(result.reason for result in failed)
            lines += [f"    {times} times: {reason}" for reason, times in reasons.most_common()]
    return lines
