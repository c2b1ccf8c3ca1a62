from __future__ import annotations

import structlog

from holdfast.net.log import log_failure


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
