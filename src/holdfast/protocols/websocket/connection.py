"""One WebSocket connection (RFC 6455) without I/O, in either role.

Pass received bytes to `receive_data` and write the result of `data_to_send`. The connection
answers pings and completes the closing handshake. When the state is `CLOSED`, write the rest
and close the transport.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from msgspec import structs

from holdfast.core.limits import WebSocketLimits
from holdfast.core.text import presentable
from holdfast.protocols.websocket import codec, handshake
from holdfast.protocols.websocket.deflate import EXTENSIONS, Agreement, Deflate, PerMessageDeflate
from holdfast.protocols.websocket.events import Close, Event, Ping, PlainRequest, Violation
from holdfast.protocols.websocket.frames import CloseCode, Decoder, Opcode, close_payload
from holdfast.protocols.websocket.handshake import HandshakeError, Offer
from holdfast.protocols.websocket.head import (
    END,
    HeadError,
    Request,
    parse_request,
    parse_response,
)
from holdfast.protocols.websocket.snapshot import ConnectionSnapshot
from holdfast.protocols.websocket.states import TABLE, Effect, Input, State

FIN: Final = 0x80
_TEXT: Final = FIN | Opcode.TEXT
_BINARY: Final = FIN | Opcode.BINARY
_PONG: Final = FIN | Opcode.PONG
_PING: Final = FIN | Opcode.PING
_CLOSE: Final = FIN | Opcode.CLOSE
UNCOPIED_BYTES_MIN: Final = 64 * 1024
"""From here on it is cheaper to write head and payload apart than to join them."""
DEFLATED: Final = 0x40
"""RSV1, "Per-Message Compressed" (RFC 7692 section 6)."""


class Connection(Decoder):
    """The part that both roles share: a decoder with a state, and the answers that RFC 6455
    requires.

    `entropy(n)` returns n random bytes: a client masks with them; a server needs none.
    """

    __slots__ = (
        "_entropy",
        "_head",
        "_out",
        "deflate",
        "state",
        "subprotocol",
    )

    def __init__(
        self, limits: WebSocketLimits, entropy: Callable[[int], bytes] | None = None
    ) -> None:
        super().__init__(limits, masked=entropy is None)
        self._plain = False  # a head comes first
        self._entropy = entropy
        self.state = State.CONNECTING
        self._head: bytes | None = b""
        """Bytes received before the connection opened; `None` from then on."""
        self._out: list[bytes] = []
        self.subprotocol: str | None = None
        self.deflate: PerMessageDeflate | None = None
        """Compression, where both sides agreed on it."""

    def snapshot(self) -> ConnectionSnapshot:
        """The connection as it stands, to be restored elsewhere.

        Raises `NotBetweenMessagesError` while a compressed message is incomplete.
        """
        return ConnectionSnapshot(
            self.state,
            self._head,
            b"".join(self._out),
            self.subprotocol,
            self.snapshot_decoder(),
            self.deflate.snapshot() if self.deflate is not None else None,
        )

    def _restore(self, snapshot: ConnectionSnapshot, deflate: Deflate | None) -> None:
        self.state = snapshot.state
        self._head = snapshot.head
        self._out = [snapshot.out] if snapshot.out else []
        self.subprotocol = snapshot.subprotocol
        self.restore_decoder(snapshot.decoder)
        if snapshot.deflate is not None:
            assert deflate is not None, "restored without the compression that was agreed on"
            self.deflate = self._inflater = deflate.restore(snapshot.deflate)
        self._plain = self._plain and self._head is None

    def _step(self, given: Input) -> Effect:
        """Take a step of the table. Raises `UndefinedTransitionError`, and changes nothing then."""
        self.state, effect = TABLE.step(self.state, given)
        return effect

    @property
    def pending(self) -> int:
        return super().pending + (len(self._head) if self._head is not None else 0)

    def receive_eof(self) -> None:
        """The peer sends nothing more."""
        self._step(Input.EOF)

    def queue(self, frame: bytes) -> None:
        """Queue an encoded frame after the queued ones."""
        self._out.append(frame)

    def data_to_send(self) -> bytes:
        """Return the bytes to write now; each byte is returned once."""
        out = self._out
        if not out:
            return b""
        self._out = []
        return b"".join(out)

    def encode_text(self, text: bytes) -> bytes:
        """Encode a text message as one frame. `text` is UTF-8.

        The caller writes frames in the order in which it encoded them: a compressed message
        refers to earlier ones.
        """
        deflate = self.deflate
        if deflate is not None and len(text) >= deflate.threshold:
            return self._encode_deflated(deflate, _TEXT, text)
        return codec.encode(_TEXT, text, self._entropy(4) if self._entropy else None)

    def encode_binary(self, data: bytes) -> bytes:
        """A binary message as one frame, for the caller to write as a text."""
        deflate = self.deflate
        if deflate is not None and len(data) >= deflate.threshold:
            return self._encode_deflated(deflate, _BINARY, data)
        return codec.encode(_BINARY, data, self._entropy(4) if self._entropy else None)

    def encode_all(self, messages: list[str | bytes]) -> bytes:
        """Messages as frames in one piece, for the caller to write as `encode_text`'s. Hot path."""
        if self.deflate is None and self._entropy is None:
            return codec.encode_all(messages)
        return self._encode_each(messages)

    def _encode_each(self, messages: list[str | bytes]) -> bytes:
        """As `encode_all`: with a comprehension in it, `self` would be dearer to reach there."""
        return b"".join([part for message in messages for part in self.encode_parts(message)])

    def encode_parts(self, message: str | bytes) -> tuple[bytes, ...]:
        """A message as one frame in pieces to be written in order: a large one is not copied."""
        if isinstance(message, str):
            first, payload = _TEXT, message.encode()
        else:
            first, payload = _BINARY, message
        deflate = self.deflate
        if deflate is not None and len(payload) >= deflate.threshold:
            return (self._encode_deflated(deflate, first, payload),)
        if self._entropy is None and len(payload) >= UNCOPIED_BYTES_MIN:
            return codec.head(first, len(payload), False), payload
        return (self._frame(first, payload),)

    def encode_fragment(self, part: bytes, *, text: bool, first: bool, final: bool) -> bytes:
        """One frame of a message in several, for the caller to write in order. Not compressed."""
        opcode = (Opcode.TEXT if text else Opcode.BINARY) if first else Opcode.CONTINUATION
        return self._frame((FIN if final else 0) | opcode, part)

    def rest(self) -> None:
        """Give back memory that a quiet connection does not need."""
        if self.deflate is not None:
            self.deflate.rest()

    def ping(self, data: bytes = b"") -> None:
        """Ask for a pong with the same `data`, at most 125 bytes."""
        if self.state is State.OPEN:
            self._out.append(self._frame(_PING, data))

    def pong(self, data: bytes = b"") -> None:
        """Send an unsolicited pong (section 5.5.3) of at most 125 bytes."""
        if self.state is State.OPEN:
            self._out.append(self._frame(_PONG, data))

    def close(self, code: int = CloseCode.NORMAL, reason: str = "") -> None:
        """Start the closing handshake, unless it has started. 1005 sends no code.

        Raises `ValueError` for a code or a reason that no Close frame can have, and
        nothing has changed then.
        """
        payload = close_payload(code, reason)
        if self._step(Input.CLOSE_SENT) is Effect.SEND_CLOSE:
            self._out.append(self._frame(_CLOSE, payload))

    def _receive_rest(self, data: bytes, pos: int, events: list[Event]) -> list[Event]:
        if self._head is not None:
            found = self._receive_head(data)
            self.eventful = True
            return found
        for event in super()._receive_rest(data, pos, events):
            if type(event) is not str and type(event) is not bytes:
                self._react(event)
        return events

    def _receive_head(self, data: bytes) -> list[Event]:
        raise NotImplementedError

    def _frame(self, first: int, payload: bytes) -> bytes:
        return codec.encode(first, payload, self._entropy(4) if self._entropy else None)

    def _encode_deflated(self, deflate: PerMessageDeflate, first: int, payload: bytes) -> bytes:
        packed = deflate.compressor.compress(payload)
        if packed:
            return self._frame(first | DEFLATED, packed)
        return self._frame(first, payload)

    def _react(self, event: Event) -> None:
        match event:
            case Ping(data):
                if self.state is State.OPEN:
                    self._out.append(self._frame(_PONG, data))
            case Close(code, _):
                # "When sending a Close frame in response, the endpoint typically
                # echos the status code it received." (section 5.5.1)
                if self._step(Input.CLOSE_RECEIVED) is Effect.SEND_CLOSE:
                    self._out.append(self._frame(_CLOSE, close_payload(code, "")))
            case Violation(code, reason):
                if self._step(Input.FAILED) is Effect.SEND_CLOSE:
                    self._out.append(self._frame(_CLOSE, close_payload(code, reason)))
            case _:
                pass

    def _take_head(self, data: bytes) -> bytes | None:
        """The head once it is complete, without its end; `None` before. Raises `HeadError`."""
        before = self._head or b""
        searched = max(0, len(before) - len(END))
        head = self._head = before + data
        end = head.find(END, searched)
        if end > self._limits.head_bytes_max or (
            end < 0 and len(head) > self._limits.head_bytes_max
        ):
            raise HeadError(431, f"a head of more than {self._limits.head_bytes_max} bytes")
        return head[:end] if end >= 0 else None

    def _open(self, subprotocol: str | None, deflate: PerMessageDeflate | None) -> None:
        self._step(Input.OPENED)
        self.subprotocol = subprotocol
        self.deflate = deflate
        self._inflater = deflate
        self.push((self._head or b"").partition(END)[2])
        self._head = None


