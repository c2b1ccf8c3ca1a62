"""A viewer's connection from its first byte on, on a transport of lists."""

from __future__ import annotations

import random
from typing import Any

import msgspec
import pytest
from msgspec import structs
from tests.gateway.conversation.steps import Question, World
from tests.gateway.conversation.test_snapshot import HANDSHAKE
from tests.protocols.websocket.wire import frame

from holdfast.core.identity import ClientFacts, Identity
from holdfast.core.items import MUST, Binary
from holdfast.core.limits import KIB, Limits
from holdfast.gateway.adapters.base import Adapter
from holdfast.gateway.adapters.upgrade import WebSocketSettings
from holdfast.gateway.adapters.websocket import WebSocketAdapter
from holdfast.gateway.auth.options import AuthOptions
from holdfast.gateway.conversation.driver import Driver
from holdfast.gateway.cookies import SessionCookie
from holdfast.sessions.states import Durability
from holdfast.sessions.terminal import TerminalSession

LIMITS = Limits().but(session={"viewer_unacknowledged_max": 4 * KIB})
TERM = b"Sec-WebSocket-Protocol: holdfast.term.v1\r\n"
BEARER = b"Authorization: Bearer good\r\n"
PING = frame(0x9, b"here")
PONG = b"\x8a\x04here"


def message(kind: str, **fields: Any) -> bytes:
    return frame(1, msgspec.json.encode({"t": kind, **fields}))


class Judge:
    """Asks the test who has a token."""

    def __init__(self, world: World) -> None:
        self.options = AuthOptions(algorithms=("HS256",), leeway_seconds=0, renew_seconds=0)
        self.wall = world.context.wall

    async def judge_token(self, token: str) -> Identity:
        return await Question[Identity]("token", token)

    def judge_certificate(self, facts: ClientFacts) -> Identity | None:
        return None


