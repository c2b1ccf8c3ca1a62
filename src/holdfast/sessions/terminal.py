"""A session whose output is the screen of a terminal: bytes, numbered by their offset. Hot path.

It is never stored: what is behind it ends with the gateway, and what is typed into a terminal
and shown on it is nobody else's.
"""

from __future__ import annotations

from holdfast.core.limits import SessionLimits
from holdfast.sessions.records import Row
from holdfast.sessions.ring import Ring
from holdfast.sessions.session import Session, SessionBackend, SessionOwner


class TerminalSession(Session):
    """One terminal."""

    __slots__ = ()

    out: Ring

    def __init__(
        self, row: Row, backend: SessionBackend, limits: SessionLimits, owner: SessionOwner
    ) -> None:
        super().__init__(row, backend, limits, owner)
        self.out = Ring(limits, owner.windows)

    def deliverable(self) -> int:
        out = self.out
        return out.base + out.size  # `top`, without a call for every key

    def unacknowledged(self) -> int:
        """Bytes that the client has not shown yet, if it acknowledges; else that were not
        written to it."""
        out = self.out
        return out.base + out.size - (out.acked if self.row.numbered else out.sent)
