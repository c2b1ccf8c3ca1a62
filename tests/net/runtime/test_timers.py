"""Time is a fake loop's: nothing here waits."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from tests.net.fakes import FakeLoop, runtime

from holdfast.net.runtime.timers import (
    EXPIRED_PER_PASS,
    SLOT_SECONDS,
    TURN_SECONDS_MAX,
    UNSCHEDULED,
    Timers,
)


class Alarm:
    """Writes down when it rang."""

    def __init__(self, loop: FakeLoop, rang: list[Alarm] | None = None) -> None:
        self.timer_slot = UNSCHEDULED
        self._loop = loop
        self._all = rang if rang is not None else []
        self.times: list[float] = []
        self.then: Callable[[], object] = lambda: None

    def expire(self, now: float) -> None:
        assert now <= self._loop.time()
        self.times.append(now)
        self._all.append(self)
        self.then()


def timers_on(loop: FakeLoop) -> Timers:
    return runtime(loop).timers


@given(
    start=st.floats(0, 1e7),
    after=st.floats(0, 100),
)
def test_a_deadline_is_kept_once_not_before_it_and_soon_after(start: float, after: float) -> None:
    loop = FakeLoop(start)
    timers, alarm = timers_on(loop), Alarm(loop)
    timers.schedule(alarm, start + after)
    loop.advance(after + 1)
    (rang,) = alarm.times
    assert start + after <= rang <= start + after + 2 * SLOT_SECONDS + 1e-6


def test_deadlines_are_kept_in_their_order_to_the_slot() -> None:
    loop, rang = FakeLoop(), list[Alarm]()
    timers = timers_on(loop)
    alarms = [Alarm(loop, rang) for _ in range(50)]
    delays = [(7 * number % 50 + 0.5) * SLOT_SECONDS for number in range(50)]
    for alarm, delay in zip(alarms, delays, strict=True):
        timers.schedule(alarm, loop.time() + delay)
    loop.advance(6)
    assert rang == sorted(alarms, key=lambda alarm: delays[alarms.index(alarm)])


def test_a_deadline_in_the_past_is_kept_at_the_next_slot() -> None:
    loop = FakeLoop()
    timers, alarm = timers_on(loop), Alarm(loop)
    timers.schedule(alarm, 0.0)
    assert alarm.times == []
    loop.advance(2 * SLOT_SECONDS)
    assert len(alarm.times) == 1


@pytest.mark.parametrize("later", [0.0, 0.05, 1.0, 3.0], ids=str)
def test_a_new_wish_takes_the_place_of_the_old_one(later: float) -> None:
    loop = FakeLoop()
    timers, alarm = timers_on(loop), Alarm(loop)
    timers.schedule(alarm, loop.time() + 2)
    timers.schedule(alarm, loop.time() + later)
    loop.advance(5)
    assert len(alarm.times) == 1
    assert alarm.times[0] == pytest.approx(1000 + later, abs=2 * SLOT_SECONDS)


def test_a_wish_that_is_moved_often_leaves_nothing_behind() -> None:
    loop = FakeLoop()
    timers, alarm = timers_on(loop), Alarm(loop)
    for number in range(100):
        timers.schedule(alarm, loop.time() + number)
    assert sum(map(len, timers._slots.values())) == 1


def test_a_cancelled_deadline_is_not_kept_and_can_be_set_again() -> None:
    loop = FakeLoop()
    timers, alarm = timers_on(loop), Alarm(loop)
    timers.cancel(alarm)
    timers.schedule(alarm, loop.time() + 1)
    timers.cancel(alarm)
    timers.cancel(alarm)
    loop.advance(2)
    assert alarm.times == []
    timers.schedule(alarm, loop.time() + 1)
    loop.advance(2)
    assert len(alarm.times) == 1


def test_one_that_expires_may_cancel_or_move_another_of_the_same_slot() -> None:
    loop = FakeLoop()
    timers = timers_on(loop)
    first, cancelled, moved = (Alarm(loop) for _ in range(3))
    for alarm in (first, cancelled, moved):
        timers.schedule(alarm, loop.time() + 1)

    def interfere() -> None:
        timers.cancel(cancelled)
        timers.schedule(moved, loop.time() + 1)

    first.then = interfere
    loop.advance(1.5)
    assert (len(first.times), cancelled.times, moved.times) == (1, [], [])
    loop.advance(1)
    assert (len(first.times), cancelled.times, len(moved.times)) == (1, [], 1)


def test_one_that_expires_may_schedule_itself_again_and_is_not_called_at_once() -> None:
    loop = FakeLoop()
    timers, alarm = timers_on(loop), Alarm(loop)
    alarm.then = lambda: timers.schedule(alarm, loop.time() - 5)
    timers.schedule(alarm, loop.time())
    loop.advance(1)
    assert 5 <= len(alarm.times) <= 10
    assert len(set(alarm.times)) == len(alarm.times)


@pytest.mark.parametrize("seconds", [1.5, 3_600, 3_600_000])
def test_who_was_stopped_gives_all_others_their_time_again(seconds: float) -> None:
    loop = FakeLoop()
    timers, alarm = timers_on(loop), Alarm(loop)
    begun = timers.time()
    timers.schedule(alarm, begun + 10)
    loop.sleep(seconds)
    assert timers.time() == begun + TURN_SECONDS_MAX  # asked before the wheel has turned
    loop.suspend(0.0)
    assert timers.time() == timers.now == begun + TURN_SECONDS_MAX
    assert alarm.times == []
    loop.advance(10 - TURN_SECONDS_MAX)
    assert alarm.times == []
    loop.advance(2 * SLOT_SECONDS)
    assert len(alarm.times) == 1


@pytest.mark.parametrize("seconds", [0.2, 0.5, 0.99])
def test_a_busy_moment_counts(seconds: float) -> None:
    loop, rang = FakeLoop(), list[Alarm]()
    timers = timers_on(loop)
    alarms = [Alarm(loop, rang) for _ in range(5)]
    for number, alarm in enumerate(alarms):
        timers.schedule(alarm, loop.time() + number * (seconds - 0.15) / 4)
    loop.suspend(seconds)
    assert timers.now == timers.time() == loop.time()
    assert rang == alarms


def test_one_that_raises_does_not_keep_the_others_from_their_deadlines() -> None:
    loop = FakeLoop()
    timers = timers_on(loop)
    broken, same_slot, later = (Alarm(loop) for _ in range(3))

    def defect() -> None:
        raise ValueError("a defect")

    broken.then = defect
    timers.schedule(broken, loop.time() + 1)
    timers.schedule(same_slot, loop.time() + 1)
    timers.schedule(later, loop.time() + 2)
    with structlog.testing.capture_logs() as logs:
        loop.advance(3)
    assert [len(alarm.times) for alarm in (broken, same_slot, later)] == [1, 1, 1]
    assert "a defect" in logs[0]["traceback"]


def test_a_stopped_wheel_turns_no_more_and_has_forgotten_its_deadlines() -> None:
    loop = FakeLoop()
    timers, alarm = timers_on(loop), Alarm(loop)
    timers.schedule(alarm, loop.time() + 1)
    timers.stop()
    assert loop.waiting == 0
    timers.start()
    loop.advance(2)
    assert alarm.times == []


def test_a_wheel_may_be_stopped_by_one_that_expires() -> None:
    loop = FakeLoop()
    timers, alarm, other = timers_on(loop), Alarm(loop), Alarm(loop)
    alarm.then = timers.stop
    timers.schedule(alarm, loop.time() + 1)
    timers.schedule(other, loop.time() + 2)
    loop.advance(3)
    assert len(alarm.times) == 1
    assert other.times == []
    assert loop.waiting == 0


class TimersMachine(RuleBasedStateMachine):
    """Any history of wishes: each is kept once, not early, and not more than a slot late."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = FakeLoop(100.0)
        self.timers = timers_on(self.loop)
        self.alarms = [Alarm(self.loop) for _ in range(4)]
        self.due: dict[int, float] = {}

    @rule(which=st.integers(0, 3), after=st.integers(-10, 100))
    def schedule(self, which: int, after: int) -> None:
        now = self.timers.time()
        self.timers.schedule(self.alarms[which], now + after / 16)
        self.due[which] = now + max(after, 0) / 16

    @rule(which=st.integers(0, 3))
    def cancel(self, which: int) -> None:
        self.timers.cancel(self.alarms[which])
        self.due.pop(which, None)

    @rule(sixteenths=st.integers(0, 60))
    def advance(self, sixteenths: int) -> None:
        self.loop.advance(sixteenths / 16)

    @rule(seconds=st.integers(1, 100))
    def suspend(self, seconds: int) -> None:
        self.loop.suspend(seconds)

    @invariant()
    def each_is_kept_in_time(self) -> None:
        now = self.timers.time()
        for which, alarm in enumerate(self.alarms):
            times, alarm.times = alarm.times, []
            assert len(times) <= 1
            if times:
                assert times[0] >= self.due.pop(which)
            elif which in self.due:
                assert now <= self.due[which] + 3 * SLOT_SECONDS


