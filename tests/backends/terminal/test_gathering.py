"""How output is joined."""

from __future__ import annotations

from collections.abc import Callable

from holdfast.backends.terminal.gathering import Gathering
from holdfast.core.limits import KIB


class Clock:
    """The timers, which run when they are told to."""

    def __init__(self) -> None:
        self.timers: list[Callable[[], None]] = []

    def later(self, seconds: float, call: Callable[[], None]) -> None:
        assert seconds == 0.002
        self.timers.append(call)

    def passes(self) -> None:
        timers, self.timers = self.timers, []
        for timer in timers:
            timer()


def gathering() -> tuple[Gathering, list[bytes], Clock]:
    given: list[bytes] = []
    clock = Clock()
    return Gathering(given.append, clock.later), given, clock


def test_the_first_output_never_waits() -> None:
    one, given, clock = gathering()
    one.add(b"x" * 4 * KIB)
    assert given == [b"x" * 4 * KIB]
    clock.passes()
    assert len(clock.timers) == 0, "nothing is due while nothing comes"
    one.add(b"y" * 4 * KIB)
    assert given[1:] == [b"y" * 4 * KIB]


def test_what_follows_at_once_is_joined() -> None:
    one, given, clock = gathering()
    for letter in (b"a", b"b", b"c"):
        one.add(letter * KIB)
    assert given == [b"a" * KIB]
    clock.passes()
    assert given[1:] == [b"b" * KIB + b"c" * KIB]
    one.add(b"d" * KIB)
    assert len(given) == 2, "it has just been given something"
    clock.passes()
    clock.passes()
    assert given[2:] == [b"d" * KIB]
    assert clock.timers == []


def test_after_little_or_much_nothing_waits() -> None:
    """So there is no timer for each key."""
    one, given, clock = gathering()
    for size in (1, 255, 32 * KIB, 1):
        one.add(b"x" * size)
    assert [len(data) for data in given] == [1, 255, 32 * KIB, 1]
    assert not clock.timers


def test_the_echo_of_a_key_never_waits() -> None:
    one, given, _ = gathering()
    one.add(b"x" * KIB)
    one.add(b"e")
    one.add(b"f")
    assert given[1:] == [b"e", b"f"]


def test_nothing_comes_before_what_waits() -> None:
    one, given, _ = gathering()
    one.add(b"x" * KIB)
    one.add(b"y" * KIB)
    one.add(b"e")
    assert len(given) == 1
    one.flush()
    assert given[1:] == [b"y" * KIB + b"e"]
    one.flush()
    assert len(given) == 2


def test_much_does_not_wait() -> None:
    one, given, clock = gathering()
    for _ in range(1 + 3 * 8):
        one.add(b"x" * 4 * KIB)
    assert [len(data) // KIB for data in given] == [4, 32, 32, 32]
    assert len(clock.timers) == 1, "one timer, however much comes"
