"""A WebSocket on a client's or a server's connection."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, Final

from holdfast.core.limits import MIB, Limits
from holdfast.protocols import websocket as ws
from holdfast.vtc.dialogue.conversation import Conversation, ReceivedMessage, json_in, to_script
from holdfast.vtc.http.connection import HttpConnection
from holdfast.vtc.language.errors import Failure, Note
from holdfast.vtc.run.scope import Scope

ASIDE = frozenset({"ping", "pong"})
_SIZE = {"frame_bytes_max": 16 * MIB, "message_bytes_max": 16 * MIB}
LIMITS: Final = Limits().but(websocket=_SIZE).websocket
"""The default limits, except for sizes: a test may send messages that are refused."""


class WebSocketConversation(Conversation):
    """One WebSocket, in the role of the connection's side."""

    aside: ClassVar[frozenset[str]] = ASIDE

    def __init__(
        self, connection: HttpConnection, core: ws.ClientConnection | ws.ServerConnection
    ) -> None:
        super().__init__(connection)
        self.core = core
        self._head: ws.Request | ws.Response | None = None
        self._close_code: int | None = None

    def _take_in(self, data: bytes) -> Iterable[ReceivedMessage]:
        try:
            events = self.core.receive_data(data)
        except ws.HandshakeError as error:
            received = Note("received", data.decode("latin-1"))
            raise Failure(f"ws: {error}", None, (received,)) from None
        for event in events:
            yield from self._translate(event)

    def _translate(self, event: ws.Event) -> Iterable[ReceivedMessage]:
        match event:
            case str():
                yield from self._text(event)
            case bytes():
                yield ReceivedMessage("binary", event.hex())
            case ws.Ping(data):
                yield ReceivedMessage("ping", data.decode("latin-1"))
            case ws.Pong(data):
                yield ReceivedMessage("pong", data.decode("latin-1"))
            case ws.Close(code, reason):
                self._close_code = code
                yield ReceivedMessage("close", f"{code} {to_script(reason)}".rstrip())
            case ws.Violation(_, reason):
                raise Failure(f"ws: the peer broke the protocol: {reason}", None, self.notes())
            case ws.PlainRequest():
                raise Failure("ws: the request asks for no WebSocket", None, self.notes())
            case _:
                self._head = event

    def _text(self, text: str) -> Iterable[ReceivedMessage]:
        yield ReceivedMessage("text", to_script(text), json_in(text))

    def _to_send(self) -> bytes:
        return self.core.data_to_send()

    def value(self, word: str) -> str | None:
        if word == "ws.protocol":
            return self.core.subprotocol
        if word == "ws.code":
            return None if self._close_code is None else str(self._close_code)
        if word.startswith("ws.http."):
            name = word.removeprefix("ws.http.")
            return self._head.headers.get(name) if self._head else None
        return word

    async def open(self, scope: Scope[Any]) -> None:
        """Wait for the other side's part of the handshake. Raises `Failure`."""
        await self.flush(scope)
        while self._head is None:
            if not await self.read(scope, "ws: handshake"):
                raise scope.failure("ws: the peer has closed the connection in the handshake")

    async def accept(self, scope: Scope[Any], protocols: Sequence[str]) -> None:
        """Answer a client's request. Raises `Failure`."""
        assert isinstance(self.core, ws.ServerConnection)
        assert isinstance(self._head, ws.Request)
        self.core.accept(ws.choose_subprotocol(self._head, protocols))
        for message in self._take_in(b""):
            self._keep(scope, message)
        await self.flush(scope)


def client_core(offer: ws.Offer) -> ws.ClientConnection:
    """The client's end."""
    return ws.ClientConnection(LIMITS, offer, os.urandom)


def server_core() -> ws.ServerConnection:
    """The server's end."""
    return ws.ServerConnection(LIMITS)
