"""The error that tells that a Telnet connection has ended."""

from __future__ import annotations

from holdfast.core.errors import ClosedError


class TelnetClosed(ClosedError):
    """The connection is closed, or the peer sends nothing more. `cause` is the error, if any."""

    retryable = True

    def __init__(self, reason: str, cause: Exception | None = None) -> None:
        super().__init__(f"the connection is closed: {reason}")
        self.reason = reason
        self.cause = cause
