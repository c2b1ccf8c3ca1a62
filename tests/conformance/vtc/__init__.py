"""The test language, on our own scripts and the suites of HAProxy, Varnish and VTest2.

Fetches Debian's source packages, runs their scripts with `holdfast-vtest` and
compares the verdicts with the reference's. Then, for each script that passes,
runs a copy with one expectation falsified, which must fail.

With `--busy` each suite runs beside two processes that never rest, three times,
in turns with the reference if its program is given (`--reference`): it may not
fail more often.
"""

from __future__ import annotations

import argparse
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from holdfast.vtc.haproxy.processes import haproxy_program
from holdfast.vtc.haproxy.requires import installed_why_not
from holdfast.vtc.language.script import Script, parse_script, read_script
from holdfast.vtc.language.source import ENCODING
from holdfast.vtc.run.execute import execute
from holdfast.vtc.run.results import Outcome, Result, RunSettings
from holdfast.vtc.run.runner import common_macros
from tests.conformance.vtc import verdicts
from tests.conformance.vtc.busy import compare_beside_busy_processes
from tests.conformance.vtc.falsify import falsified
from tests.conformance.vtc.sources import SourceError, source_tree, version_of
from tests.conformance.vtc.suites import (
    OURS,
    Run,
    Suite,
    named,
    say,
    short_directory,
)

FALSIFIED_SECONDS_MAX = 15.0
"""For a test or its copy; a copy may wait for what never comes."""
RETRIES = 2
_SUITES = ("own", "haproxy", "varnish", "vtest2")
_OWN = Path(__file__).parents[2] / "scripts"


def main(arguments: list[str]) -> int:
    """Run the suites; 0 if all verdicts are alike."""
    options = _parse(arguments)
    good = True
    for name in options.suites or _SUITES:
        try:
            suite = _suite(name, options)
        except SourceError as error:
            say(f"{name}: cannot be had: {error}")
            good = False
            continue
        if suite:
            good &= _run(suite, options)
    return 0 if good else 1


def _run(suite: Suite, options: argparse.Namespace) -> bool:
    if options.busy:
        return compare_beside_busy_processes(suite, options.jobs, options.reference)
    good = _compare(suite, options)
    if not options.no_falsified:
        good &= _falsify(suite, options.jobs)
    for jobs in options.time:
        _time(suite, jobs, options)
    return good


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="./dev conformance vtc",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("suites", nargs="*", help=f"{', '.join(_SUITES)}; all if none is named")
    parser.add_argument("-j", "--jobs", type=int, default=4, help="tests side by side")
    parser.add_argument("--haproxy", type=Path, help="an unpacked HAProxy source")
    parser.add_argument("--varnish", type=Path, help="an unpacked Varnish source")
    parser.add_argument("--vtest2", type=Path, help="the folder of VTest2's tests")
    parser.add_argument("--reference", type=Path, help="VTest2's program, to compare with")
    parser.add_argument("--time", type=int, nargs="*", default=[], help="measure with so many jobs")
    parser.add_argument("--busy", action="store_true", help="run beside two busy processes")
    parser.add_argument("--no-falsified", action="store_true", help="leave that part out")
    options = parser.parse_args(arguments)
    if unknown := set(options.suites) - set(_SUITES):
        parser.error(f"no suite {', '.join(sorted(unknown))}")
    return options


def _suite(name: str, options: argparse.Namespace) -> Suite | None:
    """A suite; `None` if it was not asked for. Raises `SourceError` if it cannot be had."""
    if name == "haproxy":
        if not shutil.which(program := haproxy_program(os.environb)):
            raise SourceError(f"there is no program {program}")
        tree = options.haproxy or _source(name)
        return Suite("haproxy", tree, verdicts.HAPROXY, verdicts.HAPROXY_FLAKY)
    if name == "own":
        files = sorted(path.name for path in _OWN.glob("*.vtc"))
        return Suite(name, _OWN, {}, files=files, ours_only=True)
    if name == "varnish":
        tests = (options.varnish or _source(name)) / "bin" / "varnishtest" / "tests"
        return _folder("varnish", tests, verdicts.VARNISH)
    return _folder("vtest2", options.vtest2, verdicts.VTEST2) if options.vtest2 else None


def _source(package: str) -> Path:
    """The source of a Debian package. Raises `SourceError`."""
    tree = source_tree(package)
    say(f"{package}: version {version_of(tree)}")
    return tree


def _folder(name: str, directory: Path, known: Mapping[str, frozenset[str]]) -> Suite:
    files = sorted(path.name for path in directory.glob("a*.vtc"))
    if not files:
        raise SourceError(f"{directory}: no a*.vtc there")
    return Suite(name, directory, known, files=files)


