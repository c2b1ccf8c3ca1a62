"""The life of sessions in the log: a line when one is opened, resumed, moved, detached or closed.

The lines are the log's, at `info`, with limits of their own. The newest events are also kept in
memory, whether they were logged or left out: they explain why a session is where it is.
"""

from __future__ import annotations

from collections import deque
from enum import Enum
from typing import Final, Protocol, TypeAlias

import msgspec
from msgspec import Struct

from holdfast.core.clock import Clock, wall
from holdfast.core.limits import SessionLimits
from holdfast.net.log import RateLimitedLogger

LINES_PER_MINUTE_MAX: Final = 600.0
"""Of one kind, sustained."""
LINES_BURST_MAX: Final = 300

Field: TypeAlias = str | int | float
"""What an event tells beside its session."""


class Life(Enum):
    """What happens to a session. The value is the line's `event`."""

    OPENED = "session opened"
    """A client has a new session."""
    RESUMED = "session resumed"
    """A client is back, and continues where it was."""
    RESET = "session reset"
    """A client is back, and begins anew: output that it missed is gone, or its numbers are not
    those of this log."""
    MOVED = "session moved"
    """Another connection takes the session over from a connected client, or another instance of
    the application gets it."""
    DETACHED = "session detached"
    """The session waits for its client."""
    CLOSED = "session closed"


class LivingSession(Protocol):
    """A session, loaded or not."""

    @property
    def sid(self) -> str: ...
    @property
    def user(self) -> str: ...
    @property
    def address(self) -> str: ...
    @property
    def protocol(self) -> str: ...
    @property
    def connection(self) -> int:
        """The id of its connection, or of the one before; 0 for one of an earlier run."""


class LifeEvent(Struct, frozen=True, array_like=True):
    """One event of one session."""

    time: float
    """Wall clock, in seconds."""
    event: Life
    sid: str
    connection: int
    fields: dict[str, Field]


_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(LifeEvent).decode


class LifeLog:
    """What has happened to the sessions of one node."""

    def __init__(self, limits: SessionLimits, clock: Clock = wall) -> None:
        self._clock = clock
        self._events: deque[bytes] = deque(maxlen=limits.life_events_max)
        """Encoded: as objects they would take three times as much memory."""
        self._log = RateLimitedLogger("holdfast.sessions", LINES_PER_MINUTE_MAX, LINES_BURST_MAX)

    def tell(self, event: Life, session: LivingSession, **fields: Field) -> None:
        """Keep an event and log it, as long as there are not too many of its kind."""
        sid, connection = session.sid, session.connection
        self._events.append(_encode(LifeEvent(self._clock(), event, sid, connection, fields)))
        about = {
            "sid": sid,
            "connection": connection,
            "user": session.user,
            "protocol": session.protocol,
            "address": session.address,
        }
        told = {name: value for name, value in about.items() if value}
        self._log.info(event.value, **told, **fields)

    def of(self, sid: str) -> list[LifeEvent]:
        """What is still known of a session, oldest first."""
        return [event for event in map(_decode, self._events) if event.sid == sid]
