"""A conversation that is written down and restored goes on as it would have."""

from __future__ import annotations

import itertools
import random
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any
from unittest import mock

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec import structs
from tests.gateway.conversation.steps import World
from tests.gateway.conversation.test_identify import Judge
from tests.protocols.websocket.wire import frame

from holdfast.core.errors import BusyError
from holdfast.core.items import MUST, Text
from holdfast.core.limits import Limits
from holdfast.core.login import LoginRefusedError, Policy
from holdfast.gateway.adapters.base import Adapter
from holdfast.gateway.adapters.event_stream import EventStreamAdapter
from holdfast.gateway.adapters.lines import LineAdapter
from holdfast.gateway.adapters.telnet import TelnetAdapter
from holdfast.gateway.adapters.upgrade import WebSocketSettings
from holdfast.gateway.adapters.websocket import WebSocketAdapter
from holdfast.gateway.conversation.driver import Driver
from holdfast.gateway.conversation.phases import ConversationPhase
from holdfast.gateway.conversation.snapshot import ConversationSnapshot, restore, snapshot
from holdfast.gateway.cookies import SessionCookie
from holdfast.protocols.websocket import Headers, Request

# No deadline falls on a moment that a test reaches: the timers are late by up to a tenth.
LIMITS = Limits().but(
    session={
        "commands_per_second_max": 5,
        "command_burst_max": 8,
        "queue_messages_max": 6,
        "probe_interval_seconds_max": 1.93,
        "unproven_seconds_max": 3.91,
    },
    line={"bytes_per_second_max": 2_000, "bytes_burst_max": 3_000},
    telnet={"bytes_per_second_max": 2_000, "bytes_burst_max": 3_000},
    websocket={"heartbeat_seconds_max": 4.87},
    connection={"stalled_seconds_max": 29.87},
)

HANDSHAKE = (
    b"GET / HTTP/1.1\r\nHost: example.org\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
)
V1 = b"Sec-WebSocket-Protocol: holdfast.v1\r\n"
PONG = 10


def message(kind: str, **fields: Any) -> bytes:
    return frame(1, msgspec.json.encode({"t": kind, **fields}))


SETTINGS = WebSocketSettings(
    LIMITS.websocket, "", (), SessionCookie("holdfast", "/", 3600.0, secure=False)
)


def websocket() -> Adapter:
    return WebSocketAdapter(SETTINGS)


def event_stream(method: str) -> Adapter:
    request = Request(method, "/", (1, 1), Headers((("host", "example.org"),)))
    return EventStreamAdapter(SETTINGS, request, "1.secret")


MAKE: dict[str, Callable[[], Adapter]] = {
    "tcp": lambda: LineAdapter("tcp", LIMITS.line),
    "telnet": lambda: TelnetAdapter(LIMITS.telnet),
    "v1": websocket,
    "plain": websocket,
    "stream": partial(event_stream, "POST"),
    "source": partial(event_stream, "GET"),
}
NUMBERED = ("v1", "stream")


@contextmanager
def foreseeable(jitter: float = 1.0) -> Iterator[None]:
    """Ids, secrets and jitter are the same in every world."""
    dice, ids = random.Random(1), itertools.count(1)

    def new_sid() -> str:
        return f"00000000-0000-7000-8000-{next(ids):012x}"

    with (
        mock.patch.object(secrets, "token_bytes", dice.randbytes),
        mock.patch.object(secrets, "token_hex", lambda size: dice.randbytes(size).hex()),
        mock.patch.object(secrets, "choice", dice.choice),
        mock.patch.object(random, "random", return_value=jitter),
        mock.patch("holdfast.sessions.manager.new_sid", new_sid),
    ):
        yield


