"""However a run ends: no process, no port and no directory stays."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.vtc.running import (
    PROGRAM,
    SECONDS_MAX,
    assert_no_processes,
    processes_of,
    run_script,
    vtest,
)

STUBBORN = "    trap '' TERM INT HUP\n"

BUSY = """\
vtest "everybody is busy"

process p1 {
    setsid sleep 1000 &
    sleep 1001 &
STUBBORN    cat
} -start

shell {sleep 1002 >/dev/null 2>&1 &}

barrier b1 sock 2
syslog S1 -level info {
    recv
} -start

server s1 {
    delay 60
} -start

client c1 -connect ${s1_sock} {
    shell {printf '${s1_port}\\n${b1_port}\\n' >ports; mv ports ${testdir}/}
    barrier b1 sync
} -run
""".replace("STUBBORN", STUBBORN)


@pytest.fixture
def busy(tmp_path: Path) -> Path:
    """A directory with a script that has one of everything and waits."""
    (tmp_path / "busy.vtc").write_text(BUSY)
    return tmp_path


def start(directory: Path, *words: str) -> subprocess.Popen[str]:
    # As from a terminal, also where the tests themselves run under `nohup` or in the background.
    defaults = ["env", "--default-signal=HUP,INT,TERM"]
    return subprocess.Popen(
        [*defaults, PROGRAM, *words, "busy.vtc"],
        cwd=directory,
        env={**os.environ, "TMPDIR": str(directory)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for(path: Path) -> None:
    deadline = time.monotonic() + SECONDS_MAX
    while not path.exists():
        assert time.monotonic() < deadline, f"{path} never came"
        time.sleep(0.01)


def assert_nothing_is_left(directory: Path) -> None:
    assert list(directory.glob("vtc.*")) == []
    assert_no_processes(directory)
    for port in (directory / "ports").read_text().split():
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", int(port)))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("words", [[], ["-j2", "-n2"]])
def test_a_signal_ends_everything(busy: Path, number: signal.Signals, words: list[str]) -> None:
    with start(busy, *words) as program:
        wait_for(busy / "ports")
        assert len(processes_of(busy)) >= 4
        program.send_signal(number)
        _, errors = program.communicate(timeout=SECONDS_MAX)
    assert program.returncode == -number
    assert "interrupted: s1 at busy.vtc:18:5: delay 60\n" in errors
    assert "interrupted: c1 at busy.vtc:2" in errors
    assert_nothing_is_left(busy)


def test_a_second_signal_changes_nothing(busy: Path) -> None:
    with start(busy) as program:
        wait_for(busy / "ports")
        for _ in range(5):
            program.send_signal(signal.SIGINT)
        program.communicate(timeout=SECONDS_MAX)
    assert program.returncode == -signal.SIGINT
    assert_nothing_is_left(busy)


def test_a_signal_that_our_parent_ignores_is_ignored(busy: Path) -> None:
    code = f"""if True:
        import os, signal
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        os.execv({PROGRAM!r}, ["holdfast-vtest", "busy.vtc"])
    """
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=busy, env={**os.environ, "TMPDIR": str(busy)}
    ) as program:
        wait_for(busy / "ports")
        program.send_signal(signal.SIGINT)
        time.sleep(0.2)
        assert program.poll() is None
        program.terminate()
    assert program.returncode == -signal.SIGTERM
    assert_nothing_is_left(busy)


@pytest.mark.parametrize(
    ("ending", "status", "seconds"),
    [
        ("", 0, 50),
        ("shell {false}\n", 2, 50),
        ("feature cmd false\n", 77, 50),
        ("nonsense\n", 2, 50),
        ("server s1 -wait\n", 2, 5),
    ],
    ids=["passed", "failed", "skipped", "unknown command", "timed out"],
)
def test_nothing_outlives_its_test(busy: Path, ending: str, status: int, seconds: int) -> None:
    text = BUSY.replace("    barrier b1 sync\n", "    delay .3\n").replace(STUBBORN, "")
    (busy / "busy.vtc").write_text(text + ending)
    done = vtest("-t", str(seconds), "busy.vtc", cwd=busy)
    assert done.returncode == status, done.stdout
    assert ("TIMED OUT" in done.stdout) == (seconds == 5)
    assert_nothing_is_left(busy)


def test_the_others_go_on_when_one_test_ends(tmp_path: Path) -> None:
    (tmp_path / "a.vtc").write_text('vtest "a"\nshell -expect x {sleep .5; echo x}\n')
    (tmp_path / "b.vtc").write_text(
        'vtest "b"\nshell {exec >/dev/null 2>&1; sleep 1000 & setsid sleep 1001 &}\n'
    )
    done = vtest("-j2", "a.vtc", "b.vtc", cwd=tmp_path)
    assert done.returncode == 0, done.stdout
    assert_no_processes(tmp_path)


def test_a_process_that_dies_fails_its_test_alone(tmp_path: Path) -> None:
    (tmp_path / "a.vtc").write_text('vtest "a"\nshell {kill -SEGV $PPID}\ndelay 10\n')
    for name in "bc":
        (tmp_path / f"{name}.vtc").write_text(f'vtest "{name}"\ndelay .1\n')
    done = vtest("-k", "-j2", "a.vtc", "b.vtc", "c.vtc", cwd=tmp_path)
    assert done.returncode == 1, done.stdout
    assert "TEST a.vtc FAILED" in done.stdout
    assert "TEST b.vtc passed" in done.stdout
    assert "TEST c.vtc passed" in done.stdout


def test_all_tests_fail_when_no_process_is_left(tmp_path: Path) -> None:
    for name in "abc":
        (tmp_path / f"{name}.vtc").write_text(
            f'vtest "{name}"\nshell {{kill -9 $PPID}}\ndelay 10\n'
        )
    done = vtest("-k", "-j2", "a.vtc", "b.vtc", "c.vtc", cwd=tmp_path)
    assert done.returncode == 1, done.stdout
    assert done.stdout.count("FAILED") == 3


def test_the_log_says_once_where_the_script_ends_and_its_actors_are_reset() -> None:
    result = run_script('vtest "ends"\nserver s1 {\n    delay 60\n} -start\n')
    assert result.log.render().count("RESETTING after") == 1
