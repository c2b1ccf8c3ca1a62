"""A connection that is closed, and is still read for a while."""

from __future__ import annotations

from typing import Any

import pytest

from holdfast.net.connection.lingering import LingeringClose


class Connection:
    """The closed connection, at time 100."""

    now = 100.0
    heard = 100.0
    unsent = 0

    def __init__(self) -> None:
        self.wakes: list[float] = []

    def wake_at(self, when: float) -> None:
        self.wakes.append(when)


class Noted:
    """The handler before it, and the transport."""

    def __init__(self) -> None:
        self.closed = 0
        self.causes: list[Exception | None] = []

    def close(self) -> None:
        self.closed += 1

    def lost(self, cause: Exception | None) -> None:
        self.causes.append(cause)


def lingering() -> tuple[Any, Connection, Noted]:
    connection, noted = Connection(), Noted()
    both: Any = noted
    closing: Any = connection
    return LingeringClose(closing, both, both, 5.0), connection, noted


@pytest.mark.parametrize("cause", [None, OSError("reset")])
def test_the_handler_before_it_gets_the_cause_of_the_loss(cause: Exception | None) -> None:
    it, _, noted = lingering()
    it.lost(cause)
    assert noted.causes == [cause]


def test_it_ends_when_nothing_has_come_for_long_enough() -> None:
    it, connection, noted = lingering()
    assert connection.wakes == [105.0]
    connection.heard = 103.0
    it.expired(105.0)
    assert (connection.wakes, noted.closed) == ([105.0, 108.0], 0)
    it.expired(107.75)
    assert noted.closed == 0
    it.expired(108.0)
    assert noted.closed == 1


def test_who_has_not_got_everything_is_waited_for() -> None:
    it, connection, noted = lingering()
    connection.unsent = 1
    it.expired(105.0)
    assert (connection.wakes, noted.closed) == ([105.0, 110.0], 0)


def test_it_ends_with_the_peer() -> None:
    it, _, noted = lingering()
    it.ended()
    assert noted.closed == 1
