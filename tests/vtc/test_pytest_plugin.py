"""pytest collects `.vtc` files."""

from __future__ import annotations

import pytest

pytest_plugins = ["pytester"]


@pytest.fixture
def scripts(pytester: pytest.Pytester) -> pytest.Pytester:
    """A directory with a script of each kind."""
    pytester.makefile(
        ".vtc",
        passes='vtest "it passes"\n',
        fails='vtest "it fails"\nshell {exit 3}\n',
        skips='vtest "it skips"\nfeature cmd false\n',
    )
    return pytester


OTHERS = ("-p", "no:hypothesispytest", "-p", "no:xdist", "-p", "no:xdist.looponfail")
"""Plug-ins that have nothing to do with scripts, and take most of a start."""


def run(pytester: pytest.Pytester, *words: str) -> pytest.RunResult:
    return pytester.runpytest_subprocess("-p", "no:cacheprovider", *OTHERS, *words)


def test_each_file_is_a_test(scripts: pytest.Pytester) -> None:
    result = run(scripts, "-rs")
    result.assert_outcomes(passed=1, failed=1, skipped=1)
    result.stdout.fnmatch_lines(
        [
            "fails.vtc:2:1: top: shell_exit not as expected: got 0x0003 wanted 0x0000",
            "    shell {exit 3}",
            "    ^",
            "*TEST fails.vtc FAILED",
            "SKIPPED * lacking feature: cmd",
        ]
    )


def test_one_test_can_be_chosen(scripts: pytest.Pytester) -> None:
    run(scripts, "passes.vtc").assert_outcomes(passed=1)
    run(scripts, "passes.vtc::passes").assert_outcomes(passed=1)
    run(scripts, "-k", "skips").assert_outcomes(skipped=1, deselected=2)


def test_what_a_script_requires_is_looked_at(pytester: pytest.Pytester) -> None:
    pytester.makefile(".vtc", r='vtest "r"\n\n#REQUIRE_VERSION=99.9\nnonsense\n')
    run(pytester, "-rs").assert_outcomes(skipped=1)


def test_a_macro_can_be_defined(pytester: pytest.Pytester) -> None:
    pytester.makefile(".vtc", d='vtest "d"\nshell {test ${who} = a=b}\n')
    run(pytester, "--vtc-define", "who=a=b").assert_outcomes(passed=1)
    run(pytester).assert_outcomes(failed=1)
    result = run(pytester, "--vtc-define", "who")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*'who' is not NAME=VALUE*"])


def test_a_time_out_can_be_set(pytester: pytest.Pytester) -> None:
    pytester.makefile(".vtc", t='vtest "t"\ndelay 60\n')
    result = run(pytester, "--vtc-timeout", ".2")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["t.vtc:2:1: top: timed out after 0.2 seconds"])


def test_a_file_that_is_no_script_is_an_error(pytester: pytest.Pytester) -> None:
    pytester.makefile(".vtc", foreign="hello\n")
    result = run(pytester)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*doesn't start with 'vtest' or 'varnishtest'*"])


def test_scripts_run_beside_asyncio_tests(pytester: pytest.Pytester) -> None:
    pytester.makefile(".vtc", a='vtest "a"\nshell {true}\n')
    pytester.makepyfile(
        """
        import asyncio

        def test_loop() -> None:
            asyncio.run(asyncio.sleep(0))
        """
    )
    run(pytester).assert_outcomes(passed=2)