class Line:
    """One client of a gateway, on a transport of lists."""

    def __init__(self, kind: str, *, restored: bool) -> None:
        self.world = World(LIMITS)
        self.kind = kind
        self.restored = restored
        """Whether the conversation is written down and restored before every step."""
        self.connection = self.world.bench.connection
        self.listener = self.world.listener(MAKE[kind])
        self.driver = Driver(self.connection, self.world.context, self.listener)
        self.connection.attach(self.driver)
        self.connection.connection_made(self.world.bench.transport)
        self.numbers = itertools.count(1)
        self.applied = 0

    def restore(self) -> None:
        """Another process goes on with the conversation; all else stays."""
        before = self.driver
        if self.connection.broken:
            return
        taken = msgspec.msgpack.encode(snapshot(before))
        session = before.attachment.session if before.attachment is not None else None
        driver = Driver(self.connection, self.world.context, self.listener)
        self.driver = driver
        restore(driver, msgspec.msgpack.decode(taken, type=ConversationSnapshot), session)
        handler = self.connection.handler
        if handler is before:
            self.connection.attach(driver)

    def step(self, step: tuple[str, Any]) -> Any:
        """What comes of one thing that happens."""
        if self.restored:
            self.restore()
        bench = self.world.bench
        name, value = step
        if not self.connection.broken:
            getattr(self, name)(value)
        bench.loop.tick()
        bench.loop.tick()
        written, bench.transport.written = b"".join(bench.transport.written), []
        told, self.world.backend.told = self.world.backend.told, []
        attachment = self.driver.attachment
        return (
            step,
            written,
            told,
            self.driver.phase,
            bench.transport.reading,
            bench.transport.closed,
            attachment.session.inbox.top if attachment is not None else None,
            attachment.session.out.acked if attachment is not None else None,
            attachment.proof if attachment is not None else None,
            dict(self.world.context.security.counts),
        )

    # --- what may happen

    def types(self, count: int) -> None:
        for _ in range(count):
            number = next(self.numbers)
            if self.kind in NUMBERED:
                self.comes(self.message("cmd", c=number, d=f"look {number}"))
            elif self.kind != "source":
                self.comes(self.line(b"look %d" % number))

    def line(self, text: bytes) -> bytes:
        return frame(1, text) if self.kind == "plain" else text + b"\r\n"

    def answers(self, number: int) -> None:
        """The client answers a probe, or a ping."""
        if self.kind == "plain":
            self.comes(frame(PONG, b"probe %d" % number if number else b""))

    def repeats(self, c: int) -> None:
        if self.kind in NUMBERED:
            self.comes(self.message("cmd", c=c, d=f"look {c}"))

    def acks(self, n: int) -> None:
        if self.kind in NUMBERED:
            self.comes(self.message("ack", n=n))

    def comes(self, data: bytes) -> None:
        if not self.connection.broken and self.world.bench.transport.reading:
            self.receives(data)

    def receives(self, data: bytes) -> None:
        adapter = self.driver.adapter
        if isinstance(adapter, EventStreamAdapter):
            adapter.expect(len(data))  # it is in the body of a request
        self.connection.data_received(data)

    def message(self, kind: str, **fields: Any) -> bytes:
        if self.kind == "stream":
            return msgspec.json.encode({"t": kind, **fields}) + b"\n"
        return message(kind, **fields)

    def arrives(self, data: bytes) -> None:
        """By a read that was under way when reading was stopped."""
        if self.kind in NUMBERED:
            data = self.message("cmd", c=next(self.numbers), d=data.decode())
        elif self.kind == "plain":
            data = frame(1, data)
        elif self.kind == "source":
            return
        self.receives(data)

    def says(self, count: int) -> None:
        for session in list(self.world.manager.sessions.values()):
            for _ in range(count):
                session.emit(Text(f"said {session.out.top}"), MUST, self.world.bench.loop.time())

    def applies(self, count: int) -> None:
        for session in list(self.world.manager.sessions.values()):
            session.applied(min(session.inbox.applied + count, session.inbox.top))

    def passes(self, seconds: float) -> None:
        self.world.bench.loop.advance(seconds)

    def fills(self, _: None) -> None:
        if not self.connection.full:
            limits = self.world.context.limits.connection
            self.world.bench.transport.buffered = limits.write_buffer_bytes_max + 1
            self.connection.pause_writing()

    def drains(self, _: None) -> None:
        if self.connection.full:
            self.world.bench.transport.buffered = 0
            self.connection.resume_writing()

    def ends(self, _: None) -> None:
        self.connection.eof_received()

    def stops(self, _: None) -> None:
        self.connection.drain()


