"""A session at a gateway: `holdfast.v1` on a WebSocket, over any number of connections."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, ClassVar

from holdfast.client import ClientCore, ServerFaultError
from holdfast.protocols import websocket as ws
from holdfast.vtc.errors import Failure
from holdfast.vtc.http.session import Session
from holdfast.vtc.talk.conversation import Message, json_in, to_script
from holdfast.vtc.talk.websocket import ASIDE, WebSocket

ENTERED = frozenset({"welcome", "resumed", "reset"})


class SessionTalk(WebSocket):
    """One connection of a session.

    The client's core watches that no output is missing, repeated or out of
    order, and sends again what the gateway has not got.
    """

    aside: ClassVar[frozenset[str]] = ASIDE | {"notice", "ack", "pong", "skip", "resend", "mode"}

    def __init__(
        self,
        session: Session,
        core: ws.ClientConnection,
        client: ClientCore,
        on_message: Callable[[str, Any], None],
    ) -> None:
        super().__init__(session, core)
        self.client = client
        self._on_message = on_message

    def _text(self, text: str) -> Iterable[Message]:
        fields = json_in(text)
        try:
            self.client.receive(text)
        except ServerFaultError as error:
            raise Failure(
                f"session: the gateway broke the protocol: {error}", None, self.notes()
            ) from None
        self._on_message(fields["t"], fields)
        yield Message(fields["t"], to_script(_words_of(fields)), fields)

    def _to_send(self) -> bytes:
        if self.core.state is ws.State.OPEN:
            for message in self.client.take():
                self.core.queue(self.core.encode_text(message))
        return super()._to_send()


def _words_of(fields: dict[str, Any]) -> str:
    """What a message says to people."""
    said = fields.get("d", fields.get("reason", fields.get("error", "")))
    return said if isinstance(said, str) else ""
