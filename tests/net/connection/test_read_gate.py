"""What stops the reading of a connection, and what makes it go on."""

from __future__ import annotations

from typing import cast

import pytest
from tests.net.fakes import FakeLoop, FakeTransport, runtime

from holdfast.net.connection import backpressure
from holdfast.net.connection.backpressure import UnreadOutput
from holdfast.net.connection.connection import Connection
from holdfast.net.connection.deadlines import FOREVER
from holdfast.net.connection.read_gate import Pause, ReadGate

MUCH = 200_000


def gate(loop: FakeLoop) -> tuple[ReadGate, FakeTransport]:
    transport = FakeTransport(cast("Connection", None), socket=object())
    return ReadGate(runtime(loop), transport, 30.0), transport


@pytest.mark.parametrize("first", ["handler", "rate"])
def test_it_is_read_again_when_neither_the_handler_nor_the_rate_stops_it(first: str) -> None:
    it, transport = gate(FakeLoop())
    it.pause()
    it.hold(10.0)
    ends = [it.resume, it.release] if first == "handler" else [it.release, it.resume]
    for end in ends:
        assert not transport.reading
        end()
    assert transport.reading
    assert it.until == FOREVER


def test_the_handlers_pause_alone_stops_reading_and_ends_it() -> None:
    it, transport = gate(FakeLoop())
    assert it.until == FOREVER
    it.pause()
    assert not transport.reading
    it.resume()
    assert transport.reading


def test_a_transport_that_is_closing_is_left_alone() -> None:
    it, transport = gate(FakeLoop())
    transport.close()
    it.pause()
    assert transport.reading
    it.hold(10.0)
    it.release()
    assert not transport.reading


def test_what_a_rate_holds_is_over_in_time() -> None:
    it, transport = gate(FakeLoop())
    it.hold(10.0)
    assert it.reach(10.0) is Pause.OVER
    assert transport.reading


def test_a_peer_that_reads_slowly_is_waited_for_and_one_that_does_not_is_slow(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loop = FakeLoop()
    it, transport = gate(loop)
    taken = 0
    monkeypatch.setattr(backpressure, "unread_output", lambda _: UnreadOutput(MUCH, taken))
    monkeypatch.setattr(backpressure, "keeps_sending", lambda _: True)
    assert it.look(1, loop.time())
    assert not transport.reading
    assert not it.due(1_000_000)
    loop.advance(20)
    taken = 1
    loop.advance(5)
    progress_at = it.until - 30 if it.reach(it.until) is Pause.GOES_ON else -1
    assert loop.time() - 5 <= progress_at <= loop.time()
    assert not transport.reading
    loop.advance(40)
    assert it.reach(it.until) is Pause.SLOW_CONSUMER
    assert transport.reading
    assert it.due(1_000_000)


def test_once_it_has_read_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = FakeLoop()
    it, transport = gate(loop)
    found: list[UnreadOutput | None] = [UnreadOutput(MUCH, 0), None]
    monkeypatch.setattr(backpressure, "unread_output", lambda _: found.pop(0))
    monkeypatch.setattr(backpressure, "keeps_sending", lambda _: True)
    assert it.look(1, loop.time())
    loop.advance(1)
    assert transport.reading
    assert it.until == FOREVER


@pytest.mark.parametrize("stop", ["handler", "rate"])
def test_it_is_needed_while_it_stops_reading(stop: str) -> None:
    it, _ = gate(FakeLoop())
    assert not it.needed
    if stop == "handler":
        it.pause()
    else:
        it.hold(10.0)
    assert it.needed
    it.resume()
    assert it.needed == (stop == "rate")
    it.release()
    assert not it.needed


def test_it_is_needed_for_what_it_knows_of_the_peer(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = FakeLoop()
    it, _ = gate(loop)
    monkeypatch.setattr(backpressure, "unread_output", lambda _: None)
    assert it.due(1)
    assert not it.look(2_000_000, loop.time())
    assert it.needed
    assert not it.due(2_000_001)  # it was found reading
