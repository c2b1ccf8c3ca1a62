"""Which limit of time is reached, and when the next one is. Nothing here waits."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from holdfast.net.connection.deadlines import FOREVER, Deadlines, Reached

TIMES = st.integers(1, 50).map(float)


@given(close=TIMES, wake=TIMES | st.just(FOREVER), stall=TIMES | st.none(), heard=TIMES)
def test_each_is_reached_once_in_time_and_none_before(
    close: float, wake: float, stall: float | None, heard: float
) -> None:
    deadlines = Deadlines(close, wake)
    due = {Reached.CLOSE: close, Reached.IDLE: heard + 10}
    if wake != FOREVER:
        due[Reached.WAKE] = wake
    if stall is not None:
        deadlines.stall(stall, 1_000)
        due[Reached.STALL] = stall
    told: dict[Reached, float] = {}
    while (now := deadlines.next(heard, 10)) != FOREVER:
        assert deadlines.reach(now - 0.5, heard, 10) is Reached.NOTHING
        found = deadlines.reach(now, heard, 10)
        assert found not in told
        told[found] = now
        if found is Reached.STALL:
            assert deadlines.still_stalled(FOREVER, 1_000)
    assert told == due


def test_idleness_is_told_once_for_each_silence() -> None:
    deadlines = Deadlines(FOREVER)
    assert deadlines.next(5.0, 10.0) == 15.0
    assert deadlines.reach(15.0, 5.0, 10.0) is Reached.IDLE
    assert deadlines.reach(99.0, 5.0, 10.0) is Reached.NOTHING
    assert deadlines.next(5.0, 10.0) == FOREVER
    assert deadlines.reach(27.9, 18.0, 10.0) is Reached.NOTHING
    assert deadlines.reach(28.0, 18.0, 10.0) is Reached.IDLE


def test_a_peer_that_takes_one_byte_is_not_stalled() -> None:
    deadlines = Deadlines(FOREVER)
    deadlines.stall(10.0, 1_000)
    assert deadlines.reach(10.0, 0.0, FOREVER) is Reached.STALL
    assert not deadlines.still_stalled(20.0, 999)
    assert deadlines.reach(19.9, 0.0, FOREVER) is Reached.NOTHING
    assert deadlines.reach(20.0, 0.0, FOREVER) is Reached.STALL
    assert deadlines.still_stalled(30.0, 999)
    assert deadlines.next(0.0, FOREVER) == FOREVER


def test_a_close_has_its_own_time_alone() -> None:
    deadlines = Deadlines(100.0, wake=3.0)
    deadlines.stall(4.0, 1)
    deadlines.begin_close(50.0, 60.0)
    assert deadlines.next(0.0, FOREVER) == 50.0
    assert deadlines.reach(49.9, 0.0, FOREVER) is Reached.NOTHING
    assert deadlines.reach(50.0, 0.0, FOREVER) is Reached.CLOSE


def test_a_close_is_put_off_up_to_its_latest_end() -> None:
    deadlines = Deadlines(FOREVER)
    deadlines.begin_close(5.0, 12.0)
    ends = []
    while True:
        now = deadlines.next(0.0, FOREVER)
        ends.append(now)
        assert deadlines.reach(now, 0.0, FOREVER) is Reached.CLOSE
        if not deadlines.put_off_close(now, now + 5.0):
            break
    assert ends == [5.0, 10.0, 12.0]
