"""A session at a gateway: `holdfast.v1` on a WebSocket, over any number of connections."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, ClassVar

from holdfast.client import ClientCore, ServerFaultError
from holdfast.protocols import websocket as ws
from holdfast.vtc.dialogue.conversation import ReceivedMessage, json_in, to_script
from holdfast.vtc.dialogue.websocket import ASIDE, WebSocketConversation
from holdfast.vtc.http.connection import HttpConnection
from holdfast.vtc.language.errors import Failure

VOLATILE = "remark"
"""The script's name for a notice without a number."""
ENTERED = frozenset({"welcome", "resumed", "reset"})


class SessionConnection(WebSocketConversation):
    """One connection of a session.

    The client's core checks that no output is missing, repeated or out of order, and repeats
    commands that the gateway has not acknowledged. It gets only the messages that the
    specification has received: others are lost with the connection.
    """

    aside: ClassVar[frozenset[str]] = ASIDE | {VOLATILE, "ack", "resend", "mode", "token"}
    passed: ClassVar[frozenset[str]] = frozenset({"skip"})

    def __init__(
        self,
        connection: HttpConnection,
        core: ws.ClientConnection,
        client: ClientCore,
        on_message: Callable[[str, Any], None],
    ) -> None:
        super().__init__(connection, core)
        self.client = client
        self._on_message = on_message
        self._untold: deque[ReceivedMessage] = deque()
        """Messages that the client's core has not got yet, in their order."""

    def _text(self, text: str) -> Iterable[ReceivedMessage]:
        fields = json_in(text)
        if not isinstance(fields, dict) or not isinstance(fields.get("t"), str):
            raise Failure(f"session: this is no message: {text}", None, self.notes())
        kind = fields["t"] if fields["t"] != "notice" or "n" in fields else VOLATILE
        message = ReceivedMessage(kind, to_script(_words_of(fields)), fields)
        self._untold.append(message)
        yield message

    def _find(self, kind: str, accepts: Callable[[str], bool] | None) -> ReceivedMessage | None:
        if not self._main:
            self._tell_up_to(None)
        return super()._find(kind, accepts)

    def _taken(self, message: ReceivedMessage) -> None:
        super()._taken(message)
        if message.fields is not None and message.kind not in self.aside:
            self._tell_up_to(message)

    def _tell_up_to(self, message: ReceivedMessage | None) -> None:
        """Let the core know this message and those before it; without one, all."""
        told: ReceivedMessage | None = None
        while self._untold and (message is None or told is not message):
            told = self._untold.popleft()
            self._tell(told)

    def _tell(self, message: ReceivedMessage) -> None:
        try:
            self.client.receive(json.dumps(message.fields))
        except ServerFaultError as error:
            text = f"session: the gateway broke the protocol: {error}"
            raise Failure(text, None, self.notes()) from None
        self._on_message(message.kind, message.fields)

    def _to_send(self) -> bytes:
        if self.core.state is ws.State.OPEN:
            for message in self.client.take():
                self.core.queue(self.core.encode_text(message))
        return super()._to_send()


def _words_of(fields: dict[str, Any]) -> str:
    """Return the text of a message for users."""
    said = fields.get("d", fields.get("reason", fields.get("error", "")))
    return said if isinstance(said, str) else ""
