"""The program `holdfast-vtest` from outside: command line, output and exit codes of VTest2."""

from __future__ import annotations

import os
import re
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from tests.programs import need
from tests.vtc.running import vtest

PASSES = 'vtest "it passes"\ndelay .01\n'
FAILS = 'vtest "it fails"\nshell {exit 1}\n'
SKIPS = 'vtest "it skips"\nfeature cmd false\n'
HANGS = """\
vtest "it hangs"

server s1 {
    delay 60
} -start

client c1 -connect ${s1_sock} {
    delay 60
} -run
"""

RESULT = re.compile(r"^#    top  TEST (\S+) (passed|skipped|FAILED) \(\d+\.\d{3}\)( .*)?$")


@pytest.fixture
def scripts(tmp_path: Path) -> Path:
    """A directory with a script of each kind. Tests' directories are made in it too."""
    for name, text in {"p": PASSES, "f": FAILS, "s": SKIPS, "h": HANGS}.items():
        (tmp_path / f"{name}.vtc").write_text(text)
    return tmp_path


def results(output: str) -> list[tuple[str, str, str]]:
    """Name, verdict and the rest of each result line."""
    found = [RESULT.match(line) for line in output.splitlines()]
    return [(match[1], match[2], match[3] or "") for match in found if match]


def left_behind(directory: Path) -> list[Path]:
    return sorted(directory.glob("vtc.*"))


@pytest.mark.parametrize(
    ("files", "status", "expected"),
    [
        ("p", 0, [("p.vtc", "passed", "")]),
        ("s", 77, [("s.vtc", "skipped", "")]),
        ("f", 2, [("f.vtc", "FAILED", " exit=2")]),
        ("p s", 0, [("p.vtc", "passed", ""), ("s.vtc", "skipped", "")]),
        ("p f s", 2, [("p.vtc", "passed", ""), ("f.vtc", "FAILED", " exit=2")]),
    ],
)
def test_the_run_ends_with_the_first_failure(
    scripts: Path, files: str, status: int, expected: list[tuple[str, str, str]]
) -> None:
    done = vtest(*(f"{name}.vtc" for name in files.split()), cwd=scripts)
    assert (done.returncode, results(done.stdout), done.stderr) == (status, expected, "")
    assert left_behind(scripts) == []


@pytest.mark.parametrize(
    ("files", "status", "counts"),
    [
        ("p s f p", 1, "1 tests failed, 1 tests skipped, 2 tests passed\n"),
        ("s s", 77, "0 tests failed, 2 tests skipped, 0 tests passed\n"),
        ("s p", 0, "0 tests failed, 1 tests skipped, 1 tests passed\n"),
    ],
)
def test_k_goes_on_and_counts(scripts: Path, files: str, status: int, counts: str) -> None:
    done = vtest("-k", *(f"{name}.vtc" for name in files.split()), cwd=scripts)
    assert (done.returncode, done.stderr) == (status, counts)
    assert len(results(done.stdout)) == len(files.split())


def test_k_twice_is_no_k(scripts: Path) -> None:
    done = vtest("-k", "-k", "f.vtc", "p.vtc", cwd=scripts)
    assert (done.returncode, len(results(done.stdout)), done.stderr) == (2, 1, "")


def test_a_time_out_does_not_hide_the_failure_before_it(tmp_path: Path) -> None:
    (tmp_path / "t.vtc").write_text(
        "vtest \"t\"\nprocess p1 {trap '' TERM; touch ${tmpdir}/deaf; cat} -start\n"
        "shell {until test -e ${tmpdir}/deaf; do sleep .01; done}\nshell {exit 3}\n"
    )
    done = vtest("-t", "1", "-v", "t.vtc", cwd=tmp_path)
    assert results(done.stdout) == [("t.vtc", "FAILED", " signal=9")]
    assert "shell_exit not as expected" in done.stdout
    assert "timed out after 1 seconds" in done.stdout


@pytest.mark.parametrize("option", ["-t1", "-t 1"])
def test_a_time_out_is_a_failure_of_its_own(scripts: Path, option: str) -> None:
    done = vtest(*option.split(), "h.vtc", cwd=scripts)
    assert done.returncode == 2
    assert "#    top  TEST h.vtc TIMED OUT (kill -9)\n" in done.stdout
    assert results(done.stdout) == [("h.vtc", "FAILED", " signal=9")]
    assert "timed out after 1 seconds" in done.stdout
    assert "*    top   waiting|s1 at h.vtc:4:5: delay 60\n" in done.stdout
    assert "*    top   waiting|c1 at h.vtc:8:5: delay 60\n" in done.stdout
    assert left_behind(scripts) == []