def _compare(suite: Suite, options: argparse.Namespace) -> bool:
    run = suite.run(OURS, options.jobs)
    differing = [
        test for test, verdict in run.verdicts.items() if verdict not in suite.wanted(test)
    ]
    differing = _retry(suite, differing)
    stable = [test for test in differing if test not in suite.flaky]
    missing = sorted(set(suite.files) - set(run.verdicts))
    say(f"{suite.name}: {len(run.verdicts)} tests in {run.seconds:.1f} s (-j{options.jobs})")
    say(
        f"  alike {len(run.verdicts) - len(differing)}, differing {len(stable)}, "
        f"flaky with the reference too {len(differing) - len(stable)}"
    )
    if missing:
        say(f"    without a verdict: {', '.join(missing)}")
    for test in differing:
        note = " (flaky)" if test in suite.flaky else ""
        say(f"    {test}: {run.verdicts[test]}, known {'/'.join(suite.wanted(test))}{note}")
    if options.reference and not suite.ours_only:
        _compare_with_reference(suite, run, options)
    return bool(run.verdicts) and not stable and not missing


def _retry(suite: Suite, tests: list[str]) -> list[str]:
    """Which of them differ every time: a loaded machine can fail a test that counts time."""
    for _ in range(RETRIES):
        if tests:
            again = suite.run(OURS, 1, tuple(tests))
            tests = [test for test in tests if again.verdicts.get(test) not in suite.wanted(test)]
    return tests


def _compare_with_reference(suite: Suite, ours: Run, options: argparse.Namespace) -> None:
    theirs = suite.run(options.reference, options.jobs)
    say(f"  the reference here: {theirs.seconds:.1f} s (-j{options.jobs})")
    for test in sorted({*ours.verdicts, *theirs.verdicts}):
        mine, other = ours.verdicts.get(test), theirs.verdicts.get(test)
        if mine != other:
            note = " (flaky)" if test in suite.flaky else ""
            say(f"    {test}: ours {mine}, the reference {other}{note}")


def _time(suite: Suite, jobs: int, options: argparse.Namespace) -> None:
    runners = [("ours", OURS)]
    if options.reference and not suite.ours_only:
        runners.append(("the reference", options.reference))
    for name, runner in runners:
        run = suite.run(runner, jobs)
        say(f"  -j{jobs} {name}: {run.seconds:.1f} s")


def _falsify(suite: Suite, jobs: int) -> bool:
    """Run copies with one expectation falsified; whether all of them failed."""
    with _surroundings(suite) as settings:
        originals = _play([read_script(name) for name in _names(suite)], settings, jobs)
        copies: dict[str, Script] = {}
        nothing = []
        for result in originals:
            if result.outcome is Outcome.PASSED:
                made = falsified(result.script.source.text, result.checks)
                if made is None:
                    nothing.append(result.script.name)
                else:
                    copies[result.script.name] = parse_script(result.script.name, made[0])
        passed = [
            result.script.name
            for result in _play(list(copies.values()), settings, jobs)
            if result.outcome is not Outcome.FAILED
        ]
    say(f"  falsified copies: {len(copies)}, of which fail {len(copies) - len(passed)}")
    for name in passed:
        say(f"    {name}: does not fail")
    if others := sum(result.outcome is not Outcome.PASSED for result in originals):
        say(f"    {others} did not pass here, so there are no copies of them")
    if nothing:
        say(f"    nothing to falsify: {', '.join(sorted(nothing))}")
    return not passed


def _names(suite: Suite) -> list[str]:
    if suite.files:
        return suite.files
    return sorted(str(path) for path in Path("reg-tests").rglob("*.vtc"))


@contextmanager
def _surroundings(suite: Suite) -> Iterator[RunSettings]:
    """The suite's directory and environment, for runs in this process."""
    before, environment = os.getcwd(), dict(os.environ)
    os.chdir(suite.directory)
    os.environ["HAPROXY_PROGRAM"] = shutil.which(haproxy_program(os.environb)) or ""
    os.environ.setdefault("HAPROXY_ARGS", "-dM")
    try:
        with (
            short_directory() as directory,
            named(OURS) as programs,
            common_macros({}, os.fsencode(os.getcwd()).decode(ENCODING)) as macros,
        ):
            os.environ["PATH"] = f"{programs}:{environment['PATH']}"
            yield RunSettings(
                macros=macros,
                seconds_max=FALSIFIED_SECONDS_MAX,
                directory=str(directory),
                pwd=os.fsencode(os.getcwd()).decode(ENCODING),
                why_not=installed_why_not,
            )
    finally:
        os.chdir(before)
        os.environ.clear()
        os.environ.update(environment)


def _play(scripts: list[Script], settings: RunSettings, jobs: int) -> list[Result]:
    results: list[Result] = []
    execute(scripts, settings, results.append, jobs=jobs)
    return results