def begin(line: Line) -> None:
    """The client has its session."""
    if line.kind == "v1":
        line.comes(HANDSHAKE + V1 + b"\r\n")
        line.comes(message("hello"))
    elif line.kind == "plain":
        line.comes(HANDSHAKE + b"\r\n")
    elif line.kind == "stream":
        line.comes(line.message("hello"))
    elif line.kind != "source":
        line.passes(3.0)
    assert line.driver.phase is ConversationPhase.LIVE


LONG = b"x" * 1_500 + b"\n"
MEDIUM = b"x" * 1_000 + b"\n"
SIZES = st.integers(1, 12)
STEPS = st.one_of(
    st.tuples(st.just("types"), SIZES),
    st.tuples(st.just("repeats"), SIZES),
    st.tuples(st.just("acks"), st.integers(0, 6)),
    st.tuples(st.just("answers"), st.integers(0, 6)),
    st.tuples(st.just("arrives"), st.sampled_from([b"look\n", b"lo", MEDIUM, LONG])),
    st.tuples(st.just("says"), st.integers(1, 4)),
    st.tuples(st.just("applies"), SIZES),
    st.tuples(st.just("passes"), st.sampled_from([0.25, 1.0, 2.5, 6.0])),
    st.tuples(st.just("fills"), st.none()),
    st.tuples(st.just("drains"), st.none()),
)
LAST = st.sampled_from([("ends", None), ("stops", None), ("passes", 30.0)])


@pytest.mark.parametrize("kind", MAKE)
@settings(max_examples=60, deadline=None)
@given(steps=st.lists(STEPS, max_size=12), last=LAST)
@example([("passes", 6.0), ("passes", 2.5), ("passes", 6.0)], ("ends", None))
@example(
    [("says", 2), ("passes", 2.5), ("answers", 2), ("says", 1), ("passes", 2.5)], ("ends", None)
)
@example([("says", 2), *[("passes", 1.0)] * 9], ("ends", None))
@example([("says", 1), ("passes", 0.25), ("says", 1), ("passes", 0.25)], ("ends", None))
@example([("arrives", LONG)] * 5, ("passes", 30.0))
@example([("types", 12), ("passes", 6.0), ("types", 12)], ("passes", 30.0))
@example([("applies", 9), ("arrives", MEDIUM), ("arrives", MEDIUM)], ("passes", 30.0))
@example([("types", 6), ("types", 3), ("applies", 9), ("passes", 6.0)], ("stops", None))
def test_a_snapshot_and_restore_at_any_point_changes_no_later_event(
    kind: str, steps: list[tuple[str, Any]], last: tuple[str, Any]
) -> None:
    runs = []
    for restored in (False, True):
        with foreseeable():
            line = Line(kind, restored=restored)
            begin(line)
            runs.append([line.step(step) for step in (*steps, last, ("passes", 30.0))])
    for straight, restored_run in zip(*runs, strict=True):
        assert straight == restored_run


def test_a_step_that_waits_is_not_written_down() -> None:
    with foreseeable():
        line = Line("v1", restored=False)
        line.world.backend.policy = Policy(login=True)
        begin(line)
        line.comes(message("login", username="ann", password="right"))
        assert line.world.asked == [("authenticate", "ann", "right")]
        with pytest.raises(BusyError, match="expected no step that waits for an answer; found 1"):
            snapshot(line.driver)
        line.world.answer(LoginRefusedError("no"))
        assert snapshot(line.driver).login_attempts == 1