class Viewing:
    """One terminal with an invitation, and the connection of a client that has it."""

    def __init__(self, *, auth: bool = False, limits: Limits = LIMITS) -> None:
        self.world = world = World(limits)
        self.judge = Judge(world) if auth else None
        self.session = world.manager.create(
            world.backend, Durability.MEMORY, 0.0, "192.0.2.9", TerminalSession
        )
        _, self.token = world.manager.invitations.invite(self.session, 3600.0, world.context.wall())
        listener = structs.replace(
            world.listener(self._adapter), new_session=TerminalSession, auth=self.judge
        )
        self.connection, self.transport = world.bench.connection, world.bench.transport
        self.driver = Driver(self.connection, world.context, listener)
        self.connection.attach(self.driver)
        self.connection.connection_made(self.transport)

    def _adapter(self) -> Adapter:
        cookie = SessionCookie("holdfast", "/", 3600.0, secure=False)
        options = self.judge.options if self.judge is not None else None
        settings = WebSocketSettings(
            self.world.limits.websocket, "", (), cookie, auth=options, terminal=True
        )
        return WebSocketAdapter(settings)

    @property
    def viewers(self) -> int:
        return len(self.session.viewers or ())

    @property
    def watch(self) -> bytes:
        return message("watch", token=self.token, n=0)

    def opens(self, behind: bytes = b"") -> None:
        """The client sends its request."""
        bearer = BEARER if self.judge is not None else b""
        self.comes(HANDSHAKE + TERM + bearer + b"\r\n" + behind)

    def comes(self, data: bytes) -> None:
        """As far as the connection is read."""
        assert self.transport.reading
        self.connection.data_received(data)
        self.world.bench.loop.tick()

    def proves(self, seconds: float = 600.0) -> None:
        """Its token is good for so many seconds."""
        self.world.answer(Identity("anna", expires=self.world.context.wall() + seconds))
        self.world.bench.loop.tick()

    def prints(self, size: int) -> None:
        for _ in range(size // KIB):
            self.session.emit(Binary(b"Z" * KIB), MUST, self.world.context.wall())
        self.passes(1.0)

    def passes(self, seconds: float) -> None:
        self.world.bench.loop.advance(seconds)

    def written(self) -> bytes:
        written, self.transport.written = b"".join(self.transport.written), []
        return written


def test_a_viewer_that_had_to_prove_itself_is_read() -> None:
    viewing = Viewing(auth=True)
    viewing.opens(viewing.watch)
    viewing.proves()
    assert viewing.viewers == 1
    viewing.written()
    viewing.prints(20 * KIB)
    assert viewing.written().count(b"Z") == 4 * KIB
    viewing.comes(message("ack", n=4 * KIB) + PING)
    viewing.passes(1.0)
    answered = viewing.written()
    assert answered.count(b"Z") == 4 * KIB
    assert PONG in answered
    viewing.comes(message("close"))
    assert viewing.viewers == 0
    assert viewing.transport.closed


@pytest.mark.parametrize("size", [1, 6 * KIB], ids=["one packet", "several slices"])
def test_what_came_before_a_viewer_was_known_is_not_lost(size: int) -> None:
    viewing = Viewing(auth=True)
    padding = frame(0xA, b"x" * 100) * (size // 100)
    viewing.opens(viewing.watch + padding + PING)
    viewing.proves()
    for _ in range(10):
        viewing.world.bench.loop.tick()
    assert PONG in viewing.written()
    viewing.comes(PING)
    assert PONG in viewing.written()


def test_who_is_refused_a_session_may_have_asked_to_watch_behind_it() -> None:
    viewing = Viewing(auth=True)
    refused = message("attach", token="unknown", n=0, cols=80, rows=24)
    padding = frame(0xA, b"x" * 100) * 45
    viewing.opens()
    viewing.comes(refused + viewing.watch + padding + message("close"))
    viewing.proves()
    viewing.passes(1.0)
    answered = viewing.written()
    assert b'"refused"' in answered
    assert b'"watching"' in answered
    assert viewing.viewers == 0, "it has left"
    assert viewing.transport.closed


def test_the_end_that_came_before_a_viewer_was_known_is_its_end() -> None:
    viewing = Viewing(auth=True)
    viewing.opens(viewing.watch + message("ack", n=0))
    viewing.connection.eof_received()
    viewing.proves()
    assert viewing.viewers == 0
    assert viewing.transport.closed


@pytest.mark.parametrize("auth", [False, True], ids=["without auth", "with auth"])
def test_a_viewer_that_leaves_in_the_packet_in_which_it_came(auth: bool) -> None:
    viewing = Viewing(auth=auth)
    viewing.opens()
    viewing.comes(viewing.watch + message("close"))
    if auth:
        viewing.proves()
    assert viewing.viewers == 0
    assert viewing.transport.closed


@pytest.mark.parametrize("auth", [False, True], ids=["without auth", "with auth"])
def test_a_viewer_that_does_not_read_at_first_is_read_when_it_has(auth: bool) -> None:
    viewing = Viewing(auth=auth)
    viewing.prints(3 * KIB)
    viewing.opens()
    viewing.transport.buffered = LIMITS.connection.write_buffer_bytes_max + 1
    viewing.connection.pause_writing()
    viewing.comes(viewing.watch)
    if auth:
        viewing.proves()
    viewing.written()
    viewing.connection.resume_writing()
    viewing.comes(PING)
    assert PONG in viewing.written()


def test_the_rate_of_input_does_not_stop_a_viewer() -> None:
    viewing = Viewing()
    viewing.opens()
    networks, session = viewing.world.context.network_input, LIMITS.session
    networks.spend(
        "192.0.2.1",
        viewing.world.bench.loop.time(),
        session.input_burst_bytes_per_network_max + 64 * KIB,
    )
    padding = frame(0xA, b"x" * 100) * 35
    viewing.driver.intake.shared = 4 * KIB
    viewing.comes(viewing.watch + padding)
    viewing.comes(PING)
    assert PONG in viewing.written()


def test_a_viewer_keeps_no_memory_with_what_it_does_not_finish() -> None:
    viewing = Viewing()
    viewing.opens()
    viewing.comes(viewing.watch)
    assert viewing.viewers == 1
    viewing.comes(frame(0x1, b"x" * 8 * KIB)[:-1])
    assert viewing.viewers == 0
    assert b'"reason":"protocol_error"' in viewing.written()


def test_a_viewer_may_watch_as_long_as_its_token_is_good() -> None:
    viewing = Viewing(auth=True)
    viewing.opens(viewing.watch)
    viewing.proves(seconds=50.0)
    for _ in range(49):
        viewing.passes(1.0)
        viewing.connection.data_received(message("ping"))
    assert viewing.viewers == 1
    viewing.written()
    viewing.passes(2.0)
    assert viewing.viewers == 0
    assert b'"reason":"expired"' in viewing.written()


def test_viewers_that_are_sent_away_together_do_not_come_back_together(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(random, "random", lambda: 0.0)
    viewing = Viewing()
    viewing.opens()
    viewing.comes(viewing.watch)
    viewing.written()
    viewing.connection.drain()
    assert b'"retry_ms":100' in viewing.written()
    assert viewing.world.context.counts["closed_shutdown"] == 1
    viewing.comes(frame(0x8, b"\x03\xe8"))
    assert viewing.transport.closed


def test_the_goodbye_of_a_viewer_is_waited_for_so_long() -> None:
    viewing = Viewing()
    viewing.opens()
    viewing.comes(viewing.watch)
    viewing.connection.pause_reading()
    viewing.connection.drain()
    assert viewing.transport.reading, "its own goodbye is read"
    assert not viewing.transport.closed
    viewing.passes(LIMITS.connection.close_seconds_max + 1.0)
    assert viewing.transport.closed