class ServerConnection(Connection):
    """The server's role.

    The first event is a `Request`, to be answered with `accept` or `refuse`; or a
    `PlainRequest`, to be refused or served elsewhere; or a `Violation`, whose answer is queued.
    Input before the answer is kept, within the limit of the head.
    """

    __slots__ = ("_deflates", "_request")

    def __init__(self, limits: WebSocketLimits, deflate: Deflate | None = None) -> None:
        super().__init__(limits)
        self._deflates = deflate
        self._request: Request | None = None

    def snapshot(self) -> ConnectionSnapshot:
        return structs.replace(super().snapshot(), request=self._request)

    @classmethod
    def restore(
        cls, snapshot: ConnectionSnapshot, limits: WebSocketLimits, deflate: Deflate | None = None
    ) -> ServerConnection:
        """The connection that `snapshot` was taken of, with the same `deflate`."""
        connection = cls(limits, deflate)
        connection._restore(snapshot, deflate)
        connection._request = snapshot.request
        return connection

    def _receive_head(self, data: bytes) -> list[Event]:
        if self.state is not State.CONNECTING:
            return []
        try:
            if self._request is not None:
                return self._wait(data)
            head = self._take_head(data)
            if head is None:
                return []
            request = parse_request(head, header_count_max=self._limits.header_count_max)
            if not handshake.is_upgrade(request):
                self._request = request
                return [PlainRequest(request, self._head or b"")]
            handshake.check_request(request)
        except HeadError as error:
            self.refuse(error.status, presentable(str(error)))
            return [Violation(CloseCode.PROTOCOL_ERROR, str(error))]
        except HandshakeError as error:
            self.refuse(error.status, presentable(str(error)), error.headers.fields)
            return [Violation(CloseCode.PROTOCOL_ERROR, str(error))]
        self._request = request
        return [request]

    def _wait(self, data: bytes) -> list[Event]:
        """Keep what comes before our answer."""
        self._head = (self._head or b"") + data
        if len(self._head) > 2 * self._limits.head_bytes_max:
            raise HeadError(431, "too much was sent before the answer")
        return []

    def accept(
        self, subprotocol: str | None = None, headers: Sequence[tuple[str, str]] = ()
    ) -> None:
        """Open the connection. Input that was received early comes with the next
        `receive_data`, which may be empty.

        Raises `ValueError` for values that HTTP cannot express, and changes nothing then.
        """
        request = self._request
        assert request is not None
        deflate = None
        agreed = self._deflates.accept(request.headers) if self._deflates is not None else None
        if self._deflates is not None and agreed is not None:
            agreement, answer = agreed
            deflate = self._deflates.for_server(agreement)
            headers = [(EXTENSIONS, answer), *headers]
        self._out.append(handshake.write_acceptance(request, subprotocol, headers))
        self._request = None
        self._open(subprotocol, deflate)

    def refuse(self, status: int, message: str, headers: Sequence[tuple[str, str]] = ()) -> None:
        """Answer with an HTTP error; the state is `CLOSED` then.

        Before the first byte of a request, there is no answer: browsers open connections in
        advance, and would take it for the answer to a later request (RFC 9112 section 9.2).

        Raises `ValueError` for values that HTTP cannot express, and changes nothing then.
        """
        answer = handshake.write_refusal(status, message, headers)
        self._step(Input.REFUSED)
        if self._head:
            self._out.append(answer)


