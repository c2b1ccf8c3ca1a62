from __future__ import annotations

import structlog

from holdfast.core.text import TEXT_CHARS_MAX, shorten
from holdfast.net.log import LINES_BURST_MAX, TRACEBACK_CHARS_MAX, Seldom, log_failure


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
        Seldom("test").warning("a client broke the rules", fault="x" * 100_000, count=10**9)
    assert logs[0]["fault"] == "x" * TEXT_CHARS_MAX + "… (100000 characters)"
    assert logs[0]["count"] == 10**9


def test_failures_that_clients_cause_are_few_and_their_tracebacks_bounded() -> None:
    log = Seldom("test", clock=lambda: 100.0)
    with structlog.testing.capture_logs() as logs:
        for _ in range(2 * LINES_BURST_MAX):
            log_failure(log, "a thing failed", ValueError("x" * 100_000 + " at the end"))
    assert len(logs) == LINES_BURST_MAX
    assert len(logs[0]["traceback"]) == TRACEBACK_CHARS_MAX
    assert "at the end" in logs[0]["traceback"]


def test_short_texts_stay_as_they_are() -> None:
    assert shorten("x" * TEXT_CHARS_MAX) == "x" * TEXT_CHARS_MAX
    assert shorten("abcdef", 3) == "abc… (6 characters)"
