"""WebSocket clients: `holdfast.v1`, `webs.v1`, or plain text frames. Hot path."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from holdfast.core.errors import DISCONNECTS, Disconnect, Reason
from holdfast.core.identity import NO_FACTS
from holdfast.core.items import Notice, Output
from holdfast.core.limits import KIB, WebSocketLimits
from holdfast.core.rate import Flow, Rate, flow_rates
from holdfast.core.text import presentable
from holdfast.gateway.adapters.ansi_spans import SpanReader
from holdfast.gateway.adapters.base import TOKEN_BYTES
from holdfast.gateway.adapters.dialects import (
    Dialect,
    DialectError,
    HoldfastDialect,
    Ping,
    PlainDialect,
    Reply,
)
from holdfast.gateway.adapters.elements import without_markup
from holdfast.gateway.adapters.events import Broken, Enter, Event, Left, PlainHttp, Proven
from holdfast.gateway.adapters.gateway_messages import bye_of, message_of
from holdfast.gateway.adapters.notifications import (
    InvitationIssued,
    MaybeDelivered,
    Notification,
    Resumption,
    ViewersChanged,
    WatchedResized,
    Watching,
    Welcomed,
    gone,
)
from holdfast.gateway.adapters.snapshot import AdapterSnapshot, WebSocketAdapterSnapshot, other_kind
from holdfast.gateway.adapters.term import TermDialect
from holdfast.gateway.adapters.upgrade import (
    UpgradeRefusal,
    WebSocketSettings,
    judge,
    judge_host,
    refuse_in_http,
)
from holdfast.gateway.adapters.webs import WebsDialect
from holdfast.gateway.auth.credentials import token_of
from holdfast.protocols import holdfast_v1 as wire
from holdfast.protocols import term, webs
from holdfast.protocols import websocket as ws

_PROBE: Final = b"probe "
"""How the pings begin that ask for an output; its number follows."""
_DIGITS_MAX: Final = 16

_PLAIN: Final = PlainDialect()
_JSON: Final = HoldfastDialect(msgpack=False)
_MSGPACK: Final = HoldfastDialect(msgpack=True)
_OFFERED: Final = (wire.SUBPROTOCOL, wire.SUBPROTOCOL_MSGPACK, webs.SUBPROTOCOL)
_OFFERED_FOR_TERMINALS: Final = (term.SUBPROTOCOL,)
_DIALECTS: Final[Mapping[str, Callable[[WebSocketLimits], Dialect]]] = {
    wire.SUBPROTOCOL: lambda _: _JSON,
    wire.SUBPROTOCOL_MSGPACK: lambda _: _MSGPACK,
    webs.SUBPROTOCOL: lambda limits: WebsDialect(limits.message_bytes_max),
    term.SUBPROTOCOL: lambda _: TermDialect(),
}


_SLICE_BYTES: Final = 4 * KIB
_PACKED_SLICE_BYTES: Final = 1 * KIB
_INFLATED_SLICE_BYTES: Final = 64 * KIB
"""Compressed, a slice may be a thousand times as much: after this, the rest of it waits."""


class WebSocketAdapter:
    """One WebSocket client."""

    __slots__ = (
        "_accepted",
        "_core",
        "_dialect",
        "_flow",
        "_maybe_delivered",
        "_message",
        "_message_due",
        "_settings",
        "_spans",
        "credential",
        "facts",
        "forwarded",
        "handshake_failed",
        "slice_bytes",
        "tokens",
        "unread",
    )

    protocol = "websocket"
    wants_token = True
    wants_code = False
    pings = True

    def __init__(self, settings: WebSocketSettings) -> None:
        self._settings = settings
        self._core = ws.ServerConnection(settings.limits, settings.deflate)
        self._flow = Flow(flow_rates(settings.limits))
        self._dialect: Dialect = _PLAIN
        self._spans = SpanReader(continues=settings.raw) if settings.ansi else None
        self._accepted = False
        self.handshake_failed = False
        self.credential = ""
        self.forwarded: Sequence[str] = ()
        self._maybe_delivered = 0
        self._message = 0
        """The number of the incomplete message; 0 without one."""
        self._message_due: float | None = None
        self.facts = NO_FACTS
        self.tokens = 0
        self.slice_bytes = _SLICE_BYTES
        self.unread = False
        if settings.deflate is not None:
            self.slice_bytes = _PACKED_SLICE_BYTES
            self._core.pause_inflated = _INFLATED_SLICE_BYTES

    @property
    def numbered(self) -> bool:
        return self._dialect.numbered

    @property
    def takes_tokens(self) -> bool:
        return self.numbered

    @property
    def takes_credentials(self) -> bool:
        return self._dialect is _JSON or self._dialect is _MSGPACK

    # --- inbound

    def begin(self, now: float) -> list[Event]:
        return []

    @property
    def input_rate(self) -> Rate:
        return self._settings.input_rate

    def receive_data(self, data: bytes, now: float) -> list[Event]:
        core = self._core
        received = core.receive_data(data)
        if core.eventful:
            self._time_message(now)
            self.tokens += core.continuations + core.inflated // TOKEN_BYTES
            self.unread = core.unread
        count = len(received)
        self.tokens += count
        if not self._flow.admit(count, len(data), now):
            text = "too many messages or bytes a second"
            self.goodbye(DISCONNECTS[Reason.FLOOD], text, 0)
            return [Broken(Reason.FLOOD, text)]
        return self._translate(received)

    def receive_eof(self) -> list[Event]:
        self._core.receive_eof()
        return []

    @property
    def pending(self) -> int:
        return self._core.pending + self._dialect.pending

    def discard_input(self) -> None:
        self._core = ws.ServerConnection(self._settings.limits)
        self._dialect = _PLAIN

    def _translate(self, received: list[ws.Event]) -> list[Event]:
        events: list[Event] = []
        read = self._dialect.read
        for event in received:
            if type(event) is str or type(event) is bytes:
                try:
                    for found in read(event):
                        if type(found) is Ping:
                            self._core_frame(wire.Pong())
                        elif type(found) is Reply:
                            self._core.queue(self._core.encode_binary(found.data))
                        else:
                            events.append(found)  # type: ignore[arg-type]
                except DialectError as error:
                    if error.reply:
                        self._core.queue(self._core.encode_binary(error.reply))
                    events.append(self._break(str(error)))
                    break
            else:
                events += self._react(event)
        return events

    def _react(self, event: ws.Event) -> list[Event]:
        match event:
            case ws.Request():
                return self._open(event)
            case ws.PlainRequest(request, data):
                refusal = judge_host(request, self._settings.hosts)
                return self._refuse(refusal) if refusal is not None else [PlainHttp(data)]
            case ws.Pong(data) if data.startswith(_PROBE):
                number = data[len(_PROBE) :]
                known = number.isdigit() and len(number) <= _DIGITS_MAX
                return [Proven(int(number))] if known else []
            case ws.Close():
                return [Left(done=False)]
            case ws.Violation(_, reason):
                self.handshake_failed = not self._accepted
                return [Broken(Reason.PROTOCOL_ERROR, reason)]
            case _:
                return []

    def _open(self, request: ws.Request) -> list[Event]:
        settings = self._settings
        if settings.forwarded:
            self.forwarded = request.headers.get_all(settings.forwarded)
        refusal = judge(request, settings)
        if refusal is not None:
            return self._refuse(refusal)
        self.facts = settings.requests.read(request)
        if settings.auth is not None:
            self.credential = token_of(request, settings.auth)
        offered = _OFFERED_FOR_TERMINALS if settings.terminal else _OFFERED
        subprotocol = ws.choose_subprotocol(request, offered)
        if subprotocol is None and settings.terminal:
            text = f"expected the sub-protocol {term.SUBPROTOCOL}, found none"
            return self._refuse(UpgradeRefusal(400, text))
        if subprotocol is None:
            # The session must be known before the answer, which carries its cookie.
            cookies = tuple(settings.cookie.read(request.headers))
            return [Enter(cookies=cookies, or_new=True)]
        self._dialect = _DIALECTS[subprotocol](settings.limits)
        self._accept(subprotocol)
        received = self._core.receive_data(b"")
        self.unread = self._core.unread
        return self._translate(received)

    def _refuse(self, refusal: UpgradeRefusal) -> list[Event]:
        self.handshake_failed = True
        self._core.refuse(refusal.status, presentable(refusal.text))
        return [Broken(Reason.REFUSED, refusal.text, refusal.security)]

    def _break(self, text: str) -> Broken:
        self.goodbye(DISCONNECTS[Reason.PROTOCOL_ERROR], text, 0)
        return Broken(Reason.PROTOCOL_ERROR, text)

    # --- outbound

    def data_to_send(self) -> bytes:
        return self._core.data_to_send()

    def next_deadline(self) -> float | None:
        return self._message_due

    def handle_timer(self, now: float) -> list[Event]:
        if self._message_due is None or now < self._message_due:
            return []
        self._message_due = None
        text = "a message took too long"
        self.goodbye(DISCONNECTS[Reason.TIMEOUT], text, 0)
        return [Broken(Reason.TIMEOUT, text)]

    def _time_message(self, now: float) -> None:
        """Limit the time of a message from its first byte."""
        unfinished = self._core.unfinished
        if unfinished != self._message:
            self._message = unfinished
            limit = self._settings.limits.message_seconds_max
            self._message_due = now + limit if unfinished else None

    def encode(self, first: int, items: Sequence[Output | None]) -> bytes:
        settings = self._settings
        if settings.raw and not settings.terminal:  # bytes have no markup
            items = without_markup(items)
        if self._spans is not None:
            items = self._spans.read(items)
        # What is queued was encoded before: a compressed message refers to those before it.
        return self._core.data_to_send() + self._dialect.write(self._core, first, items)

    def encode_volatile(self, item: Output) -> bytes:
        if self._spans is not None:
            item = self._spans.plain(item)
        return self._core.data_to_send() + self._dialect.volatile(self._core, item)

    def notify(self, notification: Notification) -> None:
        match notification:
            case Welcomed(token=token) | Resumption(token=token) if not self._accepted:
                self._accept(None, [self._settings.cookie.write(token)] if token else [])
            case MaybeDelivered(upto):
                if upto > self._maybe_delivered:
                    self._maybe_delivered = upto
                    self._say("The next messages you may have seen.")
            case InvitationIssued() | ViewersChanged() | Watching() | WatchedResized():
                if self._core.state is ws.State.OPEN:
                    self._core.queue(self._dialect.viewing(self._core, notification))
            case _:
                message = message_of(notification, self._settings.limits.message_bytes_max)
                if message is not None:
                    self._core_frame(message)
        if type(notification) is Resumption:
            for line in gone(notification, "message"):
                self._say(line)

    def snapshot(self, now: float) -> WebSocketAdapterSnapshot:
        due = self._message_due
        return WebSocketAdapterSnapshot(
            core=self._core.snapshot(),
            unfinished=self._dialect.snapshot(),
            accepted=self._accepted,
            maybe_delivered=self._maybe_delivered,
            message=self._message,
            message_seconds=due - now if due is not None else None,
            flow_seconds=self._flow.snapshot(now),
            tokens=self.tokens,
            facts=self.facts,
            forwarded=list(self.forwarded),
            credential=self.credential,
        )

    def restore(self, taken: AdapterSnapshot, now: float) -> None:
        if not isinstance(taken, WebSocketAdapterSnapshot):
            raise other_kind(taken, WebSocketAdapterSnapshot)
        settings = self._settings
        core = ws.ServerConnection.restore(taken.core, settings.limits, settings.deflate)
        core.pause_inflated = self._core.pause_inflated
        self.unread = settings.deflate is not None and bool(taken.core.decoder.tail)
        self._core = core
        self._flow.restore(taken.flow_seconds, now)
        self._accepted, self._maybe_delivered = taken.accepted, taken.maybe_delivered
        if core.subprotocol is not None:
            self._dialect = _DIALECTS[core.subprotocol](settings.limits)
        self._dialect.restore(taken.unfinished)
        seconds = taken.message_seconds
        self._message = taken.message
        self._message_due = now + seconds if seconds is not None else None
        self.tokens = taken.tokens
        self.facts, self.credential = taken.facts, taken.credential
        self.forwarded = taken.forwarded
        if taken.accepted and core.deflate is None:
            self.slice_bytes = _SLICE_BYTES

    def probe(self, number: int, now: float) -> bool:
        self._core.ping(b"%s%d" % (_PROBE, number))
        return True

    def heartbeat(self) -> None:
        self._core.rest()
        self._core.ping()

    def goodbye(self, disconnect: Disconnect, text: str, retry_seconds: float) -> bool:
        text = presentable(text)
        if self._core.state is ws.State.CONNECTING:
            self.handshake_failed = True
            refuse_in_http(self._core, disconnect, text, retry_seconds)
            return False
        self._core_frame(bye_of(disconnect, text, retry_seconds))
        self._core.close(disconnect.code, text)
        return True

    def _accept(self, subprotocol: str | None, headers: Sequence[tuple[str, str]] = ()) -> None:
        self._accepted = True
        self._core.accept(subprotocol, headers)
        if self._core.deflate is None:
            self.slice_bytes = _SLICE_BYTES

    def _say(self, text: str) -> None:
        self._core.queue(self._dialect.volatile(self._core, Notice(text)))

    def _core_frame(self, message: wire.ServerMessage) -> None:
        """Queue a message of the gateway itself; a plain client gets none."""
        if self._core.state is ws.State.OPEN:
            self._core.queue(self._dialect.frame(self._core, message))
