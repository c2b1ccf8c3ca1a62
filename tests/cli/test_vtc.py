"""The command `holdfast vtc`."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest
from typer.testing import CliRunner, Result

from holdfast.cli.main import app
from holdfast.vtc.language.manual import manual

SCRIPTS = {
    "a/passes.vtc": 'vtest "it passes"\nshell {true}\n',
    "a/skips.vtc": 'vtest "it skips"\nfeature cmd false\n',
    "fails.vtc": 'vtest "it fails"\nshell {exit 3}\n',
    "wrong.vtc": 'vtest "it has slips"\nserver s1 {\n    txresq\n}\n\nshell {echo ${nowhere}}\n',
}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with scripts."""
    for name, text in SCRIPTS.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    return tmp_path


def run(*words: str) -> Result:
    return CliRunner().invoke(app, ["vtc", *words])


def test_folders_are_searched(here: Path) -> None:
    done = run("a")
    lines = done.output.splitlines()
    assert done.exit_code == 0
    skipped, passed = sorted(lines[:2])  # they run side by side
    assert passed.startswith("✓ a/passes.vtc 0.")
    assert skipped.startswith("- a/skips.vtc 0.")
    assert skipped.endswith("lacking feature: cmd")
    assert lines[2].startswith("0 failed, 1 skipped, 1 passed, ")


def test_a_failure_is_explained(here: Path) -> None:
    done = run("fails.vtc", "a")
    assert done.exit_code == 1
    assert (
        "    fails.vtc:2:1: top: shell_exit not as expected: got 0x0003 wanted 0x0000\n"
        "        shell {exit 3}\n"
        "        ^\n"
    ) in done.output
    assert "1 failed, 1 skipped, 1 passed" in done.output


def test_scripts_can_be_checked_without_being_run(here: Path) -> None:
    done = run("--check", "wrong.vtc", "a")
    assert done.exit_code == 2
    assert done.output == (
        'wrong.vtc:3:5: Unknown command: "txresq"\n'
        "        txresq\n"
        "        ^\n"
        "wrong.vtc:6:13: Macro ${nowhere} not found\n"
        "    shell {echo ${nowhere}}\n"
        "                ^\n"
        "3 scripts, 2 problems\n"
    )
    assert run("--check", "a").exit_code == 0


def test_reports_are_written(here: Path) -> None:
    done = run(
        "fails.vtc", "a", "--junit", "j.xml", "--tap", "t.tap", "--json", "r.json",
        "--timeline", "t.html",
    )  # fmt: skip
    assert done.exit_code == 1
    assert ElementTree.parse("j.xml").getroot()[0].get("tests") == "3"
    assert (here / "t.tap").read_text().startswith("TAP version 13\n1..3\n")
    assert json.loads((here / "r.json").read_text())["failed"] == 1
    assert (here / "t.html").read_text().startswith("<!doctype html>")


def test_a_timeline_can_be_text(here: Path) -> None:
    run("a/passes.vtc", "--timeline", "t.txt")
    assert (here / "t.txt").read_text().startswith("a/passes.vtc: passed (")


def test_flaky_tests_are_found(here: Path) -> None:
    (here / "flaky.vtc").write_text(
        'vtest "flaky"\nshell {echo >>${pwd}/runs; test $(wc -l <${pwd}/runs) -ne 2}\n'
    )
    done = run("--repeat", "4", "-j", "1", "flaky.vtc", "a/passes.vtc")
    assert done.exit_code == 1
    assert "1 failed, 0 skipped, 7 passed" in done.output
    assert "flaky: flaky.vtc failed 1 of 4 times\n    1 times: shell_exit" in done.output


def test_macros_can_be_defined(here: Path) -> None:
    (here / "d.vtc").write_text('vtest "d"\nshell {test ${who} = me}\n')
    assert run("d.vtc").exit_code == 1
    assert run("-D", "who=me", "d.vtc").exit_code == 0


def test_what_a_script_requires_is_looked_at(here: Path) -> None:
    (here / "r.vtc").write_text('vtest "r"\n#REQUIRE_VERSION=99.9\nnonsense\n')
    assert "0 failed, 1 skipped, 0 passed" in run("r.vtc").output


def test_a_time_out_can_be_set(here: Path) -> None:
    (here / "t.vtc").write_text('vtest "t"\ndelay 60\n')
    assert "timed out after 0.2 seconds" in run("-t", "0.2", "t.vtc").output


@pytest.mark.parametrize(("keep", "kept"), [("none", 0), ("failed", 1), ("all", 2)])
def test_directories_can_be_kept(
    here: Path, monkeypatch: pytest.MonkeyPatch, keep: str, kept: int
) -> None:
    monkeypatch.setenv("TMPDIR", str(here))
    done = run("--keep", keep, "fails.vtc", "a/passes.vtc")
    assert len(list(here.glob("vtc.*"))) == kept
    assert ("kept in" in done.output) == (keep != "none")


def test_the_manual_can_be_shown() -> None:
    done = run("--manual")
    assert done.exit_code == 0
    assert done.output == f"{manual()}\n"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("", "no scripts given"),
        ("none.vtc", "No such file or directory"),
        ("empty", "no .vtc files in there"),
        ("foreign.vtc", "doesn't start with"),
        ("-D who a", "'who' is not NAME=VALUE"),
        ("--junit no/j.xml a", "there is no directory no"),
        ("--tap a a", "is a directory"),
        ("--repeat 0 a", "x>=1"),
        ("-j 0 a", "x>=1"),
        ("-t 0 a", "x>=0.1"),
        ("--keep some a", "'some' is not one of"),
        ("--nonsense", "No such option"),
    ],
)
def test_bad_input_is_refused(here: Path, words: str, message: str) -> None:
    (here / "empty").mkdir()
    (here / "foreign.vtc").write_text("hello\n")
    done = run(*words.split())
    assert done.exit_code == 2
    assert message in done.output
    assert "passed" not in done.output
