"""Where a failure ends, and what is held: one driver on a transport of lists."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Any, Final

import msgspec
import pytest
import structlog
from msgspec import structs
from tests.gateway.conversation.test_snapshot import (
    HANDSHAKE,
    LIMITS,
    MAKE,
    V1,
    Line,
    begin,
    foreseeable,
    message,
)
from tests.net.fakes import Recorder
from tests.protocols.websocket.wire import frame

from holdfast.core.beats import first_beat
from holdfast.core.errors import Reason
from holdfast.core.items import Data, Output, Text, size_of
from holdfast.core.limits import KIB
from holdfast.core.login import Policy
from holdfast.gateway.adapters.base import Adapter
from holdfast.gateway.adapters.dialects import Frames, HoldfastDialect
from holdfast.gateway.adapters.events import LoginGiven, Numbered
from holdfast.gateway.adapters.upgrade import WebSocketSettings
from holdfast.gateway.adapters.websocket import WebSocketAdapter
from holdfast.gateway.conversation import events
from holdfast.gateway.conversation.phases import ConversationPhase
from holdfast.gateway.cookies import SessionCookie
from holdfast.net.addresses import parse_address
from holdfast.net.connection.connection import Connection
from holdfast.net.runtime.turns import ARRIVALS_COST_MAX
from holdfast.net.security_log import SecurityEvent
from holdfast.protocols.websocket import Deflate, DeflateSettings


class DefectError(Exception):
    """What nobody has thought of."""


def live(kind: str = "v1", **policy: bool) -> Line:
    """A client with its session; what came of that is forgotten."""
    with foreseeable():
        line = Line(kind, restored=False)
        line.world.backend.policy = Policy(**policy)
        begin(line)
        line.step(("passes", 0.1))
    return line


def told(line: Line) -> list[Any]:
    told, line.world.backend.told = line.world.backend.told, []
    return told


def test_a_step_that_fails_ends_its_connection_alone() -> None:
    line = live(login=True, profiles=True)
    attachment = line.driver.attachment
    assert attachment is not None
    attachment.session.row.user = "ann"
    events.react(line.driver, attachment, LoginGiven("ann", "right"))
    with structlog.testing.capture_logs() as logs:
        line.world.answer(DefectError())
    (failure,) = (log for log in logs if log["event"] == "a connection failed")
    assert failure["session"] == attachment.session.sid
    assert line.world.bench.transport.aborted
    assert line.driver.phase is ConversationPhase.LEAVING
    assert line.driver.attachment is None
    assert attachment.session.consumer is None
    assert len(line.world.context.pool) == 0


class BrokenDialect(HoldfastDialect):
    """Writes nothing."""

    __slots__ = ()

    def write(self, core: Frames, first: int, outputs: Sequence[Output | None]) -> bytes:
        raise DefectError


def test_what_the_session_says_to_a_broken_adapter_ends_the_connection() -> None:
    line = live()
    attachment = line.driver.attachment
    assert attachment is not None
    attachment.adapter._dialect = BrokenDialect(msgpack=False)  # type: ignore[attr-defined]
    line.says(2)
    line.world.bench.loop.tick()
    assert line.world.bench.transport.aborted
    assert ("detached", Reason.INTERNAL_ERROR) in told(line)
    assert attachment.session.out.maybe_delivered == 2  # it may have come so far


def test_a_security_event_names_the_client_its_session_and_the_listener() -> None:
    line = live()
    attachment = line.driver.attachment
    assert attachment is not None
    for listener in (parse_address("ws://127.0.0.1:8080/"), None):
        line.connection.listener = listener
        with structlog.testing.capture_logs() as logs:
            line.driver.tell(SecurityEvent.LIMITED, why="crowded")
        (event,) = logs
        assert event["address"] == line.connection.peer
        assert (event["sid"], event["why"]) == (attachment.session.sid, "crowded")
        assert event.get("listener") == (None if listener is None else str(listener))


def test_a_connection_that_is_lost_detaches_its_session_once() -> None:
    line = live()
    line.connection.connection_lost(None)
    assert told(line) == [("detached", Reason.CLIENT_LEFT)]
    line.driver.goodbye(Reason.SHUTDOWN)
    assert told(line) == []


@pytest.mark.parametrize("kind", ["tcp", "telnet"])
def test_what_waits_is_handled_in_order_when_its_turn_comes(kind: str) -> None:
    line = live(kind)
    line.types(7)  # the queue has room for six
    held = line.driver.intake.held
    assert held is not None
    assert held.events
    assert not line.world.bench.transport.reading
    line.arrives(b"last\r\n")
    line.connection.eof_received()
    (session,) = line.world.manager.sessions.values()
    while line.driver.intake.held is not None:
        session.applied(session.inbox.top)
        line.passes(0.5)
    assert session.inbox.top == 8
    assert [queued.item for queued in session.inbox.since(7)] == [Text("last")]
    assert told(line)[-1] == ("detached", Reason.CLIENT_LEFT)


def test_nothing_is_kept_of_what_waited_once_it_is_handled() -> None:
    line = live("plain")
    line.types(7)
    assert line.driver.intake.held is not None
    (session,) = line.world.manager.sessions.values()
    session.applied(session.inbox.top)
    assert line.driver.intake.held is None
    assert line.world.bench.transport.reading
    assert session.inbox.top == 7
    assert [queued.item for queued in session.inbox.since(6)] == [Text("look 7")]


@pytest.mark.parametrize("part", [0.0, 0.5])
def test_clients_that_have_come_together_are_not_pinged_together(part: float) -> None:
    with foreseeable(part):
        line = Line("plain", restored=False)
        begin(line)
    patience = line.world.limits.websocket.heartbeat_seconds_max
    line.passes(first_beat(patience, part) + patience - 0.2)
    transport = line.world.bench.transport
    transport.written.clear()
    line.passes(0.6)
    assert [data[:1] for data in transport.written] == [b"\x89"]


PING: Final = frame(0x9, b"")
SIGN_OF_LIFE: Final = message("ping")
MARK: Final = b"\xff\xf9"
FRAGMENT: Final = frame(0x0, b"", fin=False)
FIRST_FRAGMENT: Final = frame(0x1, b"x", fin=False)
FLOODS: Final = {
    "pings": ("v1", PING),
    "pings of the sub-protocol": ("v1", SIGN_OF_LIFE),
    "marks of prompts": ("telnet", MARK),
    "empty lines": ("tcp", b"\n"),
    "fragments": ("plain", FRAGMENT),
}
TOKENS_PER_PASS_MAX: Final = 1100
"""Of the cheapest kind; of one that is answered, fewer."""


@pytest.mark.parametrize(("kind", "unit"), FLOODS.values(), ids=FLOODS)
def test_a_read_of_many_small_units_is_handled_in_many_passes(kind: str, unit: bytes) -> None:
    line = live(kind)
    adapter, loop = line.driver.adapter, line.world.bench.loop
    if unit is FRAGMENT:
        line.connection.data_received(FIRST_FRAGMENT)
    tokens = before = adapter.tokens
    line.connection.data_received(unit * (64 * KIB // len(unit)))
    assert not line.world.bench.transport.reading
    passes = list[int]()
    while line.driver.intake.held is not None and len(passes) < 1000:
        passes.append(adapter.tokens - before)
        before = adapter.tokens
        loop.tick()
        if not passes[-1]:
            line.passes(0.1)
    assert 0 < max(passes) <= TOKENS_PER_PASS_MAX
    assert tokens < adapter.tokens


def packed() -> Adapter:
    cookie = SessionCookie("holdfast", "/", 3600.0, secure=False)
    deflate = Deflate(DeflateSettings())
    return WebSocketAdapter(WebSocketSettings(LIMITS.websocket, "", (), cookie, deflate=deflate))


def test_little_that_becomes_much_is_held_little_by_little(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(MAKE, "packed", packed)
    with foreseeable():
        line = Line("packed", restored=False)
        extension = b"Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n"
        line.arrives(HANDSHAKE + V1 + extension)
        line.arrives(message("hello"))
        line.world.commit()
    count, text = 12, "x" * 30_000
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    bomb = b""
    for c in range(1, count + 1):
        said = msgspec.json.encode({"t": "cmd", "c": c, "d": text})
        payload = packer.compress(said) + packer.flush(zlib.Z_SYNC_FLUSH)
        bomb += frame(0x1, payload[:-4], rsv=4)
    assert len(bomb) < KIB  # one slice of what is read
    line.arrives(bomb)
    (session,) = line.world.manager.sessions.values()
    most = 0
    while session.inbox.top < count:
        held = line.driver.intake.held
        assert held is not None
        texts = [size_of(event.item) for event in held.events if isinstance(event, Numbered)]
        most = max(most, sum(texts))
        session.applied(session.inbox.top)
        line.passes(0.5)
    assert 0 < most <= 128 * KIB
    assert [queued.item for queued in session.inbox.since(count - 1)] == [Text(text)]


def test_a_flood_is_handled_whole_and_in_order() -> None:
    line = live("v1")
    loop, transport = line.world.bench.loop, line.world.bench.transport
    line.connection.data_received(PING * 3000)
    while line.driver.intake.held is not None:
        loop.tick()
    line.connection.data_received(frame(0x9, b"last"))
    loop.tick()
    assert b"".join(transport.written) == b"\x8a\x00" * 3000 + b"\x8a\x04last"
    assert transport.reading


def test_the_clients_of_one_network_have_one_rate_of_input_together() -> None:
    line = live("v1")
    networks, loop = line.world.context.network_input, line.world.bench.loop
    limits = line.world.limits.session
    networks.spend("192.0.2.1", loop.time(), limits.input_burst_bytes_per_network_max + 2048)
    line.connection.data_received(PING * 100)
    held = line.driver.intake.held
    assert held is not None
    assert held.turn > loop.time()
    assert not line.world.bench.transport.reading
    line.passes(60.0)
    assert line.driver.intake.held is None
    assert line.world.bench.transport.reading


def test_a_client_of_a_network_that_sent_too_much_waits_before_it_has_a_turn() -> None:
    line = live("v1")
    networks, loop = line.world.context.network_input, line.world.bench.loop
    adapter, limits = line.driver.adapter, line.world.limits.session
    line.connection.data_received(PING * 3000)
    networks.spend("192.0.2.1", loop.time(), limits.input_burst_bytes_per_network_max)
    before = adapter.tokens
    loop.tick()
    assert adapter.tokens == before


def test_a_connection_that_is_lost_has_no_turn() -> None:
    line = live("v1")
    line.connection.data_received(PING * 3000)
    line.connection.connection_lost(None)
    tokens = line.driver.adapter.tokens
    for _ in range(5):
        line.world.bench.loop.tick()
    assert line.driver.adapter.tokens == tokens


def test_what_comes_behind_a_request_for_a_page_is_for_who_serves_it() -> None:
    served = Recorder()

    def serve(connection: Connection, data: bytes, *_: object) -> None:
        connection.attach(served)
        served.received(data)

    with foreseeable():
        line = Line("v1", restored=False)
        line.driver.listener = structs.replace(line.listener, serve_http=serve)
        request = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 60000\r\n\r\n" + b"x" * 60_000
        line.connection.data_received(request)
    assert b"".join(data for _, data in served.calls) == request


def stored(line: Line) -> list[Any]:
    """The commands that a store would be given."""
    (session,) = line.world.manager.sessions.values()
    _, record = session.record()
    return [queued.item for queued in record.ins]


@pytest.mark.parametrize("kind", ["tcp", "telnet", "plain"])
def test_what_was_typed_unseen_is_hidden_even_if_it_is_taken_later(kind: str) -> None:
    line = live(kind)
    (session,) = line.world.manager.sessions.values()
    session.set_input_mode("secret")
    line.types(7)  # the queue has room for six
    line.arrives(b"hunter2" if kind == "plain" else b"hunter2\r\n")
    session.set_input_mode("line")
    session.applied(session.inbox.top)
    while line.driver.intake.held is not None:
        line.passes(0.5)
    assert session.inbox.top == 8
    assert stored(line) == []
    session.applied(session.inbox.top)
    line.passes(5.0)
    line.comes(line.line(b"look"))
    assert stored(line) == [Text("look")]


@pytest.mark.parametrize("package", ["Char.Login", "Char.Login.Credentials", "char.login.token"])
def test_the_passwords_of_gmcp_are_not_stored(package: str) -> None:
    line = live("v1")
    line.comes(message("data", c=1, p="Char.Skills", d={}))
    line.comes(message("data", c=2, p=package, d={"password": "hunter2"}))
    (session,) = line.world.manager.sessions.values()
    assert session.inbox.top == 2
    assert stored(line) == [Data("Char.Skills", "{}")]


def test_who_comes_behind_many_others_has_its_session_when_it_is_its_turn() -> None:
    line = Line("v1", restored=False)
    turns, loop = line.world.context.runtime.turns, line.world.bench.loop
    turns.spent = ARRIVALS_COST_MAX
    line.connection.data_received(HANDSHAKE + V1 + b"\r\n")
    assert line.driver.intake.held is not None
    assert not line.world.bench.transport.written
    line.connection.eof_received()  # it is read in its order all the same
    loop.tick()
    loop.tick()
    assert b" 101 " in b"".join(line.world.bench.transport.written)
    assert line.driver.phase is ConversationPhase.LEAVING


def test_who_waits_for_its_turn_is_not_late() -> None:
    late, line = Line("v1", restored=False), Line("v1", restored=False)
    late.driver.overdue(Reason.TIMEOUT)
    assert late.driver.phase is ConversationPhase.LEAVING
    line.world.context.runtime.turns.spent = ARRIVALS_COST_MAX
    line.connection.data_received(HANDSHAKE + V1 + b"\r\n")
    line.driver.overdue(Reason.TIMEOUT)
    assert not line.world.bench.transport.written
    line.world.bench.loop.tick()
    line.world.bench.loop.tick()
    assert b" 101 " in b"".join(line.world.bench.transport.written)
    line.world.context.runtime.turns.spent = ARRIVALS_COST_MAX
    line.driver.overdue(Reason.TIMEOUT)  # nothing of it waits any more
    assert line.driver.phase is ConversationPhase.LEAVING


def test_who_has_its_session_does_not_wait_behind_those_who_come() -> None:
    line = live()
    turns = line.world.context.runtime.turns
    turns.wait(Line("v1", restored=False).driver, "192.0.2.66")
    line.arrives(b"look")
    assert line.driver.intake.held is None
    (session,) = line.world.manager.sessions.values()
    assert session.inbox.top == 1
