"""What a client keeps of its session."""

from __future__ import annotations

from msgspec import Struct, field

from holdfast.client.commands import Said
from holdfast.core.errors import ProtocolError


class ServerFaultError(ProtocolError):
    """The server broke the protocol; the connection cannot be trusted and is dropped."""


class State(Struct):
    """The kept state of a client: its session, its position, and its unacknowledged commands.

    `msgspec.json` encodes and decodes it.
    """

    sid: str = ""
    token: str = ""
    epoch: str = ""
    last: int = 0
    """The newest output that was seen."""
    sent: int = 0
    """The newest command's number."""
    attempts: int = 0
    """How many connections there were."""
    pending: list[Said] = field(default_factory=list)
    """Commands that are not acknowledged, oldest first."""

    @property
    def acknowledged(self) -> int:
        """The newest command that the gateway has acknowledged as durable."""
        return self.pending[0].c - 1 if self.pending else self.sent

    def forget_session(self) -> None:
        """Forget the session and its commands. `attempts` is the client's own."""
        self.sid = self.token = self.epoch = ""
        self.last = self.sent = 0
        self.pending = []
