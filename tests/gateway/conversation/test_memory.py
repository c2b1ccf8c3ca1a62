"""What the input of a client takes of the memory for the input of all."""

from __future__ import annotations

import zlib
from typing import Final

import pytest
from tests.gateway.conversation.test_snapshot import HANDSHAKE, MAKE, Line, begin, foreseeable
from tests.protocols.websocket.wire import frame

from holdfast.core.errors import Reason
from holdfast.core.limits import KIB, Limits
from holdfast.gateway.adapters.base import Adapter
from holdfast.gateway.adapters.upgrade import WebSocketSettings
from holdfast.gateway.adapters.websocket import WebSocketAdapter
from holdfast.gateway.cookies import SessionCookie
from holdfast.net.runtime.room import CROWDED, UNCOUNTED_BYTES
from holdfast.net.security_log import SecurityEvent
from holdfast.protocols.websocket import Deflate, DeflateSettings

SIZE: Final = 12 * KIB
GMCP: Final = 0xC9


def _packed() -> Adapter:
    cookie = SessionCookie("holdfast", "/", 3600.0, secure=False)
    deflate = Deflate(DeflateSettings())
    limits = Limits().websocket
    return WebSocketAdapter(WebSocketSettings(limits, "", (), cookie, deflate=deflate))


def _bomb() -> bytes:
    """The first frame of a compressed message: some bytes that become many."""
    stream = zlib.compressobj(wbits=-15)
    packed = stream.compress(b"x" * SIZE) + stream.flush(zlib.Z_SYNC_FLUSH)
    return bytes((0x40 | 0x1,)) + frame(0x1, packed, fin=False)[1:]


INCOMPLETE: Final[dict[str, tuple[str, bytes]]] = {
    "a frame of a text": ("plain", frame(0x1, b"x" * (SIZE + 1))[:-1]),
    "a frame of bytes": ("plain", frame(0x2, b"x" * (SIZE + 1))[:-1]),
    "a fragment": ("v1", frame(0x1, b"x" * SIZE, fin=False)),
    "many fragments": ("plain", frame(0x1, b"x", fin=False) + 500 * frame(0x0, b"", fin=False)),
    "a line": ("tcp", b"x" * SIZE),
    "a line of Telnet": ("telnet", b"x" * SIZE),
    "a subnegotiation": ("telnet", bytes((255, 250, GMCP)) + b"Core.Hello " + b"x" * SIZE),
    "a message of an event stream": ("stream", b'{"t":"cmd","d":"' + b"x" * SIZE),
}


def opened(kind: str) -> Line:
    with foreseeable():
        line = Line(kind, restored=False)
        begin(line)
        line.step(("passes", 3.0))
    return line


def comes(line: Line, data: bytes) -> None:
    """In reads as a slow network gives them."""
    for start in range(0, len(data), 2 * KIB):
        if line.kind == "stream":
            line.driver.adapter.expect(1_000_000)  # type: ignore[attr-defined]
        line.connection.data_received(data[start : start + 2 * KIB])
        while line.driver.intake.held is not None:
            line.passes(0.5)


@pytest.mark.parametrize(("kind", "data"), INCOMPLETE.values(), ids=INCOMPLETE)
def test_what_is_incomplete_is_counted(kind: str, data: bytes) -> None:
    line = opened(kind)
    room = line.world.context.input_room
    assert room.used == 0
    comes(line, data)
    assert line.driver.intake.held is None
    assert SIZE <= room.used <= 4 * SIZE
    line.connection.connection_lost(None)
    assert room.used == 0


def test_what_becomes_much_is_counted_as_much(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(MAKE, "packed", _packed)
    line = Line("packed", restored=False)
    line.arrives(HANDSHAKE + b"Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n")
    bomb = _bomb()
    assert len(bomb) < 100
    line.arrives(bomb)
    line.passes(0.5)
    assert line.world.context.input_room.used >= SIZE
    line.connection.connection_lost(None)
    assert line.world.context.input_room.used == 0


@pytest.mark.parametrize(("kind", "data"), INCOMPLETE.values(), ids=INCOMPLETE)
def test_without_room_its_connection_is_closed_and_its_input_dropped(
    kind: str, data: bytes
) -> None:
    line = opened(kind)
    line.world.context.input_room.bytes_max = 8 * KIB
    (session,) = line.world.manager.sessions.values()
    comes(line, data)
    context = line.world.context
    assert context.input_room.used == 0
    assert context.input_room.closed == 1
    assert line.driver.adapter.pending == 0
    assert context.counts["closed_crowded"] == 1
    assert context.security.counts[SecurityEvent.LIMITED]
    assert ("detached", Reason.CROWDED) in line.world.backend.told
    assert session.sid in line.world.manager.sessions  # its client may resume
    if kind in ("v1", "stream"):
        assert CROWDED.encode() in b"".join(line.world.bench.transport.written)
    comes(line, data)  # it goes on all the same
    assert line.driver.adapter.pending == 0


def test_a_message_that_has_come_whole_needs_no_room() -> None:
    line = opened("plain")
    room = line.world.context.input_room
    whole = frame(0x1, b"x" * SIZE)
    comes(line, whole[:-1])
    assert room.used >= SIZE
    comes(line, whole[-1:])
    assert room.used == 0


def test_small_input_is_not_counted() -> None:
    line = opened("plain")
    comes(line, frame(0x1, b"x" * SIZE)[: UNCOUNTED_BYTES - 200])
    assert line.driver.intake.reservation is None


@pytest.mark.parametrize("kind", ["plain", "tcp", "telnet"])
def test_what_waits_is_counted_until_it_is_handled(kind: str) -> None:
    line = opened(kind)
    room = line.world.context.input_room
    (session,) = line.world.manager.sessions.values()
    line.connection.data_received(b"".join(line.line(b"look %d" % n) for n in range(2_000)))
    held = line.driver.intake.held
    assert held is not None
    assert held.events
    assert held.unread
    assert room.used >= len(held.unread) + 64 * len(held.events)
    before = room.used
    while line.driver.intake.held is not None:
        session.applied(session.inbox.top)
        line.passes(0.5)
        assert room.used <= before
    assert session.inbox.top == 2_000
    assert room.used == 0


def test_who_is_closed_is_of_the_network_with_most() -> None:
    line, other = opened("plain"), opened("plain")
    room = line.world.context.input_room
    room.bytes_max = 30 * KIB
    other.driver.context = line.world.context
    for one, peer in ((line, "192.0.2.1"), (other, "192.0.2.2")):
        one.connection.peer, one.driver.intake.network = peer, None
    comes(other, frame(0x1, b"x" * SIZE)[:-1])
    comes(line, frame(0x1, b"x" * 2 * SIZE)[:-1])
    assert line.driver.intake.reservation is None
    assert line.world.context.counts["closed_crowded"] == 1
    assert other.driver.intake.reservation is not None
    assert SIZE <= room.used < 2 * SIZE
