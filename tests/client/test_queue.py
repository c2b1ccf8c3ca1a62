"""The unacknowledged commands of a client: numbers, window, sending again."""

from __future__ import annotations

import pytest

from holdfast.client.commands import Dropped, Uncertain
from holdfast.client.queue import IN_FLIGHT_MAX, PENDING_MAX, CommandQueue
from holdfast.client.state import State
from holdfast.core.errors import BusyError
from holdfast.protocols.holdfast_v1 import Command


def queue(count: int) -> tuple[CommandQueue, State]:
    """A queue with this many commands, 1, 2, 3 …"""
    state = State()
    made = CommandQueue(state)
    for number in range(1, count + 1):
        assert made.next == number
        made.append("command", Command(number, str(number)))
    return made, state


def numbers(it: CommandQueue) -> list[int]:
    return [command.c for command in it.take()]


def test_a_window_of_commands_is_sent_once() -> None:
    it, _ = queue(IN_FLIGHT_MAX + 2)
    assert numbers(it) == list(range(1, IN_FLIGHT_MAX + 1))
    assert (numbers(it), it.all_sent) == ([], False)
    it.acknowledge(1)
    assert (numbers(it), it.all_sent) == ([IN_FLIGHT_MAX + 1], False)
    it.acknowledge(2)
    assert (numbers(it), it.all_sent) == ([IN_FLIGHT_MAX + 2], True)


def test_exactly_the_limit_of_commands_waits() -> None:
    it, state = queue(PENDING_MAX)
    with pytest.raises(BusyError, match=f"{PENDING_MAX} commands wait"):
        it.append("command", Command(it.next, "more"))
    assert (state.sent, len(state.pending)) == (PENDING_MAX, PENDING_MAX)


def test_a_command_that_is_too_large_gets_no_number() -> None:
    it, state = queue(1)
    it.bytes_max = 100
    with pytest.raises(ValueError, match="command: expected a message of at most 100 bytes"):
        it.append("command", Command(it.next, "x" * 100))
    assert (state.sent, len(state.pending)) == (1, 1)


def test_an_older_acknowledgement_forgets_nothing() -> None:
    it, state = queue(3)
    it.acknowledge(2)
    it.acknowledge(1)
    assert [command.c for command in state.pending] == [3]


def test_another_connection_sends_again_what_the_gateway_lacks() -> None:
    it, _ = queue(3)
    assert numbers(it) == [1, 2, 3]
    assert it.begin(1) == []
    assert numbers(it) == [2, 3]
    it.resend(3)
    assert numbers(it) == [3]


def test_a_gateway_that_has_forgotten_commands_is_reported() -> None:
    it, state = queue(3)
    it.acknowledge(2)
    assert it.begin(0) == [Uncertain(1, 2)]
    it.resend(1)
    assert ([command.d for command in it.take()], state.sent) == (["3"], 1)  # type: ignore[union-attr]


def test_the_largest_command_in_flight_is_dropped_and_no_other() -> None:
    it, state = queue(1)
    it.append("command", Command(2, "x" * 50))
    assert it.drop_largest() is None, "nothing was sent"
    it.take()
    it.append("command", Command(3, "x" * 90))
    assert it.drop_largest() == Dropped("refused", (Command(2, "x" * 50),))
    assert (state.pending, state.sent) == ([Command(1, "1"), Command(2, "x" * 90)], 2)


def test_all_commands_of_a_session_are_dropped_with_it() -> None:
    it, state = queue(2)
    assert it.drop_all("gone") == [Dropped("gone", (Command(1, "1"), Command(2, "2")))]
    assert (state.pending, it.drop_all("gone")) == ([], [])