def test_times_are_those_of_the_other_process() -> None:
    with foreseeable():
        line = Line("telnet", restored=False)
        begin(line)
        line.step(("says", 3))
        line.step(("types", 12))
        taken = snapshot(line.driver)
        assert taken.intake.held is not None
        taken.intake.held.turn = taken.intake.held.tell_at = taken.at + 5.0
        other = Line("telnet", restored=False)
        other.world.bench.loop.advance(500.0)
        assert line.driver.attachment is not None
        shift = other.world.bench.runtime.timers.now - taken.at
        assert shift > 400
        driver = Driver(other.connection, other.world.context, other.listener)
        restore(driver, taken, line.driver.attachment.session)
        moved = snapshot(driver)
    assert moved.wake == pytest.approx(taken.wake + shift)
    assert moved.intake.held is not None
    assert moved.intake.held.turn == pytest.approx(taken.intake.held.turn + shift)
    assert moved.intake.held.tell_at == pytest.approx(taken.intake.held.tell_at + shift)
    assert moved.attachment is not None
    assert taken.attachment is not None
    assert moved.attachment.evidence is not None
    assert taken.attachment.evidence is not None
    assert moved.attachment.evidence.times == [
        pytest.approx(time + shift) for time in taken.attachment.evidence.times
    ]
    assert moved.attachment.evidence.numbers == taken.attachment.evidence.numbers


def guarded(line: Line, judge: Judge | None) -> None:
    """The conversation is restored where `auth` is configured otherwise."""
    line.listener = structs.replace(line.listener, auth=judge)
    line.restore()


def test_nobody_is_asked_for_a_token_where_none_is_asked_for_any_more() -> None:
    with foreseeable():
        line = Line("v1", restored=False)
        guarded(line, Judge())
        line.comes(HANDSHAKE + V1 + b"\r\n")
        line.comes(message("hello", auth="good"))
        assert line.driver.proof is not None
        assert line.driver.proof.judged
        line.step(("passes", 0.1))
        line.driver.proof.due = line.world.bench.loop.time() + 0.5
        guarded(line, None)
        assert not line.step(("passes", 1.0))[1]
    assert line.driver.phase is ConversationPhase.LIVE


def test_who_was_asked_for_a_token_needs_none_any_more() -> None:
    with foreseeable():
        line = Line("v1", restored=False)
        guarded(line, Judge())
        line.comes(HANDSHAKE + V1 + b"\r\n")
        line.comes(message("hello"))
        assert line.driver.proof is not None
        assert line.driver.proof.waiting is not None
        guarded(line, None)
        line.passes(0.5)
    assert line.driver.phase is ConversationPhase.LIVE


def test_a_session_without_a_token_leads_to_no_other_where_one_is_asked_for() -> None:
    with foreseeable():
        line = Line("v1", restored=False)
        begin(line)
        guarded(line, Judge())
        attachment = line.driver.attachment
        assert attachment is not None
        line.step(("passes", 0.1))
        line.comes(message("hello", token="other"))
        asked = line.step(("passes", 0.1))[1]
        assert b"a token is needed" in asked
        assert line.driver.phase is ConversationPhase.LIVE
        line.comes(message("auth", token="bad"))
        assert b"the token is not valid" in line.step(("passes", 0.1))[1]
        line.comes(message("auth", token="good"))
        assert b'"refused"' in line.step(("passes", 0.1))[1], "the other session is not there"
        assert line.driver.phase is ConversationPhase.LIVE
        assert line.driver.attachment is attachment
        assert attachment.live
        line.types(1)
    assert attachment.session.inbox.top == 1


def test_a_client_that_cannot_be_asked_for_a_token_has_no_other_session() -> None:
    with foreseeable():
        line = Line("tcp", restored=False)
        begin(line)
        guarded(line, Judge())
        line.comes(b"resume ABCD-EFGH\r\n")
    assert line.driver.phase is ConversationPhase.LEAVING
    assert line.world.context.counts["closed_unauthenticated"] == 1
