"""An adapter that is written down and restored goes on as it would have."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any
from unittest import mock

import msgspec
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.gateway.adapters.test_websocket import request, settings
from tests.protocols.telnet.recorded import RECORDED
from tests.protocols.telnet.test_snapshot import Output as Inflated
from tests.protocols.telnet.wire import sb, wire
from tests.protocols.websocket.wire import frame
from tests.typed_core import ROOT

from holdfast.core.errors import DISCONNECTS, Reason, SnapshotError
from holdfast.core.items import Data, Formatted, Output, Prompt, Text
from holdfast.core.limits import Limits
from holdfast.core.login import ProfileSummary
from holdfast.gateway.adapters.base import Adapter
from holdfast.gateway.adapters.lines import LineAdapter
from holdfast.gateway.adapters.notifications import (
    CaughtUp,
    ChooseProfile,
    ClaimRefused,
    InputModeChanged,
    LoginNeeded,
    MaybeDelivered,
    Notification,
    Resumption,
    SessionActive,
    SessionOffered,
    Welcomed,
)
from holdfast.gateway.adapters.snapshot import AdapterSnapshot
from holdfast.gateway.adapters.telnet import TelnetAdapter
from holdfast.gateway.adapters.webs import WebsDialect
from holdfast.gateway.adapters.websocket import WebSocketAdapter
from holdfast.protocols.telnet.codes import CHARSET, DO, GMCP, IAC, MCCP2, NAWS, TTYPE, WILL, WONT
from holdfast.protocols.telnet.server import Offers, server_options
from holdfast.protocols.webs import Message, Opcode, encode
from holdfast.protocols.websocket import ClientConnection, Deflate, DeflateSettings, Offer

LIMITS = Limits()
SHARED_DEFLATE = Deflate(DeflateSettings(threshold_bytes=1))
OFFER = Offer("example.org", "/", ("holdfast.v1",), deflate=Deflate(DeflateSettings()))
COMPRESSED = server_options(Offers(mccp2=True))


def websocket(*, deflate: bool = False) -> WebSocketAdapter:
    given = settings()
    return WebSocketAdapter(replace(given, deflate=SHARED_DEFLATE) if deflate else given)


NEW_ADAPTER: dict[str, Callable[[], Adapter]] = {
    "json": websocket,
    "msgpack": websocket,
    "json compressed": lambda: websocket(deflate=True),
    "plain": websocket,
    "webs": websocket,
    "lines": lambda: LineAdapter("tcp", LIMITS.line),
    "telnet": lambda: TelnetAdapter(LIMITS.telnet),
    "telnet compressed": lambda: TelnetAdapter(LIMITS.telnet, options=COMPRESSED),
}


def handshake(name: str) -> bytes:
    protocols = {
        "json": "holdfast.v1",
        "msgpack": "holdfast.v1+msgpack",
        "json compressed": "holdfast.v1",
        "webs": "webs.v1",
    }
    headers = [f"Sec-WebSocket-Protocol: {protocols[name]}"] if name in protocols else []
    if name == "json compressed":
        headers.append("Sec-WebSocket-Extensions: permessage-deflate")
    return request(*headers)


def fragmented(data: bytes) -> bytes:
    """A text message in three frames, and a ping in it."""
    third = len(data) // 3
    return (
        frame(1, data[:third], fin=False)
        + frame(9, b"within")
        + frame(0, data[third : 2 * third], fin=False)
        + frame(0, data[2 * third :])
    )


HELLO = msgspec.json.encode({"t": "hello", "token": "tok", "epoch": "e", "last": 3})
COMMAND = msgspec.json.encode({"t": "cmd", "c": 1, "d": "look ÄÖ"})
PACKED = msgspec.msgpack.encode({"t": "cmd", "c": 2, "d": "look"})
WEBS = encode(Message(Opcode.INPUT, 5, b"look")) + encode(Message(Opcode.PING, 6))
SAID: dict[str, list[bytes]] = {
    "json": [frame(1, HELLO), fragmented(COMMAND), frame(1, COMMAND), frame(10, b"probe 7")],
    "msgpack": [frame(2, PACKED), frame(2, PACKED), frame(9, b"ping"), frame(8, b"\x03\xe8")],
    "json compressed": [HELLO, COMMAND, COMMAND, b'{"t":"ping"}', b'{"t":"quit"}'],
    "plain": [fragmented("look ÄÖ€".encode()), frame(1, b"look"), frame(2, b"\xff\xfe")],
    "webs": [frame(2, WEBS), frame(2, WEBS[:9]), frame(2, WEBS[9:]), frame(2, WEBS[:3])],
    "lines": [
        b"resume\n",
        b"look \xc3\xa4\r\n",
        b"x" * 100 + b"\n",
        b"\x16\x03",
        b"GET / HTTP/1.1\n",
    ],
    "telnet": [
        b"look \xc3\xa4\r\n",
        b"resume\r\n",
        wire(IAC, WILL, TTYPE, IAC, DO, GMCP, IAC, WONT, NAWS),
        sb(GMCP, b"Holdfast.Hello {}"),
        sb(GMCP, b'Holdfast.Hello {"token":"old","epoch":"e","last":3}'),
        sb(GMCP, b'Holdfast.Ack {"n":2}'),
        sb(GMCP, b'Core.Hello {"client":"x"}'),
        sb(TTYPE, 0, b"XTERM"),
        sb(TTYPE, 0, b"MTTS 137"),
        wire(IAC, DO, CHARSET),
        b"hunter2\x08\r",
        *(b"".join(pieces) for pieces in RECORDED.values()),
    ],
}
SAID["telnet compressed"] = [wire(IAC, DO, MCCP2), *SAID["telnet"]]

OUTPUTS: list[Output] = [
    Text("said"),
    Text("said * again"),
    Prompt("> "),
    Formatted("plain", ()),
    Data("Char.Vitals", '{"hp":1}'),
]
RESUMED = Resumption("sid", "e", "tok3", "ABCDEFGH", 30.0, 2, 4, 3, 1, 0)
NOTIFIED: list[Notification] = [
    Welcomed("sid", "e", "tok2", "ABCDEFGH", 30.0),
    RESUMED,
    MaybeDelivered(2),
    CaughtUp(RESUMED),
    SessionActive(),
    SessionOffered("You have another session."),
    ClaimRefused("unknown"),
    InputModeChanged("secret"),
    InputModeChanged("line"),
    LoginNeeded("no"),
    ChooseProfile([ProfileSummary("a", "Ann"), ProfileSummary("b", "Bob")]),
]
STEPS = st.one_of(
    st.tuples(st.just("encode"), st.lists(st.sampled_from(OUTPUTS), min_size=1, max_size=3)),
    st.tuples(st.just("notify"), st.sampled_from(NOTIFIED)),
    st.tuples(st.just("passes"), st.sampled_from([0.125, 1.0, 2.5, 40.0])),
    st.tuples(st.just("probe"), st.integers(1, 9)),
    st.tuples(st.just("sends"), st.none()),
)


@st.composite
def scripts(draw: st.DrawFn, name: str) -> list[tuple[str, Any]]:
    """What may happen to an adapter, with input that is cut anywhere."""
    said = draw(st.lists(st.sampled_from(SAID[name]), max_size=8))
    data = b"".join(said)
    if name == "json compressed":
        steps: list[tuple[str, Any]] = [("compresses", piece) for piece in said]
        return [step for both in zip(steps, draw(st.lists(STEPS)), strict=False) for step in both]
    steps = draw(st.lists(STEPS, max_size=3))
    while data:
        end = draw(st.integers(1, min(len(data), 60)))
        steps.append(("comes", data[:end]))
        data = data[end:]
        steps += draw(st.lists(STEPS, max_size=2))
    return steps


class Run:
    """One adapter and its client."""

    def __init__(self, name: str, *, restored: bool) -> None:
        self.name = name
        self.restored = restored
        """Whether the adapter is written down and restored before every step, each time in a
        process whose clock shows 1024 seconds more."""
        self.now = self.began = 0.0
        self.encoded = 0
        self.reader: ClientConnection | None = None
        self.inflated = Inflated() if name == "telnet compressed" else None
        self.adapter = NEW_ADAPTER[name]()
        self.adapter.begin(self.now)
        self.events: list[object] = []

    def opens(self, cut: int) -> None:
        """The handshake of a WebSocket comes in two pieces."""
        asked = self._offer() if self.name == "json compressed" else handshake(self.name)
        self.comes(asked[:cut])
        if self.restored:
            self.restore()
        self.comes(asked[cut:])

    def _offer(self) -> bytes:
        self.reader = ClientConnection(LIMITS.websocket, OFFER, bytes)
        return self.reader.data_to_send()

    def restore(self) -> None:
        try:
            taken = self.adapter.snapshot(self.now)
        except SnapshotError:
            assert self.name == "json compressed"
            return
        written = msgspec.msgpack.encode(taken)
        self.now += 1024.0
        self.began += 1024.0
        self.adapter = NEW_ADAPTER[self.name]()
        self.adapter.restore(msgspec.msgpack.decode(written, type=AdapterSnapshot), self.now)

    def step(self, step: tuple[str, Any]) -> list[object]:
        """All that comes of one thing that happens."""
        if self.restored:
            self.restore()
        name, value = step
        getattr(self, name)(value)
        adapter = self.adapter
        due = adapter.next_deadline()
        events, self.events = self.events, []
        return [
            step,
            *events,
            None if due is None else round(due - self.began, 6),
            (adapter.tokens, adapter.slice_bytes, adapter.wants_token, adapter.takes_tokens),
        ]

    def comes(self, data: bytes) -> None:
        self.events += self.adapter.receive_data(data, self.now)

    def compresses(self, data: bytes) -> None:
        """A message that comes compressed, in two pieces."""
        assert self.reader is not None
        written = self.reader.encode_text(data)
        self.comes(written[:7])
        if self.restored:
            self.restore()
        self.comes(written[7:])

    def passes(self, seconds: float) -> None:
        self.now += seconds
        due = self.adapter.next_deadline()
        if due is not None and due <= self.now:
            self.events += self.adapter.handle_timer(self.now)

    def encode(self, outputs: list[Output]) -> None:
        self.hears(self.adapter.encode(self.encoded + 1, outputs))
        self.encoded += len(outputs)

    def notify(self, notification: Any) -> None:
        self.adapter.notify(notification)

    def probe(self, number: int) -> None:
        self.events.append(self.adapter.probe(number, self.now))

    def goodbye(self, reason: Reason) -> None:
        self.events.append(self.adapter.goodbye(DISCONNECTS[reason], "so long", 1.5))

    def sends(self, _: None) -> None:
        self.hears(self.adapter.data_to_send())

    def hears(self, data: bytes) -> None:
        if self.reader is not None:
            self.events += self.reader.receive_data(data)
        elif self.inflated is not None:
            self.inflated.hears(data)
            self.events.append(self.inflated.plain)
        else:
            self.events.append(data)


@pytest.mark.parametrize("name", NEW_ADAPTER)
@hypothesis_settings(max_examples=30, deadline=None)
@given(st.data())
def test_a_snapshot_and_restore_at_any_point_changes_no_later_event(
    name: str, data: st.DataObject
) -> None:
    steps = [*data.draw(scripts(name)), ("goodbye", Reason.FLOOD), ("sends", None)]
    if isinstance(NEW_ADAPTER[name](), WebSocketAdapter):
        steps = [("opens", data.draw(st.integers(0, 120))), ("notify", NOTIFIED[0]), *steps]
    timeless = partial(WebsDialect, wall_ns=lambda: 5)
    with mock.patch("holdfast.gateway.adapters.websocket.WebsDialect", timeless):
        runs = [Run(name, restored=restored) for restored in (False, True)]
        for step in steps:
            straight, restored = [run.step(step) for run in runs]
            assert straight == restored


def test_a_snapshot_of_another_kind_of_client_is_refused() -> None:
    for name, new in NEW_ADAPTER.items():
        other = NEW_ADAPTER["lines" if name != "lines" else "telnet"]()
        other.begin(0.0)
        with pytest.raises(SnapshotError, match=r"expected a \w+Snapshot, found a \w+Snapshot"):
            new().restore(other.snapshot(0.0), 0.0)


def test_a_snapshot_changes_nothing() -> None:
    for name, new in NEW_ADAPTER.items():
        adapter = new()
        adapter.begin(0.0)
        if isinstance(adapter, WebSocketAdapter):
            adapter.receive_data(handshake(name), 0.0)
        adapter.notify(NOTIFIED[0])
        assert adapter.snapshot(1.0) == adapter.snapshot(1.0)
        assert adapter.data_to_send()


CONFIGURED = {
    "_limits",
    "_wraps",
    "_charsets",
    "_options",
    "_settings",
    "_raw",
    "input_rate",
    "protocol",
}
"""What an adapter has of its listener."""
DERIVED = {"_dialect", "_shows_elements", "_spans", "numbered", "slice_bytes", "unread"}
"""What follows from the rest."""
ENDING = {"handshake_failed"}
"""What only a connection has that is about to end."""
OF_TERMINALS = {"_decoder"}
"""What only a client of a terminal has, which ends with its gateway."""


def named_in_snapshots(kind: type) -> Iterator[str]:
    """The attributes that a class names in what makes its snapshots."""
    if not kind.__module__.startswith("holdfast."):
        return
    tree = ast.parse((ROOT / "src" / f"{kind.__module__.replace('.', '/')}.py").read_text())
    (found,) = [it for it in tree.body if isinstance(it, ast.ClassDef) and it.name == kind.__name__]
    for function in found.body:
        if isinstance(function, ast.FunctionDef) and function.name in ("snapshot", "_snapshot"):
            yield from (it.attr for it in ast.walk(function) if isinstance(it, ast.Attribute))


@pytest.mark.parametrize("kind", [LineAdapter, TelnetAdapter, WebSocketAdapter])
def test_all_that_an_adapter_keeps_is_in_its_snapshot(kind: type[Adapter]) -> None:
    kept = {name for base in kind.__mro__ for name in getattr(base, "__slots__", ())}
    written = {name for base in kind.__mro__ for name in named_in_snapshots(base)}
    assert kept - CONFIGURED - DERIVED - ENDING - OF_TERMINALS <= written
