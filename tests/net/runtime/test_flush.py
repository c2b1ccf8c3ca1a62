"""Time is a fake loop's: nothing here waits."""

from __future__ import annotations

import asyncio
from typing import cast

import structlog
from tests.net.fakes import FakeLoop

from holdfast.net.runtime.flush import FLUSHED_PER_PASS, WriteCoalescer
from holdfast.net.runtime.turns import Turns


def coalescer_on(loop: FakeLoop) -> WriteCoalescer:
    on = cast("asyncio.AbstractEventLoop", loop)
    return WriteCoalescer(on, Turns(on))


def test_what_is_added_runs_at_the_end_of_the_tick_once_and_in_order() -> None:
    loop, ran = FakeLoop(), list[str]()
    coalescer = coalescer_on(loop)
    for name in "abc":
        coalescer.add(lambda name=name: ran.append(name))  # type: ignore[misc]
    assert ran == []
    loop.tick()
    assert ran == ["a", "b", "c"]
    loop.tick()
    assert ran == ["a", "b", "c"]


def test_what_an_action_adds_still_belongs_to_this_tick() -> None:
    loop, ran = FakeLoop(), list[str]()
    coalescer = coalescer_on(loop)

    def flush() -> None:
        ran.append("flush")

    def frame() -> None:
        ran.append("frame")
        coalescer.add(flush)

    coalescer.add(frame)
    coalescer.add(lambda: ran.append("other"))
    loop.tick()
    assert ran == ["frame", "other", "flush"]


def test_every_tick_is_the_first_of_its_kind() -> None:
    loop, ran = FakeLoop(), list[int]()
    coalescer = coalescer_on(loop)
    for number in range(3):
        coalescer.add(lambda number=number: ran.append(number))  # type: ignore[misc]
        loop.tick()
        assert ran == list(range(number + 1))


def test_an_action_that_raises_ends_neither_this_tick_nor_the_next() -> None:
    loop, ran = FakeLoop(), list[str]()
    coalescer = coalescer_on(loop)

    def defect() -> None:
        raise ValueError("a defect")

    coalescer.add(defect)
    coalescer.add(lambda: ran.append("same tick"))
    with structlog.testing.capture_logs() as logs:
        loop.tick()
    assert ran == ["same tick"]
    assert "a defect" in logs[0]["traceback"]
    coalescer.add(lambda: ran.append("next tick"))
    loop.tick()
    assert ran == ["same tick", "next tick"]


def test_an_action_that_has_more_to_do_goes_on_in_the_next_tick() -> None:
    loop, ran = FakeLoop(), list[str]()
    coalescer = coalescer_on(loop)
    left = iter((True, True, False))

    def work() -> bool:
        ran.append("some")
        return next(left)

    coalescer.add(work)
    for ticks in (1, 2, 3, 3):
        loop.tick()
        assert ran == ["some"] * ticks
    coalescer.add(lambda: ran.append("other"))
    loop.tick()
    assert ran[-1] == "other"


def test_very_many_connections_are_flushed_in_several_ticks_and_in_order() -> None:
    loop, ran = FakeLoop(), list[int]()
    coalescer = coalescer_on(loop)

    class Writing:
        def __init__(self, number: int) -> None:
            self.number = number

        def flush(self) -> None:
            ran.append(self.number)

    for number in range(2 * FLUSHED_PER_PASS + 1):
        coalescer.flush_later(Writing(number))
    loop.tick()
    assert ran == list(range(FLUSHED_PER_PASS))
    coalescer.add(lambda: ran.append(-1))  # what comes meanwhile does not wait for them
    coalescer.flush_later(Writing(2 * FLUSHED_PER_PASS + 1))
    loop.tick()
    assert ran[FLUSHED_PER_PASS] == -1
    assert len(ran) == 2 * FLUSHED_PER_PASS + 1
    loop.tick()
    ran.remove(-1)
    assert ran == list(range(2 * FLUSHED_PER_PASS + 2))
    loop.tick()
    assert len(ran) == 2 * FLUSHED_PER_PASS + 2


def test_output_is_held_while_it_may_not_be_flushed_and_actions_run() -> None:
    loop, ran, may = FakeLoop(), list[str](), [False]
    coalescer = coalescer_on(loop)
    coalescer.hold_unless(lambda: may[0])

    class Connection:
        def __init__(self, name: str) -> None:
            self.name = name

        def flush(self) -> None:
            ran.append(self.name)

    coalescer.flush_later(Connection("a"))
    loop.tick()
    coalescer.add(lambda: ran.append("action"))
    coalescer.flush_later(Connection("b"))
    loop.tick()
    assert ran == ["action"]
    coalescer.release()
    loop.tick()
    assert ran == ["action"]  # it is still not allowed
    may[0] = True
    coalescer.release()
    coalescer.release()
    loop.tick()
    assert ran == ["action", "a", "b"]
    coalescer.flush_later(Connection("c"))
    loop.tick()
    assert ran == ["action", "a", "b", "c"]
