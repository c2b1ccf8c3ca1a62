"""Keep-alive and the end of a WebSocket, on a fake transport and a fake clock."""

from __future__ import annotations

import asyncio
import os
from typing import cast

import pytest
from tests.net.fakes import Bench

from holdfast.core.beats import first_beat
from holdfast.core.errors import Reason
from holdfast.core.limits import ConnectionLimits, Limits, WebSocketLimits
from holdfast.core.rate import flow_rates
from holdfast.protocols import websocket as ws
from holdfast.websocket.lifecycle import Lifecycle, WebSocketSettings

LIMITS = Limits(connection=ConnectionLimits(idle_seconds_max=3_600, close_seconds_max=5))
INTERVAL, PATIENCE = 20.0, 10.0
A_SLOT = 0.3
PING, CLOSE = 0x89, 0x88


class Standing(Lifecycle):
    """A lifecycle on a connection. It takes what comes without telling anybody."""

    def received(self, data: bytes) -> None:
        self._core.receive_data(data)

    def writable(self) -> None: ...


class Open:
    """An open WebSocket, and its client's protocol."""

    def __init__(self) -> None:
        self.bench = Bench(LIMITS.connection)
        self.loop = self.bench.loop
        offer = ws.Offer("example.org", "/")
        self.client = ws.ClientConnection(LIMITS.websocket, offer, os.urandom)
        core = ws.ServerConnection(LIMITS.websocket)
        core.receive_data(self.client.data_to_send())
        core.accept()
        settings = WebSocketSettings(
            LIMITS, INTERVAL, PATIENCE, "wait", flow_rates(WebSocketLimits())
        )
        self.it = Standing(
            self.bench.connection, core, settings, cast("asyncio.AbstractEventLoop", self.loop)
        )
        self.bench.connection.attach(self.it)
        self.bench.connect()
        self.it._opened()
        self.loop.tick()
        self.client.receive_data(self.sent())
        self.bench.transport.written.clear()

    def sent(self) -> bytes:
        self.loop.tick()
        return b"".join(self.bench.transport.written)

    @property
    def code(self) -> int:
        """Of the Close frame that the program is told of; a dropped peer does not get it."""
        assert self.it._sent is not None
        return self.it._sent.code


@pytest.fixture(autouse=True)
def whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first ping comes after the whole interval."""
    monkeypatch.setattr("random.random", lambda: 1.0)


def test_the_first_ping_goes_out_after_a_random_part_of_the_interval(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("random.random", lambda: 0.5)
    it = Open()
    it.loop.advance(first_beat(INTERVAL, 0.5) - 0.01)
    assert it.sent() == b""
    it.loop.advance(A_SLOT)
    assert it.sent()[0] == PING
    it.bench.transport.written.clear()
    it.bench.connection.data_received(b"\x8a\x80abcd")
    it.loop.advance(INTERVAL - 2 * A_SLOT)
    assert it.sent() == b"", "the next one after the whole"


def test_a_ping_goes_out_after_the_interval_and_no_sooner() -> None:
    it = Open()
    it.loop.advance(INTERVAL - 0.01)
    assert it.sent() == b""
    it.loop.advance(A_SLOT)
    assert it.sent()[0] == PING


@pytest.mark.parametrize("sign", [b"\x8a\x80abcd", b"\x81\x80abcd"], ids=["pong", "message"])
def test_any_byte_after_a_ping_is_a_sign_of_life(sign: bytes) -> None:
    it = Open()
    it.loop.advance(INTERVAL + A_SLOT)
    it.bench.connection.data_received(sign)
    it.loop.advance(PATIENCE + A_SLOT)
    assert not it.bench.transport.aborted
    it.bench.transport.written.clear()
    it.loop.advance(INTERVAL - PATIENCE + A_SLOT)
    assert it.sent()[0] == PING  # and so it goes on


def test_silence_after_a_ping_ends_it_in_time_and_no_sooner() -> None:
    it = Open()
    it.loop.advance(INTERVAL + A_SLOT)
    it.loop.advance(PATIENCE - 2 * A_SLOT)
    assert not it.bench.transport.aborted
    it.loop.advance(3 * A_SLOT)
    assert it.bench.transport.aborted
    assert it.code == ws.CloseCode.INTERNAL_ERROR


def test_while_it_is_not_read_silence_means_nothing() -> None:
    it = Open()
    it.it._paused = True
    it.loop.advance(10 * (INTERVAL + PATIENCE))
    assert not it.bench.transport.aborted


def test_a_peer_that_does_not_answer_our_close_is_dropped_in_time() -> None:
    it = Open()
    it.it.drain()
    assert it.sent()[0] == CLOSE
    it.loop.advance(LIMITS.connection.close_seconds_max - A_SLOT)
    assert not it.bench.transport.aborted
    it.loop.advance(2 * A_SLOT)
    assert it.bench.transport.aborted


@pytest.mark.parametrize(
    ("reason", "code", "dropped"),
    [
        (Reason.TIMEOUT, ws.CloseCode.GOING_AWAY, False),
        (Reason.SLOW_CONSUMER, ws.CloseCode.TRY_AGAIN_LATER, True),
    ],
)
def test_a_limit_of_time_ends_it_with_its_code(
    reason: Reason, code: ws.CloseCode, dropped: bool
) -> None:
    it = Open()
    it.it.overdue(reason)
    assert it.code == code
    assert it.bench.transport.aborted is dropped
    assert (it.sent()[:1] == bytes((CLOSE,))) is not dropped


def test_what_waits_for_the_end_is_told() -> None:
    it = Open()
    it.bench.lose()
    assert it.it.state is ws.State.CLOSED
    assert it.it.close_code == ws.ABNORMAL