TestTimers = TimersMachine.TestCase


def test_a_thousand_deadlines_of_one_slot_take_many_passes() -> None:
    loop, rang = FakeLoop(), list[Alarm]()
    timers = timers_on(loop)
    alarms = [Alarm(loop, rang) for _ in range(1000)]
    for alarm in alarms:
        timers.schedule(alarm, loop.time() + 0.05)
    passes = list[int]()
    loop.advance(2 * SLOT_SECONDS)
    while len(rang) < 1000:
        before = len(rang)
        loop.tick()
        passes.append(len(rang) - before)
    assert max(passes) <= EXPIRED_PER_PASS
    assert rang == alarms


def test_a_deadline_that_is_put_off_while_others_have_their_pass_is_not_kept_twice() -> None:
    loop, rang = FakeLoop(), list[Alarm]()
    timers = timers_on(loop)
    alarms = [Alarm(loop, rang) for _ in range(2 * EXPIRED_PER_PASS)]
    *_, late, cancelled = alarms
    for alarm in alarms:
        timers.schedule(alarm, loop.time() + 0.05)

    def put_off() -> None:
        timers.schedule(late, loop.time() + 1)
        timers.cancel(cancelled)

    alarms[0].then = put_off
    loop.advance(0.5)
    loop.tick()
    loop.tick()
    assert not late.times
    loop.advance(1.5)
    assert len(late.times) == 1
    assert not cancelled.times
