"""Clients of `holdfast.v1` whose network lets no WebSocket through: an event stream, and requests.

What the gateway says are the events of the answer to one request. What the client says comes in
the bodies of others, one message a line; the gateway's part that gets them passes them on as if
they had come on this connection, and says how many bytes come (`expect`). A stream that was asked
for with `GET` is a browser's bare `EventSource`: its client says nothing, has a cookie for a
token, and comes back with the id of the newest event that it has, which names its position.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec import structs

from holdfast.core.errors import DISCONNECTS, Disconnect, Reason
from holdfast.core.identity import ClientFacts
from holdfast.core.items import Notice, Output
from holdfast.core.limits import KIB
from holdfast.core.rate import Flow, Rate, flow_rates
from holdfast.core.text import presentable
from holdfast.gateway.adapters.ansi_spans import SpanReader
from holdfast.gateway.adapters.dialects import DialectError, HoldfastDialect, Ping
from holdfast.gateway.adapters.elements import without_markup
from holdfast.gateway.adapters.events import Broken, Capable, Enter, Event
from holdfast.gateway.adapters.gateway_messages import bye_of, message_of
from holdfast.gateway.adapters.notifications import (
    InvitationIssued,
    Notification,
    Restart,
    Resumption,
    ViewersChanged,
    WatchedResized,
    Watching,
    Welcomed,
    gone,
)
from holdfast.gateway.adapters.snapshot import (
    AdapterSnapshot,
    EventStreamAdapterSnapshot,
    other_kind,
)
from holdfast.gateway.adapters.upgrade import WebSocketSettings, refuse_in_http
from holdfast.gateway.auth.credentials import token_of
from holdfast.protocols import event_stream
from holdfast.protocols import holdfast_v1 as wire
from holdfast.protocols.websocket import Request
from holdfast.protocols.websocket.handshake import write_refusal
from holdfast.protocols.websocket.head import write_head
from holdfast.sessions.position import ClientPosition
from holdfast.sessions.records import Capabilities

STREAM: Final = b"stream"
"""The kind of the event that tells the client the name of its stream."""
_SLICE_BYTES: Final = 4 * KIB
_DIALECT: Final = HoldfastDialect(msgpack=False)
_PING: Final = event_stream.write_comment(b" ping")
"""A comment that the client answers, with a request that has no message."""
_HEAD: Final = (
    ("Content-Type", event_stream.MEDIA_TYPE),
    ("Cache-Control", "no-store"),
    ("X-Accel-Buffering", "no"),  # nginx passes events on as they come
    ("X-Content-Type-Options", "nosniff"),
    ("Connection", "close"),
)


class EventStreamAdapter:
    """One client, from the request that asked for its stream. `fields` are further header fields
    of the answer; `stream` is the name of the stream, which the client's other requests show."""

    __slots__ = (
        "_accepted",
        "_beat",
        "_epoch",
        "_expected",
        "_fields",
        "_flow",
        "_line",
        "_number",
        "_out",
        "_request",
        "_settings",
        "_spans",
        "_stream",
        "credential",
        "facts",
        "forwarded",
        "handshake_failed",
        "numbered",
        "tokens",
    )

    protocol = "sse"
    wants_token = True
    wants_code = False
    slice_bytes = _SLICE_BYTES
    unread = False
    deflate = None
    facts: ClientFacts

    def __init__(
        self,
        settings: WebSocketSettings,
        request: Request,
        stream: str,
        fields: Sequence[tuple[str, str]] = (),
    ) -> None:
        self._settings = settings
        self._spans = SpanReader(continues=settings.raw) if settings.ansi else None
        self._stream = stream
        self._fields = tuple(fields)
        self._flow = Flow(flow_rates(settings.limits))
        self._accepted = False
        self.handshake_failed = False
        self._beat: float | None = None
        """When a client that cannot answer is to hear that the connection is alive."""
        self._epoch = ""
        self._expected = 0
        self._line = b""
        self._number = -1
        """The number of the output that is being written; -1 for what has none."""
        self._out: list[bytes] = []
        self.tokens = 0
        self._read_request(request)
        forwarded = settings.forwarded
        self.forwarded: Sequence[str] = request.headers.get_all(forwarded) if forwarded else ()
        self.credential = token_of(request, settings.auth) if settings.auth is not None else ""

    def _read_request(self, request: Request) -> None:
        self._request = request
        self.numbered = request.method != "GET"
        self.facts = self._settings.requests.read(request)

    @property
    def takes_tokens(self) -> bool:
        return self.numbered

    @property
    def takes_credentials(self) -> bool:
        return self.numbered

    @property
    def pings(self) -> bool:
        return self.numbered

    @property
    def input_rate(self) -> Rate:
        return self._settings.input_rate

    # --- inbound

    def begin(self, now: float) -> list[Event]:
        if self.numbered:
            self._accept()
            return []
        self._beat = now + self._settings.limits.heartbeat_seconds_max
        headers = self._request.headers
        found = event_stream.read_position(headers.get("last-event-id") or "")
        position = ClientPosition(*found) if found is not None else None
        cookies = tuple(self._settings.cookie.read(headers))
        capabilities = Capabilities(client="EventSource", data=True)
        return [Capable(capabilities), Enter(cookies=cookies, position=position, or_new=True)]

    def expect(self, size: int) -> None:
        """A request has brought so many bytes of messages, which come next."""
        self._expected += size

    @property
    def expected(self) -> int:
        """Bytes of requests that have not come yet: they wait until they may be handled."""
        return self._expected

    def receive_data(self, data: bytes, now: float) -> list[Event]:
        self._expected -= len(data)
        if self._expected < 0:
            self._expected = 0
            return [self._break("bytes came behind the request for an event stream")]
        *lines, self._line = (self._line + data).split(b"\n")
        if not self._expected:  # the request ends its last line
            lines.append(self._line)
            self._line = b""
        lines = [line for line in lines if line]
        self.tokens += len(lines)
        if not self._flow.admit(len(lines), len(data), now):
            text = "too many messages or bytes a second"
            self.goodbye(DISCONNECTS[Reason.FLOOD], text, 0)
            return [Broken(Reason.FLOOD, text)]
        return self._translate(lines)

    @property
    def pending(self) -> int:
        return len(self._line)

    def discard_input(self) -> None:
        self._line = b""

    def receive_eof(self) -> list[Event]:
        return []

    def _translate(self, lines: Sequence[bytes]) -> list[Event]:
        events: list[Event] = []
        for line in lines:
            try:
                for found in _DIALECT.read(line.decode()):
                    if type(found) is Ping:
                        self._say(wire.Pong())
                    else:
                        events.append(found)  # type: ignore[arg-type]
            except (DialectError, UnicodeDecodeError) as error:
                events.append(self._break(str(error)))
                break
        return events

    def _break(self, text: str) -> Broken:
        self.goodbye(DISCONNECTS[Reason.PROTOCOL_ERROR], text, 0)
        return Broken(Reason.PROTOCOL_ERROR, text)

    # --- outbound

    def encode_text(self, text: bytes) -> bytes:
        """A message as an event. With its number, a client without messages of its own can come
        back."""
        if self.numbered or self._number < 0:
            return event_stream.write_event(text)
        position = event_stream.write_position(self._epoch, self._number)
        return event_stream.write_event(text, id_=position)

    encode_binary = encode_text

    def data_to_send(self) -> bytes:
        data = b"".join(self._out)
        self._out.clear()
        return data

    def encode(self, first: int, items: Sequence[Output | None]) -> bytes:
        before = self.data_to_send()
        if self._settings.raw:
            items = without_markup(items)
        if self._spans is not None:
            items = self._spans.read(items)
        if self.numbered:
            return before + _DIALECT.write(self, first, items)
        written = [before]
        for number, item in enumerate(items, first):
            self._number = number
            written.append(_DIALECT.write(self, number, (item,)))
        self._number = -1
        return b"".join(written)

    def encode_volatile(self, item: Output) -> bytes:
        if self._spans is not None:
            item = self._spans.plain(item)
        return self.data_to_send() + _DIALECT.volatile(self, item)

    def notify(self, notification: Notification) -> None:
        match notification:
            case InvitationIssued() | ViewersChanged() | Watching() | WatchedResized():
                return  # there are no viewers here
            case Welcomed() | Resumption() | Restart() if not self.numbered:
                self._enter(notification)
            case _:
                message = message_of(notification, self._settings.limits.message_bytes_max)
                if message is not None:
                    self._say(message)
        if type(notification) is Resumption:
            for line in gone(notification, "message"):
                self._out.append(_DIALECT.volatile(self, Notice(line)))

    def _enter(self, told: Welcomed | Resumption | Restart) -> None:
        """Tell a client whose cookie is its token, and its position that of the newest event."""
        if not self._accepted:
            self._accept([self._settings.cookie.write(told.token)] if told.token else [])
        self._epoch = told.epoch
        match told:
            case Welcomed():
                self._number = 0
            case Resumption(first=first):
                self._number = first - 1
            case Restart(top=top):
                self._number = top
        message = message_of(
            structs.replace(told, token=""), self._settings.limits.message_bytes_max
        )
        assert message is not None
        self._say(message)
        self._number = -1

    def probe(self, number: int, now: float) -> bool:
        return False

    def heartbeat(self) -> None:
        self._out.append(_PING)

    def refuse(self, status: int, message: str, headers: Sequence[tuple[str, str]] = ()) -> None:
        """Answer the request with an HTTP error."""
        self.handshake_failed = True
        self._out.append(write_refusal(status, message, (*self._fields, *headers)))

    def goodbye(self, disconnect: Disconnect, text: str, retry_seconds: float) -> bool:
        text = presentable(text)
        if not self._accepted:
            refuse_in_http(self, disconnect, text, retry_seconds)
            return False
        message = bye_of(disconnect, text, retry_seconds)
        if message.retry_ms > 0:
            self._out.append(event_stream.write_retry(message.retry_ms))
        self._say(message)
        return False

    def _accept(self, cookies: Sequence[tuple[str, str]] = ()) -> None:
        self._accepted = True
        head = write_head("HTTP/1.1 200 OK", (*_HEAD, *self._fields, *cookies))
        self._out.append(head + event_stream.write_event(self._stream.encode(), kind=STREAM))

    def _say(self, message: wire.ServerMessage) -> None:
        self._out.append(_DIALECT.frame(self, message))

    # --- time

    def next_deadline(self) -> float | None:
        return self._beat

    def handle_timer(self, now: float) -> list[Event]:
        if self._beat is not None and now >= self._beat:
            self._beat = now + self._settings.limits.heartbeat_seconds_max
            if self._accepted:
                self._out.append(event_stream.write_comment())
        return []

    # --- written down

    def snapshot(self, now: float) -> EventStreamAdapterSnapshot:
        beat = self._beat
        return EventStreamAdapterSnapshot(
            request=self._request,
            stream=self._stream,
            accepted=self._accepted,
            epoch=self._epoch,
            line=self._line,
            expected=self._expected,
            beat_seconds=beat - now if beat is not None else None,
            flow_seconds=self._flow.snapshot(now),
            tokens=self.tokens,
            unsent=b"".join(self._out),
            forwarded=list(self.forwarded),
            credential=self.credential,
        )

    def restore(self, taken: AdapterSnapshot, now: float) -> None:
        if not isinstance(taken, EventStreamAdapterSnapshot):
            raise other_kind(taken, EventStreamAdapterSnapshot)
        self._read_request(taken.request)
        self._stream = taken.stream
        self._accepted, self._epoch = taken.accepted, taken.epoch
        self._line, self._expected = taken.line, taken.expected
        self._beat = now + taken.beat_seconds if taken.beat_seconds is not None else None
        self._flow.restore(taken.flow_seconds, now)
        self.tokens = taken.tokens
        self._out = [taken.unsent] if taken.unsent else []
        self.forwarded, self.credential = taken.forwarded, taken.credential
