"""When a client is told that its commands are durable."""

from __future__ import annotations

import pytest

from holdfast.gateway.conversation.acks import AckPacer

NEVER = float("inf")


def test_the_first_is_told_at_once() -> None:
    pacer = AckPacer(told=5)
    assert pacer.note(6, now=100.0)
    assert pacer.tell(100.0) == 6


def test_the_next_ones_wait_for_company() -> None:
    pacer = AckPacer(told=0)
    pacer.note(1, 100.0)
    pacer.tell(100.0)
    assert [pacer.note(c, 100.1) for c in range(2, 33)] == [False] * 31
    assert pacer.due == 101.0
    assert pacer.note(33, 100.2)
    assert pacer.tell(100.2) == 33
    assert pacer.due == NEVER


def test_a_second_is_long_enough() -> None:
    pacer = AckPacer(told=0)
    pacer.note(1, 100.0)
    pacer.tell(100.0)
    assert not pacer.note(2, 100.9)
    assert pacer.note(3, 101.0)
    assert pacer.tell(101.0) == 3


@pytest.mark.parametrize("cin", [0, 4, 5])
def test_what_was_told_is_not_told_again(cin: int) -> None:
    pacer = AckPacer(told=5)
    assert not pacer.note(cin, 100.0)
    assert pacer.due == NEVER


def test_a_repeated_command_was_told_in_vain() -> None:
    pacer = AckPacer(told=5)
    pacer.repeat(4)
    assert pacer.note(5, 100.0)
    assert pacer.tell(100.0) == 5


def test_after_a_repeated_command_no_more_than_that_is_told_again() -> None:
    pacer = AckPacer(told=40)
    pacer.repeat(30)
    assert pacer.told == 29
    pacer.repeat(35)
    assert pacer.told == 29, "an earlier one is still to be told"
    assert not pacer.note(29, 100.0)


def test_a_missing_command_is_asked_for_once() -> None:
    pacer = AckPacer(told=0)
    assert pacer.missing(1)
    assert not pacer.missing(1)
    assert pacer.missing(4)


def test_what_comes_behind_a_refused_command_is_asked_for_once_there_is_room() -> None:
    pacer = AckPacer(told=0)
    assert pacer.missing(3)
    assert not pacer.make_room(), "none was refused"
    assert not pacer.missing(3), "it has been asked for"
    pacer.refuse()
    assert not pacer.missing(4)
    assert pacer.make_room()
    assert not pacer.make_room(), "once"
    assert pacer.missing(3), "it is asked for anew"
