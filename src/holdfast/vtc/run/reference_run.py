"""A run as `holdfast-vtest` makes it: results in the reference's words, as they come."""

from __future__ import annotations

import math
import os
import sys

from holdfast.vtc.language.script import Script, ScriptError, read_script
from holdfast.vtc.language.source import ENCODING
from holdfast.vtc.run.execute import execute
from holdfast.vtc.run.reference_options import ReferenceOptions
from holdfast.vtc.run.results import KeepDirectories, Outcome, Result, RunSettings
from holdfast.vtc.run.runner import common_macros
from holdfast.vtc.run.signals import die_of
from holdfast.vtc.run.source_tree import SourceTreeError, enter_source_tree

STATUS_FAILED_AND_WENT_ON = 1
STATUS_FAILED = 2
STATUS_ALL_SKIPPED = 77
_SIGKILL = 9


class ReferenceRun:
    """A run: its counts and its output."""

    def __init__(self, options: ReferenceOptions) -> None:
        self._options = options
        self._counts = dict.fromkeys(Outcome, 0)

    def run(self) -> int:
        """Run the scripts; the exit status."""
        try:
            scripts = self._read()
            tree = enter_source_tree() if self._options.in_source_tree else {}
        except (ScriptError, SourceTreeError) as error:
            sys.stderr.write(f"{error}\n")
            return STATUS_FAILED
        pwd = os.fsencode(os.getcwd()).decode(ENCODING)
        with common_macros({**self._options.macros, **tree}, pwd) as macros:
            interruption = execute(
                scripts * self._options.iterations,
                self._settings(macros, pwd),
                self._report,
                jobs=self._options.jobs,
                stop_at_failure=not self._options.go_on,
            )
        if interruption:
            for place in interruption.places:
                sys.stderr.write(f"interrupted: {place}\n")
            sys.stderr.flush()
            die_of(interruption.number)
        return self._status()

    def _read(self) -> list[Script]:
        """The files that are scripts. Raises `ScriptError` unless it is to go on."""
        scripts = []
        for name in self._options.files:
            try:
                scripts.append(read_script(name))
            except ScriptError as error:
                if not self._options.go_on:
                    raise
                sys.stderr.write(f"{error}\n")
                self._counts[Outcome.SKIPPED] += error.foreign
        return scripts

    def _settings(self, macros: dict[str, str], pwd: str) -> RunSettings:
        options = self._options
        return RunSettings(
            macros=macros,
            seconds_max=options.seconds or math.inf,
            keep=KeepDirectories(options.keep),
            vtest1=options.vtest1,
            in_source_tree=options.in_source_tree,
            directory=os.environ.get("TMPDIR", "/tmp"),
            pwd=pwd,
        )

    def _report(self, result: Result) -> None:
        self._counts[result.outcome] += 1
        sys.stdout.buffer.write(self._text(result).encode(ENCODING, "replace"))
        sys.stdout.buffer.flush()

    def _text(self, result: Result) -> str:
        name, verbosity = result.script.name, self._options.verbosity
        failed = result.outcome is Outcome.FAILED
        text = result.text() if verbosity > 1 or (verbosity and failed) else ""
        title = f"#    top  TEST {name}"
        if result.timed_out:
            text += f"{title} TIMED OUT (kill -9)\n"
        if failed:
            how = f"signal={_SIGKILL}" if result.timed_out else "exit=2"
            return f"{text}{title} FAILED ({result.seconds:.3f}) {how}\n"
        if verbosity:
            text += f"{title} {result.outcome.value} ({result.seconds:.3f})\n"
        return text

    def _status(self) -> int:
        failed = self._counts[Outcome.FAILED]
        skipped = self._counts[Outcome.SKIPPED]
        passed = self._counts[Outcome.PASSED]
        if self._options.go_on:
            counts = f"{failed} tests failed, {skipped} tests skipped, {passed} tests passed"
            sys.stderr.write(f"{counts}\n")
        if failed:
            return STATUS_FAILED_AND_WENT_ON if self._options.go_on else STATUS_FAILED
        return STATUS_ALL_SKIPPED if skipped and not passed else 0