@pytest.mark.parametrize("name", ["VTEST_DURATION", "VARNISHTEST_DURATION"])
def test_the_time_out_can_come_from_the_environment(scripts: Path, name: str) -> None:
    done = vtest("h.vtc", cwd=scripts, **{name: "1"})
    assert results(done.stdout) == [("h.vtc", "FAILED", " signal=9")]


def test_the_log_is_shown_when_it_matters(scripts: Path) -> None:
    def shown(*words: str) -> bool:
        return "RESETTING after" in vtest(*words, cwd=scripts).stdout

    assert shown("f.vtc")
    assert not shown("p.vtc")
    assert shown("-v", "p.vtc")
    assert not shown("-q", "f.vtc")


def test_quiet_says_nothing_of_success(scripts: Path) -> None:
    assert vtest("-q", "p.vtc", "s.vtc", cwd=scripts).stdout == ""
    assert results(vtest("-q", "f.vtc", cwd=scripts).stdout) == [("f.vtc", "FAILED", " exit=2")]


def test_the_log_has_the_reference_s_form(scripts: Path) -> None:
    lines = vtest("-v", "p.vtc", cwd=scripts).stdout.splitlines()
    assert re.fullmatch(r"\*{4} dT    \d\.\d{3}", lines[0])
    assert lines[1] == "*    top   TEST p.vtc starting"
    assert "**** top   extmacro def localhost=127.0.0.1" in lines
    assert "*    top   VTEST it passes" in lines
    assert "**   top   === delay .01" in lines
    assert lines[-2:-1] == ["*    top   TEST p.vtc completed"]


def test_n_repeats_and_j_runs_side_by_side(scripts: Path) -> None:
    done = vtest("-n", "3", "-j2", "p.vtc", "s.vtc", cwd=scripts)
    verdicts = sorted(name for name, _, _ in results(done.stdout))
    assert (done.returncode, verdicts) == (0, ["p.vtc"] * 3 + ["s.vtc"] * 3)


def test_d_defines_a_macro(scripts: Path) -> None:
    (scripts / "d.vtc").write_text('vtest "d"\nshell {test "${who}" = "you=me"}\n')
    assert vtest("-Dwho=you=me", "d.vtc", cwd=scripts).returncode == 0
    assert vtest("-D", "who=me", "d.vtc", cwd=scripts).returncode == 2
    assert "Macro ${who} not found" in vtest("d.vtc", cwd=scripts).stdout


def test_flags_of_the_reference_that_change_nothing_are_accepted(scripts: Path) -> None:
    assert vtest("-C", "-b", "10M", "-p", "a=b", "p.vtc", cwd=scripts).returncode == 0


@pytest.mark.parametrize(
    ("option", "name", "kept"),
    [("-L", "p", 1), ("-L", "f", 1), ("-l", "p", 0), ("-l", "f", 1), ("-q", "f", 0)],
)
def test_directories_are_kept_on_demand(scripts: Path, option: str, name: str, kept: int) -> None:
    log = vtest(option, "-v", f"{name}.vtc", cwd=scripts).stdout
    found = left_behind(scripts)
    assert len(found) == kept
    for directory in found:
        assert (directory / "INFO").read_text() == f"Test case: {name}.vtc\n"
        assert (directory / "LOG").read_text().rstrip() in log


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        ("", 1, "usage: holdfast-vtest [options] file ..."),
        ("-h", 1, "usage: holdfast-vtest [options] file ..."),
        ("-x p.vtc", 1, "holdfast-vtest: invalid option -- 'x'"),
        ("p.vtc -j", 1, "holdfast-vtest: option requires an argument -- 'j'"),
        ("-b 12x p.vtc", 2, "Cannot parse b opt '12x'"),
        ("-D who p.vtc", 2, "Cannot parse D opt 'who'"),
        ("-n 0 p.vtc", 2, "Cannot parse n opt '0'"),
        ("none.vtc", 2, 'Cannot stat file "none.vtc": No such file or directory'),
        ("empty.vtc", 2, 'File "empty.vtc" has no content.'),
        ("foreign.vtc", 2, "File \"foreign.vtc\" doesn't start with 'vtest' or 'varnishtest'"),
        ("p.vtc foreign.vtc", 2, 'File "foreign.vtc" doesn\'t start with'),
        ("-k foreign.vtc", 77, "0 tests failed, 1 tests skipped, 0 tests passed"),
        ("-i p.vtc", 2, "No Makefile to search for -i flag."),
    ],
)
def test_what_cannot_be_run_is_refused(
    scripts: Path, words: str, status: int, message: str
) -> None:
    (scripts / "empty.vtc").touch()
    (scripts / "foreign.vtc").write_text("hello\n")
    done = vtest(*words.split(), cwd=scripts)
    assert (done.returncode, done.stdout) == (status, "")
    assert message in done.stderr


