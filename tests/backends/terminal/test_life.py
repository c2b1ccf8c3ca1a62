"""The life of one terminal, without a terminal."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
import structlog

from holdfast.backends.terminal import life as module
from holdfast.backends.terminal.life import Life
from holdfast.backends.terminal.states import BridgeInput, BridgeState
from holdfast.backends.terminal.stats import TerminalCounts
from holdfast.net.log import RateLimitedLogger


@pytest.fixture(autouse=True)
def _lines_of_their_own(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """All levels: other tests may have chosen one, or have used up the lines of a minute."""
    before = structlog.get_config()["wrapper_class"]
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG))
    monkeypatch.setattr(module, "_log", RateLimitedLogger("holdfast.terminal"))
    yield
    structlog.configure(wrapper_class=before)


def test_a_forbidden_change_changes_nothing_and_is_counted_and_logged() -> None:
    counts = TerminalCounts()
    life = Life("s1", counts, lambda: 0.0)
    with structlog.testing.capture_logs() as logs:
        assert life.apply(BridgeInput.CLOSE)
        before = life.state
        assert not life.apply(BridgeInput.CLOSE)
    assert life.state is before
    assert counts.forbidden == 1
    (line,) = (log for log in logs if log["event"] == "forbidden change of a terminal")
    assert (line["sid"], line["state"], line["input"]) == ("s1", before.value, "close")


def test_each_step_is_logged_with_the_time_in_the_state_before() -> None:
    clock = [0.0]
    life = Life("s1", TerminalCounts(), lambda: clock[0])
    with structlog.testing.capture_logs() as logs:
        clock[0] = 1.5
        assert life.apply(BridgeInput.CLOSE)
    (line,) = logs
    assert (line["event"], line["sid"], line["seconds"]) == ("terminal", "s1", 1.5)
    assert (line["before"], line["state"]) == (BridgeState.CREATED.value, life.state.value)


def test_a_terminal_that_does_not_close_is_counted_once_in_a_while() -> None:
    clock, counts = [0.0], TerminalCounts()
    life = Life("s1", counts, lambda: clock[0])
    life.tell_if_stuck(10.0)
    assert life.apply(BridgeInput.CLOSE)
    with structlog.testing.capture_logs() as logs:
        for now, stuck in ((10.0, 0), (10.5, 1), (20.0, 1), (20.6, 2)):
            clock[0] = now
            life.tell_if_stuck(10.0)
            assert counts.stuck == stuck
    assert [log["event"] for log in logs] == ["a terminal does not close"] * 2
