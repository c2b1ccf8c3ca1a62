"""The life of a session, and how much of it is kept on disk."""

from __future__ import annotations

from enum import Enum
from typing import Final

from holdfast.core.states import Table, to


class SessionState(Enum):
    """Where a session stands. The value is its name in the store and on the link.

    A detached session goes back to where it was, so there are two ways of
    being detached.
    """

    CONNECTING = "connecting"
    AUTHENTICATING = "authenticating"
    SELECTING = "selecting"
    ACTIVE = "active"
    DETACHED_SELECTING = "detached_selecting"
    DETACHED_ACTIVE = "detached_active"
    CLOSED = "closed"

    __hash__ = object.__hash__
    """A member is equal to itself alone. An enum's own hash is a call in Python."""

    @property
    def detached(self) -> bool:
        """Whether the session waits for its client."""
        return self in (SessionState.DETACHED_SELECTING, SessionState.DETACHED_ACTIVE)


class SessionInput(Enum):
    """What moves a session."""

    NEGOTIATED = "negotiated"
    AUTHENTICATED = "authenticated"
    SELECTED = "selected"
    DESELECTED = "deselected"
    DROPPED = "dropped"
    RESUMED = "resumed"
    CLOSED = "closed"


_S = SessionState
_I = SessionInput

TABLE: Final[Table[SessionState, SessionInput, None]] = Table(
    "session",
    SessionState,
    SessionInput,
    {
        _S.CONNECTING: {
            _I.NEGOTIATED: to(_S.AUTHENTICATING),
            _I.AUTHENTICATED: None,
            _I.SELECTED: None,
            _I.DESELECTED: None,
            _I.DROPPED: to(_S.CLOSED),
            _I.RESUMED: None,
            _I.CLOSED: to(_S.CLOSED),
        },
        _S.AUTHENTICATING: {
            _I.NEGOTIATED: None,
            _I.AUTHENTICATED: to(_S.SELECTING),
            _I.SELECTED: None,
            _I.DESELECTED: None,
            _I.DROPPED: to(_S.CLOSED),
            _I.RESUMED: None,
            _I.CLOSED: to(_S.CLOSED),
        },
        _S.SELECTING: {
            _I.NEGOTIATED: None,
            _I.AUTHENTICATED: None,
            _I.SELECTED: to(_S.ACTIVE),
            _I.DESELECTED: None,
            _I.DROPPED: to(_S.DETACHED_SELECTING),
            _I.RESUMED: to(_S.SELECTING),  # a takeover: it stays
            _I.CLOSED: to(_S.CLOSED),
        },
        _S.ACTIVE: {
            _I.NEGOTIATED: None,
            _I.AUTHENTICATED: None,
            _I.SELECTED: None,
            _I.DESELECTED: to(_S.SELECTING),
            _I.DROPPED: to(_S.DETACHED_ACTIVE),
            _I.RESUMED: to(_S.ACTIVE),  # a takeover: it stays
            _I.CLOSED: to(_S.CLOSED),
        },
        _S.DETACHED_SELECTING: {
            _I.NEGOTIATED: None,
            _I.AUTHENTICATED: None,
            _I.SELECTED: None,
            _I.DESELECTED: None,
            _I.DROPPED: None,
            _I.RESUMED: to(_S.SELECTING),
            _I.CLOSED: to(_S.CLOSED),
        },
        _S.DETACHED_ACTIVE: {
            _I.NEGOTIATED: None,
            _I.AUTHENTICATED: None,
            _I.SELECTED: None,
            _I.DESELECTED: to(_S.DETACHED_SELECTING),
            _I.DROPPED: None,
            _I.RESUMED: to(_S.ACTIVE),
            _I.CLOSED: to(_S.CLOSED),
        },
        _S.CLOSED: {
            _I.NEGOTIATED: None,
            _I.AUTHENTICATED: None,
            _I.SELECTED: None,
            _I.DESELECTED: None,
            _I.DROPPED: to(_S.CLOSED),
            _I.RESUMED: None,
            _I.CLOSED: to(_S.CLOSED),
        },
    },
)


class Durability(Enum):
    """What of a session is kept on disk, and when."""

    MEMORY = "memory"
    """Nothing: after an unclean end of the gateway the session is gone."""
    FAST = "fast"
    """Everything, in the next group commit; output is written to the client before that."""
    DURABLE = "durable"
    """Everything, and output is written to the client only when it is on disk."""
