"""The memory for the input of all clients that cannot be handled yet."""

from __future__ import annotations

import cProfile
import pstats
import tracemalloc

from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from holdfast.core.limits import KIB, MIB
from holdfast.net.runtime.room import Reservation, Room


class Stand:
    """A room, and who was closed for lack of it."""

    def __init__(self, bytes_max: int = 10 * MIB) -> None:
        self.room = Room(bytes_max)
        self.closed: list[str] = []
        self.open: dict[str, Reservation] = {}

    def keep(self, name: str, size: int, network: str = "192.0.2.1") -> None:
        if name not in self.open:
            self.open[name] = Reservation(self.room, network, lambda: self._close(name))
        self.open[name].resize(size)

    def _close(self, name: str) -> None:
        self.closed.append(name)
        self.open.pop(name).release()


def test_there_is_room_up_to_the_limit() -> None:
    it = Stand()
    it.keep("a", 6 * MIB)
    it.keep("b", 4 * MIB)
    assert it.room.used == 10 * MIB
    it.keep("a", 1 * MIB)
    it.keep("c", 5 * MIB)
    assert it.closed == []
    it.open["c"].release()
    assert it.room.used == 5 * MIB


def test_the_largest_of_the_network_with_most_is_closed_first() -> None:
    it = Stand()
    it.keep("honest", 3 * MIB, "192.0.2.2")  # no other connection has so much
    for name, size in zip("abcde", (1, 2, 1, 2, 1), strict=True):
        it.keep(name, size * MIB)
    it.keep("b", 3 * MIB)
    assert it.closed == ["b", "d"]
    assert it.room.used == 6 * MIB
    assert it.room.closed == 2


def test_then_comes_the_network_that_has_most_of_the_rest() -> None:
    it = Stand()
    it.keep("a", 5 * MIB, "192.0.2.2")
    it.keep("b", 3 * MIB, "192.0.2.3")
    it.keep("c", 2 * MIB, "192.0.2.3")
    it.keep("d", 1 * MIB, "192.0.2.4")  # eleven: five less are free then
    assert it.closed == ["a"]
    it.keep("e", 5 * MIB, "192.0.2.5")
    assert it.closed == ["a", "b", "e"]
    assert it.room.used == 3 * MIB


def test_a_network_counts_as_it_is_and_not_as_it_was() -> None:
    it = Stand()
    it.keep("a", 9 * MIB, "192.0.2.2")
    it.keep("a", 1 * MIB)
    it.keep("b", 5 * MIB, "192.0.2.3")
    it.keep("c", 5 * MIB, "192.0.2.4")
    assert len(it.closed) == 1
    assert "a" not in it.closed


def test_a_network_that_has_less_than_before_may_still_have_most() -> None:
    it = Stand()
    it.keep("a", 9 * MIB, "192.0.2.2")
    it.keep("a", 5 * MIB)
    it.keep("b", 3 * MIB, "192.0.2.3")
    it.keep("c", 3 * MIB, "192.0.2.4")
    assert it.closed == ["a"]


def test_networks_that_keep_nothing_are_forgotten() -> None:
    it = Stand()

    def come_and_go(count: int) -> None:
        for number in range(count):
            it.keep("a", MIB, f"2001:db8:{number:x}::")
            it.open.pop("a").release()

    come_and_go(2_000)  # as much as there ever is of networks that were
    tracemalloc.start()
    try:
        come_and_go(4_000)
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 400 * KIB


def test_a_warning_says_how_many_were_closed() -> None:
    it = Stand()
    with capture_logs() as logs:
        it.keep("a", 11 * MIB)
    assert it.closed == ["a"]
    (line,) = logs
    assert (line["log_level"], line["count"], line["kept_bytes"]) == ("warning", 1, 0)


def test_a_small_limit_leaves_half_of_it_to_others() -> None:
    it = Stand(1 * MIB)
    for name in "abcd":
        it.keep(name, MIB // 4)
    it.keep("e", MIB // 4)
    assert len(it.closed) == 3
    assert it.room.used == MIB // 2


def test_many_are_closed_in_several_goes() -> None:
    it = Stand()
    for number in range(1_024):
        it.keep(str(number), 10 * KIB)
    assert it.room.used == 10 * MIB
    it.keep("more", KIB, "192.0.2.2")
    assert len(it.closed) == 64
    it.keep("more", 2 * MIB, "192.0.2.2")
    assert it.closed[-1] != "more"
    assert 10 * MIB - 10 * KIB <= it.room.used <= 10 * MIB


@given(
    st.lists(
        st.tuples(st.sampled_from("abcdefgh"), st.integers(0, 5 * MIB)), min_size=1, max_size=40
    )
)
def test_what_is_kept_is_counted_and_never_more_than_there_is(
    steps: list[tuple[str, int]],
) -> None:
    it = Stand()
    for name, size in steps:
        it.keep(name, size, f"192.0.2.{ord(name) % 3}")
        assert it.room.used == sum(each.size for each in it.open.values())
        assert it.room.used <= it.room.bytes_max
    for reservation in list(it.open.values()):
        reservation.release()
    assert it.room.used == 0


def test_it_takes_no_longer_to_make_room_among_many_networks() -> None:
    """Time is counted in calls, which a busy machine does not change."""

    def calls(count: int) -> float:
        it = Stand(count * 10 * KIB)
        for number in range(count):
            it.keep(str(number), 10 * KIB, f"network {number}")
        profile = cProfile.Profile()
        with profile:
            for number in range(640):
                it.keep(f"more {number}", 10 * KIB, f"another {number}")
        assert len(it.closed) >= 640
        return pstats.Stats(profile).total_calls  # type: ignore[attr-defined, no-any-return]

    calls(1_000)
    assert calls(8_000) <= 2 * calls(1_000)
