"""A pytest plug-in: `.vtc` files are collected as tests, each file one test.

Options: `--vtc-define NAME=VALUE` (may be repeated) and `--vtc-timeout SECONDS`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from holdfast.vtc.language.script import Script
    from holdfast.vtc.run.results import Result

DEFAULT_SECONDS = 60.0


class ScriptFailed(Exception):
    """A script has failed."""

    def __init__(self, result: Result) -> None:
        super().__init__(result.reason)
        self.result = result


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add our options."""
    group = parser.getgroup("vtc", "network test scripts")
    group.addoption(
        "--vtc-define",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="define a macro for .vtc scripts",
    )
    group.addoption(
        "--vtc-timeout",
        type=float,
        default=DEFAULT_SECONDS,
        metavar="SECONDS",
        help="how long a .vtc script may take",
    )


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Collect `.vtc` files."""
    if file_path.suffix != ".vtc":
        return None
    return ScriptFile.from_parent(parent, path=file_path)


class ScriptFile(pytest.File):
    """A `.vtc` file."""

    def collect(self) -> Iterator[pytest.Item]:
        """Its one test."""
        from holdfast.vtc.language.script import ScriptError, read_script

        try:
            script = read_script(os.path.relpath(self.path))
        except ScriptError as error:
            raise self.CollectError(str(error)) from None
        yield ScriptItem.from_parent(self, name=self.path.stem, script=script)


class ScriptItem(pytest.Item):
    """The test in a `.vtc` file."""

    def __init__(self, *, script: Script, **kwargs: object) -> None:
        super().__init__(**kwargs)  # type: ignore[arg-type]
        self.script = script

    def runtest(self) -> None:
        """Run the script. Raises `ScriptFailed`."""
        from holdfast.vtc.run.results import Outcome

        result = _run(self.script, self.config)
        if result.outcome is Outcome.SKIPPED:
            pytest.skip(result.reason)
        if result.outcome is Outcome.FAILED:
            raise ScriptFailed(result)

    def repr_failure(  # type: ignore[override]
        self, excinfo: pytest.ExceptionInfo[BaseException]
    ) -> object:
        """The failure explained, and the log."""
        if not isinstance(excinfo.value, ScriptFailed):
            return super().repr_failure(excinfo)
        from holdfast.vtc.report.explain import explain

        result = excinfo.value.result
        return f"{explain(result)}\n{result.text()}"

    def reportinfo(self) -> tuple[Path, int, str]:
        """The location and the name of the test."""
        return self.path, 0, f"{self.path.name}: {self.script.title}"


def _defined(config: pytest.Config) -> dict[str, str]:
    from holdfast.vtc.language.macros import MacroError, parse_definition

    try:
        return dict(map(parse_definition, config.getoption("--vtc-define")))
    except MacroError as error:
        raise pytest.UsageError(f"--vtc-define: {error}") from None


def _run(script: Script, config: pytest.Config) -> Result:
    from holdfast.vtc.haproxy.requires import installed_why_not
    from holdfast.vtc.language.source import ENCODING
    from holdfast.vtc.run.execute import execute
    from holdfast.vtc.run.results import RunSettings
    from holdfast.vtc.run.runner import common_macros

    pwd = os.fsencode(os.getcwd()).decode(ENCODING)
    results: list[Result] = []
    with common_macros(_defined(config), pwd) as macros:
        settings = RunSettings(
            macros=macros,
            seconds_max=config.getoption("--vtc-timeout"),
            directory=os.environ.get("TMPDIR", "/tmp"),
            pwd=pwd,
            why_not=installed_why_not,
        )
        interruption = execute([script], settings, results.append)
    if interruption:
        raise KeyboardInterrupt
    return results[0]