def test_files_may_have_any_bytes_in_them(tmp_path: Path) -> None:
    (tmp_path / "b.vtc").write_bytes(b'vtest "\xff\xfe \xc3\xa4"\nshell {printf "\\377"}\n')
    assert vtest("-v", "b.vtc", cwd=tmp_path).returncode == 0


def test_a_place_in_the_source_tree_is_found(scripts: Path) -> None:
    (scripts / "Makefile").write_text(
        f"abs_top_builddir = {scripts}/build\nabs_top_srcdir = {scripts}\n"
    )
    (scripts / "t.vtc").write_text(
        'vtest "t"\nfeature topbuild\nshell {test ${topbuild} = ${topsrc}/build}\n'
    )
    assert vtest("-i", "t.vtc", cwd=scripts).returncode == 0
    assert vtest("t.vtc", cwd=scripts).returncode == 77


def test_vtest1_sends_what_the_first_vtest_sent(tmp_path: Path) -> None:
    (tmp_path / "v.vtc").write_text(
        """vtest "older"
shell {false; true}
server s1 {
    rxreq
    expect req.http.user-agent == <undef>
    txresp
} -start
client c1 -connect ${s1_sock} {
    txreq
    rxresp
    expect resp.http.date == <undef>
    expect resp.http.server == <undef>
} -run
"""
    )
    assert vtest("--vtest1", "v.vtc", cwd=tmp_path).returncode == 0
    assert vtest("v.vtc", cwd=tmp_path).returncode == 2


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (
            "feature ignore_unknown_macro\nhaproxy h1 -conf {} -start\ndelay 9\n",
            "haproxy died: exit status 127",
        ),
        ("process p1 {no-such-program} -run\n", "Bad exit status: 0x7f00 exit 0x7f"),
        ("shell {no-such-program}\n", "no-such-program: not found"),
        ("shell -exit 127 {no-such-program}\nfeature cmd {command -v none}\n", ""),
    ],
)
def test_a_missing_program_is_told_at_once(tmp_path: Path, body: str, reason: str) -> None:
    (tmp_path / "m.vtc").write_text(f'vtest "m"\n{body}')
    # A shell that may not look into a folder of the PATH would say "Permission denied".
    env = {"HAPROXY_PROGRAM": "/no/such/haproxy", "PATH": os.defpath}
    done = vtest("-v", "m.vtc", cwd=tmp_path, **env)
    assert done.returncode == (2 if reason else 77)
    assert reason in done.stdout
    assert "TIMED OUT" not in done.stdout


def test_a_haproxy_out_of_a_user_s_path_is_found() -> None:
    if not need("haproxy").startswith("/usr/sbin/"):
        pytest.skip("this HAProxy is not where only root looks")
    script = (
        'vtest "h"\n#REQUIRE_VERSION=1.0\nfeature ignore_unknown_macro\nhaproxy h1 -conf-OK {}\n'
    )
    with TemporaryDirectory() as folder:  # HAProxy takes paths of sockets up to 97 characters
        (Path(folder) / "h.vtc").write_text(script)
        done = vtest("h.vtc", cwd=Path(folder), PATH=os.defpath)
    assert results(done.stdout) == [("h.vtc", "passed", "")]


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    (tmp_path / "loop.vtc").symlink_to("loop.vtc")
    done = vtest("loop.vtc", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert 'Cannot stat file "loop.vtc": Too many levels of symbolic links' in done.stderr
