"""Pings and their pongs: what a pong answers, the round trip, and how many may be under way."""

from __future__ import annotations

import asyncio

import pytest

from holdfast.core.errors import BusyError
from holdfast.websocket import pings as module
from holdfast.websocket.pings import Pings


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, to be set."""
    now = [100.0]
    monkeypatch.setattr(module, "perf_counter", lambda: now[0])
    return now


async def made(pings_max: int = 3) -> Pings:
    return Pings(asyncio.get_running_loop(), pings_max)


async def test_a_pong_tells_the_round_trip(clock: list[float]) -> None:
    pings = await made()
    assert pings.latency == 0.0
    data, future = pings.begin(b"a")
    assert data == b"a"
    clock[0] += 0.5
    pings.pong(b"a")
    assert future.result() == 0.5
    assert pings.latency == 0.5


async def test_a_pong_answers_its_ping_and_all_before(clock: list[float]) -> None:
    pings = await made()
    first, second, third = (pings.begin(data)[1] for data in (b"a", b"b", b"c"))
    clock[0] += 2.0
    pings.pong(b"b")
    assert (first.result(), second.result()) == (2.0, 2.0)
    assert not third.done()
    clock[0] += 1.0
    pings.pong(b"c")
    assert third.result() == 3.0
    assert pings.latency == 3.0


async def test_what_nobody_asked_for_answers_nothing(clock: list[float]) -> None:
    pings = await made()
    _, future = pings.begin(b"a")
    pings.pong(b"x")
    assert not future.done()
    assert pings.latency == 0.0


async def test_payloads_that_are_made_up_count() -> None:
    pings = await made()
    assert pings.begin(None)[0] == bytes(7) + b"\x01"
    assert pings.own() == bytes(7) + b"\x02"
    assert pings.begin(None)[0] == bytes(7) + b"\x03"


async def test_so_many_may_be_under_way_and_no_more() -> None:
    pings = await made(2)
    pings.begin(b"a")
    with pytest.raises(BusyError, match="a ping with the data b'a' is under way"):
        pings.begin(b"a")
    pings.begin(b"b")
    with pytest.raises(BusyError, match="2 pings are under way; that is the limit"):
        pings.begin(b"c")
    pings.pong(b"a")
    pings.begin(b"c")


async def test_of_its_own_only_the_newest_waits(clock: list[float]) -> None:
    pings = await made(2)
    old = pings.own()
    new = pings.own()
    clock[0] += 1.0
    pings.pong(old)
    assert pings.latency == 0.0
    pings.pong(new)
    assert pings.latency == 1.0
    _, future = pings.begin(b"a")
    pings.own()
    pings.pong(b"a")
    assert future.done(), "a ping of somebody is not forgotten"


async def test_no_pong_will_come() -> None:
    pings = await made()
    _, future = pings.begin(b"a")
    _, given_up = pings.begin(b"b")
    given_up.cancel()
    pings.own()
    error = ConnectionError("lost")
    pings.fail(error)
    assert future.exception() is error
    assert given_up.cancelled()
    pings.pong(b"a")
    assert pings.latency == 0.0
