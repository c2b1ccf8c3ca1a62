"""`holdfast vtc`: runs test scripts, for terminals and for build servers."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from holdfast.vtc.haproxy.requires import installed_why_not
from holdfast.vtc.language.check import check as check_script
from holdfast.vtc.language.macros import MacroError, parse_definition
from holdfast.vtc.language.manual import manual as make_manual
from holdfast.vtc.language.script import Script, ScriptError, read_script
from holdfast.vtc.language.source import ENCODING
from holdfast.vtc.report.files import as_json, junit, tap
from holdfast.vtc.report.terminal import TerminalReport
from holdfast.vtc.report.timeline import as_html, as_text
from holdfast.vtc.run.execute import Interruption, execute
from holdfast.vtc.run.results import KeepDirectories, Outcome, Result, RunSettings
from holdfast.vtc.run.runner import common_macros
from holdfast.vtc.run.signals import die_of

STATUS_FAILED = 1
STATUS_BAD_INPUT = 2


def _new_file(path: Path | None) -> Path | None:
    """Refuse a report that could not be written, before the tests have run for nothing."""
    if path and not path.parent.is_dir():
        raise typer.BadParameter(f"there is no directory {path.parent}")
    return path


_NEW_FILE: dict[str, Any] = {"callback": _new_file, "dir_okay": False}


@dataclass(frozen=True, slots=True)
class _Wanted:
    """The reports to write."""

    junit: Path | None
    tap: Path | None
    json: Path | None
    timeline: Path | None

    def write(self, results: Sequence[Result], seconds: float) -> None:
        if self.junit:
            self.junit.write_text(junit(results, seconds), encoding="utf-8")
        if self.tap:
            self.tap.write_text(tap(results), encoding="utf-8")
        if self.json:
            self.json.write_text(as_json(results, seconds), encoding="utf-8")
        if self.timeline:
            html = self.timeline.suffix in (".html", ".htm")
            text = as_html(results) if html else "\n".join(map(as_text, results))
            self.timeline.write_text(text, encoding="utf-8")


@dataclass(slots=True)
class _Run:
    """A run and its results."""

    results: list[Result] = field(default_factory=list)
    seconds: float = 0.0
    interruption: Interruption | None = None

    def perform(
        self, console: Console, scripts: list[Script], settings: RunSettings, jobs: int
    ) -> None:
        started = time.monotonic()
        with TerminalReport(console, len(scripts)) as report:

            def keep(result: Result) -> None:
                self.results.append(result)
                report.result(result)

            self.interruption = execute(scripts, settings, keep, jobs=jobs, on_start=report.watch)
        self.seconds = time.monotonic() - started
        for place in self.interruption.places if self.interruption else ():
            console.print(Text(f"interrupted: {place}", style="bold red"), soft_wrap=True)
        report.summary(self.results, self.seconds)

    def end(self) -> None:
        """End the program as the run went."""
        if self.interruption:
            die_of(self.interruption.number)
        if any(result.outcome is Outcome.FAILED for result in self.results):
            raise typer.Exit(STATUS_FAILED)


def vtc(
    files: Annotated[list[Path] | None, typer.Argument(help="Scripts, or folders of them.")] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Only read the scripts and say what cannot be right.")
    ] = False,
    jobs: Annotated[
        int, typer.Option("-j", "--jobs", min=1, help="Run so many tests side by side.")
    ] = os.cpu_count() or 1,
    repeat: Annotated[
        int, typer.Option(min=1, help="Run each test so many times, and name the flaky ones.")
    ] = 1,
    timeout: Annotated[
        float, typer.Option("-t", "--timeout", min=0.1, help="Seconds that a test may take.")
    ] = 60.0,
    define: Annotated[
        list[str] | None, typer.Option("-D", "--define", help="Define a macro, NAME=VALUE.")
    ] = None,
    keep: Annotated[
        KeepDirectories,
        typer.Option(help="Keep the directories of these tests.", case_sensitive=False),
    ] = KeepDirectories.NONE,
    vtest1: Annotated[
        bool, typer.Option("--vtest1", help="Behave as the first VTest did.")
    ] = False,
    junit_file: Annotated[
        Path | None,
        typer.Option("--junit", help="Write a JUnit report.", **_NEW_FILE),
    ] = None,
    tap_file: Annotated[
        Path | None, typer.Option("--tap", help="Write a TAP report.", **_NEW_FILE)
    ] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write a JSON report.", **_NEW_FILE)
    ] = None,
    timeline: Annotated[
        Path | None,
        typer.Option(
            help="Write a timeline of the messages; a page if the name ends in .html.", **_NEW_FILE
        ),
    ] = None,
    manual: Annotated[
        bool, typer.Option("--manual", help="Show the manual of the language.")
    ] = False,
) -> None:
    """Run network test scripts (.vtc), compatible with VTest2 and varnishtest.

    Exits with 1 if a test fails, and with 2 for scripts that cannot be read.

    Examples:

        holdfast vtc tests/scripts -j 4 --junit report.xml

        holdfast vtc --check chat.vtc

        holdfast vtc chat.vtc --repeat 20 --timeline chat.html
    """
    console = Console(highlight=False)
    if manual:
        typer.echo(make_manual())
        return
    macros = _macros(define or [])
    scripts = _read(files or [])
    if check:
        raise typer.Exit(_check(scripts, macros))
    wanted = _Wanted(junit_file, tap_file, json_file, timeline)
    run = _Run()
    with _settings(macros, timeout, keep, vtest1=vtest1) as settings:
        run.perform(console, scripts * repeat, settings, jobs)
    wanted.write(run.results, run.seconds)
    run.end()


@contextmanager
def _settings(
    macros: dict[str, str], seconds_max: float, keep: KeepDirectories, *, vtest1: bool
) -> Iterator[RunSettings]:
    """The settings of a run, for the duration of the block."""
    pwd = os.fsencode(os.getcwd()).decode(ENCODING)
    with common_macros(macros, pwd) as common:
        yield RunSettings(
            macros=common,
            seconds_max=seconds_max,
            keep=keep,
            vtest1=vtest1,
            directory=os.environ.get("TMPDIR", "/tmp"),
            pwd=pwd,
            why_not=installed_why_not,
        )


def _macros(definitions: list[str]) -> dict[str, str]:
    try:
        return dict(map(parse_definition, definitions))
    except MacroError as error:
        raise typer.BadParameter(str(error), param_hint="-D") from None


def _read(paths: list[Path]) -> list[Script]:
    """The scripts, those of folders included."""
    if not paths:
        raise typer.BadParameter("no scripts given", param_hint="FILES")
    found: list[Script] = []
    for path in paths:
        names = sorted(path.rglob("*.vtc")) if path.is_dir() else [path]
        for name in names:
            try:
                found.append(read_script(str(name)))
            except ScriptError as error:
                typer.echo(error, err=True)
                raise typer.Exit(STATUS_BAD_INPUT) from None
    if not found:
        raise typer.BadParameter("no .vtc files in there", param_hint="FILES")
    return found


def _check(scripts: list[Script], macros: dict[str, str]) -> int:
    problems = [problem for script in scripts for problem in check_script(script, macros)]
    for problem in problems:
        typer.echo(problem)
    typer.echo(f"{len(scripts)} scripts, {len(problems)} problems")
    return STATUS_BAD_INPUT if problems else 0
