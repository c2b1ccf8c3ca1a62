from __future__ import annotations

import io
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

import holdfast
from holdfast.core.text import TEXT_CHARS_MAX, presentable
from holdfast.net.log import (
    LINES_BURST_MAX,
    TRACEBACK_CHARS_MAX,
    RateLimitedLogger,
    configure_logs,
    log_failure,
)
from holdfast.net.loggers import LostLines


def fail(secret: str) -> None:
    raise ValueError("it went wrong")


def test_a_failure_is_logged_with_its_way_but_without_the_values_on_it() -> None:
    log = structlog.get_logger("test")
    with structlog.testing.capture_logs() as logs:
        try:
            fail("swordfish")
        except ValueError as error:
            log_failure(log, "a thing failed", error, peer="192.0.2.1:1")
    (entry,) = logs
    assert entry["event"] == "a thing failed"
    assert entry["log_level"] == "error"
    assert entry["peer"] == "192.0.2.1:1"
    assert "in fail" in entry["traceback"]
    assert "ValueError: it went wrong" in entry["traceback"]
    assert "swordfish" not in entry["traceback"].replace('fail("swordfish")', "")
    assert "exc_info" not in entry


def test_the_cause_of_a_failure_is_logged_with_it() -> None:
    with structlog.testing.capture_logs() as logs:
        try:
            try:
                fail("")
            except ValueError as error:
                raise KeyError("outer") from error
        except KeyError as error:
            log_failure(structlog.get_logger("test"), "a thing failed", error)
    assert "it went wrong" in logs[0]["traceback"]
    assert "outer" in logs[0]["traceback"]


def test_what_a_client_says_is_cut() -> None:
    with structlog.testing.capture_logs() as logs:
        RateLimitedLogger("test").warning(
            "protocol error of a client", fault="x" * 100_000, count=10**9
        )
    assert logs[0]["fault"] == "x" * TEXT_CHARS_MAX + "… (100000 characters)"
    assert logs[0]["count"] == 10**9


def test_failures_that_clients_cause_are_few_and_their_tracebacks_bounded() -> None:
    log = RateLimitedLogger("test", clock=lambda: 100.0)
    with structlog.testing.capture_logs() as logs:
        for _ in range(2 * LINES_BURST_MAX):
            log_failure(log, "a thing failed", ValueError("x" * 100_000 + " at the end"))
    assert len(logs) == LINES_BURST_MAX
    assert len(logs[0]["traceback"]) == TRACEBACK_CHARS_MAX
    assert "at the end" in logs[0]["traceback"]


FORGED = "x\n2026-11-29 [info] all is well\x1b[2J\x9b2J\x85\u2028\u202e\ud800"


@pytest.mark.parametrize("terminal", [False, True])
def test_a_client_forges_no_line_and_moves_no_cursor(terminal: bool) -> None:
    program = (
        "import sys; from holdfast.net.log import RateLimitedLogger, configure_logs;"
        f"sys.stderr.isatty = lambda: {terminal}; configure_logs('info');"
        f"RateLimitedLogger('test').info('protocol error of a client', fault={FORGED!r},"
        "name='\\x1b[2J')"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    text = done.stderr.decode()
    assert text.count("\n") == 1
    assert text.startswith("{") is not terminal
    assert "all is well" in text
    assert "\x1b[2J" not in text
    assert not set(text) & set("\x9b\x85\u2028\u202e")


def test_short_texts_stay_as_they_are() -> None:
    assert presentable("J\u00f6rg \u65e5\u672c") == "J\u00f6rg \u65e5\u672c"
    assert presentable("a\tb\n") == "a\\tb\\n"
    assert presentable("x" * TEXT_CHARS_MAX) == "x" * TEXT_CHARS_MAX
    assert presentable("abcdef", 3) == "abc… (6 characters)"


# --- a log that cannot be written


class Disk(io.StringIO):
    """A file on a disk that may be full."""

    full = False

    def write(self, text: str) -> int:
        if self.full:
            raise OSError(28, "No space left on device")
        return super().write(text)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[Disk]:
    """What this process logs to."""
    before = structlog.get_config()
    disk = Disk()
    monkeypatch.setattr(sys, "stderr", disk)
    monkeypatch.setattr(LostLines, "count", 0)
    configure_logs("info")
    yield disk
    structlog.configure(**before)


def test_lines_that_cannot_be_written_are_dropped_counted_and_told_of(disk: Disk) -> None:
    log = structlog.get_logger("test").bind()
    log.info("first")
    disk.full = True
    for _ in range(3):
        log.error("lost")
    disk.full = False
    log.info("second")
    log.info("third")
    assert LostLines.count == 3
    lines = disk.getvalue().splitlines()
    assert [
        next(word for word in ("first", "second", "third", "log lines lost") if word in line)
        for line in lines
    ] == ["first", "second", "log lines lost", "third"]
    assert '"lines": 3' in lines[2]


def test_nor_does_a_closed_file_raise(disk: Disk) -> None:
    disk.close()
    structlog.get_logger("test").bind().info("lost")
    assert LostLines.count == 1


PROGRAM = """
import structlog
from holdfast.net.log import configure_logs
from holdfast.net.loggers import LostLines
configure_logs("info")
for level in ("info", "warning", "error", "critical", "exception"):
    getattr(structlog.get_logger("test"), level)("lost")
print(LostLines.count, flush=True)
"""


@pytest.mark.parametrize("stderr", ["full", "broken", "closed"])
def test_a_process_goes_on_whatever_its_stderr_is(stderr: str) -> None:
    command = [sys.executable, "-c", PROGRAM]
    match stderr:
        case "full":
            file = os.open("/dev/full", os.O_WRONLY)
        case "broken":
            reading, file = os.pipe()
            os.close(reading)
        case _:
            command = ["sh", "-c", 'exec "$@" 2>&-', "sh", *command]
            file = os.open(os.devnull, os.O_WRONLY)
    done = subprocess.run(command, check=False, stdout=subprocess.PIPE, stderr=file, timeout=60)
    os.close(file)
    assert done.stdout == b"5\n"
    assert done.returncode == 0


OPERATORS_ONLY = {
    "net/log.py",  # the limited logger itself
    "net/loggers.py",
    "net/security_log.py",  # has limits of its own
    "net/server/workers.py",
    "net/tls/certificates.py",
    "gateway/timekeeping.py",
    "sessions/stores/private.py",
    "sessions/stores/postgres/connection.py",
    "sessions/stores/postgres/runs.py",
    "sessions/stores/postgres/unflushed.py",
}
"""Modules whose lines no client can cause."""


def test_whatever_clients_can_cause_is_logged_within_limits() -> None:
    source = Path(holdfast.__file__).parent
    found = {
        path.relative_to(source).as_posix()
        for path in source.rglob("*.py")
        if re.search(r"LazyLogger\(|structlog\.get_logger|logging\.getLogger", path.read_text())
    }
    programs = ("cli/", "vtc/", "demo/")
    assert {name for name in found if not name.startswith(programs)} == OPERATORS_ONLY
