"""structlog is imported at the first line, and without what our programs never show."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import MutableMapping
from typing import Any

import pytest
import structlog
from structlog.testing import capture_logs

from holdfast.net.loggers import LazyLogger, is_configured, set_level


def test_a_line_has_its_fields() -> None:
    log = LazyLogger("test")
    with capture_logs() as lines:
        log.warning("a thing happened", times=2)
    assert lines == [{"event": "a thing happened", "times": 2, "log_level": "warning"}]


def test_a_logger_follows_what_is_configured_later() -> None:
    log = LazyLogger("test")
    before = structlog.get_config()
    structlog.reset_defaults()  # loggers of programs keep what they first had
    said: list[str] = []

    def note(logger: object, method: str, event: MutableMapping[str, Any]) -> str:
        said.append(event["event"])
        raise structlog.DropEvent

    try:
        with capture_logs():
            log.info("before")
        structlog.configure(processors=[note])
        assert is_configured()
        log.info("after")
    finally:
        structlog.configure(**before)
    assert said == ["after"]


def output(code: str) -> list[str]:
    """What a program prints, word by word."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.split()


LOGGING = """
import sys
from holdfast.net.log import RateLimitedLogger
log = RateLimitedLogger("test")
log.debug("too fine")
log.info("first", of="a library")
import structlog
structlog.configure(processors=[structlog.processors.KeyValueRenderer()])
log.debug("configured")
"""


def test_a_program_that_configures_no_logs_gets_them_on_stderr_from_info_on() -> None:
    done = subprocess.run(
        [sys.executable, "-c", LOGGING], capture_output=True, text=True, check=True
    )
    assert done.stdout == "event='configured'\n"
    (line,) = done.stderr.splitlines()
    assert '"event": "first"' in line
    assert '"of": "a library"' in line
    assert '"level": "info"' in line


def test_a_program_chooses_the_level_without_importing_structlog() -> None:
    code = """
import sys
from holdfast.net.loggers import LazyLogger, set_level
set_level("warning")
log = LazyLogger("test")
log.info("too fine")
print("structlog" in sys.modules)
log.warning("shown")
set_level("debug")
log.debug("finer")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
    assert [line.split('"event": ')[1].split(",")[0] for line in done.stderr.splitlines()] == [
        '"shown"',
        '"finer"',
    ]
    with pytest.raises(KeyError, match="LOUD"):
        set_level("loud")


def test_a_library_imports_nothing_for_logs_that_it_does_not_write() -> None:
    modules = output("""
import sys
from collections.abc import MutableMapping
from typing import Any
import holdfast.app, holdfast.client, holdfast.tcp, holdfast.telnet, holdfast.websocket
from holdfast.net.loggers import is_configured
print(is_configured(), *sys.modules)
""")
    assert modules[0] == "False"
    assert {"structlog", "rich", "twisted", "greenlet"} & set(modules) == set()


def test_our_programs_log_without_what_they_never_show_and_others_can_import_it() -> None:
    said = output("""
import sys
from collections.abc import MutableMapping
from typing import Any
from holdfast.net.log import configure_logs
configure_logs("info")
print(*({"structlog", "rich", "twisted", "greenlet"} & set(sys.modules)))
import rich
print(rich.__name__)
""")
    assert said == ["structlog", "rich"]


def test_a_program_that_has_imported_structlog_keeps_what_it_has() -> None:
    said = output("""
import structlog
had = structlog.dev.rich is not None
from holdfast.net.log import configure_logs
configure_logs("info")
print(had, structlog.dev.rich is not None)
""")
    assert said == ["True", "True"]
