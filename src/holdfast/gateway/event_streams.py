"""Event streams and requests in place of WebSockets, for the clients of one listener.

`EventStreams` takes a connection whose request is for neither a page nor a WebSocket. A request
for a stream begins a conversation: its connection gets a driver, like every other. The messages of
a stream's client come in other requests, on whatever connection: each names the stream in its first
line, and is answered once the stream's driver has taken it in, so a client that sends too fast
waits for its answers.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Sequence
from typing import Final

import msgspec
from msgspec import structs

from holdfast.core.ids import new_secret
from holdfast.core.limits import KIB, Limits
from holdfast.gateway.adapters.event_stream import EventStreamAdapter
from holdfast.gateway.adapters.upgrade import (
    UpgradeRefusal,
    WebSocketSettings,
    is_for_stream,
    judge_stream,
)
from holdfast.gateway.context import Context, ListenerContext, ServeHttp
from holdfast.gateway.conversation.driver import Driver
from holdfast.net.connection.connection import Connection
from holdfast.net.connection.handler import Handler
from holdfast.net.connection.handover import hand_over
from holdfast.net.http.exchanges import Exchange, ExchangeConnection, ExchangeLimits, Others
from holdfast.net.http.pages import NewHandler
from holdfast.protocols.event_stream import MEDIA_TYPE
from holdfast.protocols.http_requests import RequestReader
from holdfast.protocols.websocket import Request
from holdfast.protocols.websocket.head import HeadError

_NAME_BYTES_MAX: Final = 64
_BATCH_BYTES_MAX: Final = 64 * KIB
"""In a request, the name of the stream and the messages beside the largest."""
_TAKEN: Final = b"{}"
_GONE: Final = "there is no such stream, or it has ended"


class OpenStreams:
    """The event streams of a gateway. A reload changes how listeners take clients in, and the
    streams that are open stay."""

    __slots__ = ("_by_name", "_opened")

    def __init__(self) -> None:
        self._by_name: dict[str, StreamDriver] = {}
        self._opened = 0

    def new_name(self) -> str:
        """The name of another stream."""
        self._opened += 1
        return str(self._opened)

    def add(self, driver: StreamDriver) -> None:
        """A stream is open."""
        self._by_name[driver.name] = driver

    def remove(self, driver: StreamDriver) -> None:
        """It is open no more; nothing happens if it never was."""
        self._by_name.pop(driver.name, None)

    def find(self, shown: bytes) -> StreamDriver | None:
        """The stream whose name and secret a request shows."""
        name, _, secret = shown[:_NAME_BYTES_MAX].decode("latin-1").partition(".")
        driver = self._by_name.get(name)
        if driver is None or not hmac.compare_digest(secret.encode(), driver.secret.encode()):
            return None
        return driver


class StreamDriver(Driver):
    """The driver of an event stream, whose input comes in requests."""

    __slots__ = ("_answer", "_streams", "name", "secret")

    adapter: EventStreamAdapter

    def __init__(
        self,
        connection: Connection,
        context: Context,
        listener: ListenerContext,
        name: str,
        secret: str,
        streams: OpenStreams,
    ) -> None:
        super().__init__(connection, context, listener)
        self.name = name
        self.secret = secret
        self._streams = streams
        self._answer: Callable[[bool], None] | None = None
        """What answers the request whose messages are not all taken in."""

    @property
    def busy(self) -> bool:
        """Whether messages of a request wait."""
        return self._answer is not None

    def take(self, messages: bytes, answer: Callable[[bool], None]) -> None:
        """Handle the messages of a request. `answer` is called once: with `True` when they are
        taken in, with `False` if the stream ends before that."""
        self._answer = answer
        self.connection.heard = self.connection.now
        self.adapter.expect(len(messages))
        self.received(messages)

    # --- Handler

    def connected(self) -> None:
        self._streams.add(self)
        super().connected()

    def received(self, data: bytes) -> None:
        super().received(data)
        if not self.adapter.expected:
            self._settle(taken=True)

    def expired(self, now: float) -> None:
        if not self.adapter.numbered:
            # It never says anything. That it takes the comments shows that it is there.
            self.connection.look_for_reading()
        super().expired(now)

    def lost(self, cause: Exception | None) -> None:
        self._streams.remove(self)
        super().lost(cause)
        self._settle(taken=False)

    def _settle(self, *, taken: bool) -> None:
        answer, self._answer = self._answer, None
        if answer is not None:
            answer(taken)


class EventStreams:
    """Opens the streams of one listener: a `Service` of their requests. `pages` serves the
    others."""

    def __init__(
        self,
        settings: WebSocketSettings,
        context: Context,
        listener: ListenerContext,
        pages: ServeHttp,
        streams: OpenStreams,
    ) -> None:
        self._settings = settings
        self._context = context
        self._listener = listener
        self._pages = pages
        self._limits = exchange_limits(context.limits, settings.limits.message_bytes_max)
        self._streams = streams

    def take_over(
        self, connection: Connection, data: bytes, before: Handler, anew: NewHandler
    ) -> None:
        """Serve a connection on which `before` has found a request for no WebSocket."""
        if not self._is_for_streams(data):
            self._pages(connection, data, before, anew)
            return
        before.lost(None)
        others = Others(lambda request: not is_for_stream(request, self._settings.path), anew)
        room = self._context.input_room
        exchanges = ExchangeConnection(connection, self, self._limits, others, room)
        hand_over(connection, exchanges, (data,))

    def _is_for_streams(self, data: bytes) -> bool:
        limits = self._limits
        reader = RequestReader(
            head_bytes_max=limits.head_bytes_max, header_count_max=limits.header_count_max
        )
        reader.receive_data(data)
        try:
            found = reader.take_head()
        except HeadError:
            return False  # the service of pages answers
        return found is not None and is_for_stream(found[0], self._settings.path)

    # --- Service

    def handle(self, exchange: Exchange) -> None:
        request = exchange.request
        refusal = judge_stream(request, self._settings)
        if refusal is not None:
            self._refuse(exchange, refusal)
            return
        fields, opens = readable_by(request), request.headers.has_token("accept", MEDIA_TYPE)
        shown, _, messages = (b"", b"", exchange.body) if opens else exchange.body.partition(b"\n")
        refusal = self._judge_messages(request, messages)
        if refusal is not None:
            self._refuse(exchange, refusal, fields)
        elif opens:
            self._open(exchange, messages, fields)
        else:
            self._pass_on(exchange, shown, messages, fields)

    def refused(self, status: int, fault: str) -> bytes:
        return msgspec.json.encode({"error": fault})

    # --- inside

    def _judge_messages(self, request: Request, messages: bytes) -> UpgradeRefusal | None:
        """Why the messages of a request are refused, if they are."""
        if messages and request.method == "GET":
            text = f"expected a GET without a body, found one of {len(messages)} bytes"
            return UpgradeRefusal(400, text)
        most = self._settings.limits.message_bytes_max
        longest = max(map(len, messages.split(b"\n")))
        if longest > most:
            text = f"expected messages of at most {most} bytes, found one of {longest}"
            return UpgradeRefusal(413, text)
        return None

    def _open(self, exchange: Exchange, messages: bytes, fields: Sequence[tuple[str, str]]) -> None:
        name, secret = self._streams.new_name(), new_secret()
        request = exchange.request

        def adapter() -> EventStreamAdapter:
            return EventStreamAdapter(self._settings, request, f"{name}.{secret}", fields)

        connection = exchange.take_over()
        listener = structs.replace(self._listener, new_adapter=adapter)
        driver = StreamDriver(connection, self._context, listener, name, secret, self._streams)
        hand_over(connection, driver, ())
        if messages:
            driver.take(messages, lambda taken: None)

    def _pass_on(
        self, exchange: Exchange, shown: bytes, messages: bytes, fields: Sequence[tuple[str, str]]
    ) -> None:
        """Give messages to the driver of their stream."""
        driver = self._streams.find(shown)
        if driver is None:
            self._refuse(exchange, UpgradeRefusal(404, _GONE), fields)
        elif not driver.adapter.numbered:
            text = "expected a stream that was opened with POST, found one of GET: it takes nothing"
            self._refuse(exchange, UpgradeRefusal(409, text), fields)
        elif driver.busy:
            text = "expected one request at a time for a stream, found another"
            self._refuse(exchange, UpgradeRefusal(409, text), fields)
        else:

            def answer(taken: bool) -> None:
                if taken:
                    exchange.answer(_TAKEN, fields=fields)
                else:
                    self._refuse(exchange, UpgradeRefusal(404, _GONE), fields)

            driver.take(messages, answer)

    def _refuse(
        self, exchange: Exchange, refusal: UpgradeRefusal, fields: Sequence[tuple[str, str]] = ()
    ) -> None:
        if refusal.security is not None:
            self._context.security.tell(
                refusal.security, peer=exchange.peer, listener=exchange.listener, why=refusal.text
            )
        exchange.answer(self.refused(refusal.status, refusal.text), refusal.status, fields)


def readable_by(request: Request) -> list[tuple[str, str]]:
    """The header fields that let the page read the answer from which an accepted request comes."""
    origin = request.headers.get("origin")
    if origin is None:
        return []
    return [
        ("Access-Control-Allow-Origin", origin),
        ("Access-Control-Allow-Credentials", "true"),
        ("Vary", "Origin"),
    ]


def exchange_limits(limits: Limits, message_bytes_max: int) -> ExchangeLimits:
    """The limits of the requests of streams. A body may have several messages."""
    return ExchangeLimits(
        head_bytes_max=limits.websocket.head_bytes_max,
        header_count_max=limits.websocket.header_count_max,
        body_bytes_max=message_bytes_max + _BATCH_BYTES_MAX,
        request_seconds_max=limits.pages.body_seconds_max,
        answer_seconds_max=limits.connection.stalled_seconds_max,
        idle_seconds_max=limits.pages.idle_seconds_max,
    )