class ClientConnection(Connection):
    """The client's side. The request is queued at once; the first event is its `Response`.

    Raises `HandshakeError` from `receive_data` when the server refuses or
    answers wrongly.
    """

    __slots__ = ("_nonce", "_offer")

    def __init__(
        self, limits: WebSocketLimits, offer: Offer, entropy: Callable[[int], bytes]
    ) -> None:
        super().__init__(limits, entropy)
        self._offer = offer
        self._nonce = entropy(16)
        self._out.append(handshake.write_request(offer, self._nonce))

    def snapshot(self) -> ConnectionSnapshot:
        return structs.replace(super().snapshot(), nonce=self._nonce)

    @classmethod
    def restore(
        cls,
        snapshot: ConnectionSnapshot,
        limits: WebSocketLimits,
        offer: Offer,
        entropy: Callable[[int], bytes],
    ) -> ClientConnection:
        """The connection that `snapshot` was taken of, with the same `offer`."""
        connection = cls(limits, offer, entropy)
        connection._restore(snapshot, offer.deflate)
        connection._nonce = snapshot.nonce
        return connection

    def _receive_head(self, data: bytes) -> list[Event]:
        if self.state is not State.CONNECTING:
            return []
        try:
            head = self._take_head(data)
            if head is None:
                return []
            response = parse_response(head, header_count_max=self._limits.header_count_max)
            subprotocol, agreement = handshake.check_response(response, self._offer, self._nonce)
        except HeadError as error:
            self._step(Input.FAILED)
            raise HandshakeError(0, str(error)) from error
        except HandshakeError:
            self._step(Input.FAILED)
            raise
        self._open(subprotocol, self._deflate(agreement))
        return [response, *self.receive_data(b"")]

    def _deflate(self, agreement: Agreement | None) -> PerMessageDeflate | None:
        if agreement is None or self._offer.deflate is None:
            return None
        return self._offer.deflate.for_client(agreement)
