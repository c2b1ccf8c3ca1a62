"""The interface between the steps of a conversation and its driver.

The steps (`events`, `attach`, `login`, `rights`) decide; the driver does what they decide, and
is where a failure ends. A step has no other way to its connection than this protocol.
"""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, Protocol

from holdfast.core.errors import Reason
from holdfast.gateway.adapters.base import Adapter
from holdfast.gateway.adapters.events import Broken
from holdfast.gateway.context import Context, ListenerContext
from holdfast.gateway.conversation.intake import Intake
from holdfast.gateway.conversation.output import Attachment, AttachmentDriver
from holdfast.gateway.conversation.phases import ConversationPhase
from holdfast.gateway.conversation.proof import Proof
from holdfast.net.connection.connection import Connection
from holdfast.net.security_log import SecurityEvent
from holdfast.sessions.records import Capabilities

Work = Coroutine[Any, Any, None]
"""A step that waits: for the store, or for the backend."""


class Conversation(AttachmentDriver, Protocol):
    """One client, from its first byte to its last."""

    connection: Connection
    context: Context
    listener: ListenerContext
    adapter: Adapter
    intake: Intake
    phase: ConversationPhase
    attachment: Attachment | None
    """Its session, from the moment at which it is claimed."""
    capabilities: Capabilities
    waiting: int
    """How many steps wait for an answer."""
    proof: Proof | None
    """What its client has proved of itself; `None` on a listener without `auth`."""
    login_attempts: int
    wrong_code: bool
    """Whether a resume code was wrong: no other is looked at here."""

    def send(self) -> None:
        """Write what the adapter has queued."""

    def end(self, reason: Reason) -> None:
        """Close without a further goodbye: the client has had its answer, or has left."""

    def run(self, work: Work) -> None:
        """Run a step that waits."""

    def tell(self, event: SecurityEvent, **fields: Any) -> None:
        """Write to the security log what this client did."""

    def serve_http(self, data: bytes) -> None:
        """Hand the connection over to what serves pages, with what has come."""


def security_of(broken: Broken) -> SecurityEvent | None:
    """What the security log says of a client that broke its protocol or a limit of it."""
    match broken.reason:
        case Reason.FLOOD:
            return SecurityEvent.LIMITED
        case Reason.PROTOCOL_ERROR:
            return broken.security or SecurityEvent.MALFORMED
        case _:
            return broken.security
