"""What the peer has shown itself to be so far."""

from __future__ import annotations

from enum import Enum, auto


class PeerPhase(Enum):
    """The kind of peer, as far as it is known; it only moves downwards."""

    FRESH = auto()
    """Nothing has come."""
    TLS_BEGUN = auto()
    """One byte has come, and it could be the first of a TLS record."""
    UNKNOWN = auto()
    PLAIN = auto()
    """It has sent a line, and no command yet."""
    TELNET = auto()
    OVER = auto()
