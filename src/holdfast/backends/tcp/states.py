"""The life of a session's connection to an upstream, as one table."""

from __future__ import annotations

from enum import Enum, auto
from typing import Final

from holdfast.core.states import Table, to


class BridgeState(Enum):
    """Where a bridge stands."""

    CREATED = auto()
    CONNECTING = auto()
    """From before the dial begins."""
    ACTIVE = auto()
    CLOSING = auto()
    """Wanted no more from our side."""
    CLOSED = auto()


class BridgeInput(Enum):
    """The inputs of a bridge."""

    DIAL = auto()
    CONNECTED = auto()
    CLOSE = auto()
    REDIAL = auto()
    """The upstream is lost, or unreachable, and is retried."""
    LOST = auto()
    """The upstream is lost, or unreachable."""


_S = BridgeState
_I = BridgeInput

TABLE: Final[Table[BridgeState, BridgeInput, None]] = Table(
    "bridge",
    BridgeState,
    BridgeInput,
    {
        _S.CREATED: {
            _I.DIAL: to(_S.CONNECTING),
            _I.CONNECTED: None,
            _I.REDIAL: None,
            _I.CLOSE: to(_S.CLOSING),
            _I.LOST: to(_S.CLOSED),
        },
        _S.CONNECTING: {
            _I.DIAL: None,
            _I.CONNECTED: to(_S.ACTIVE),
            _I.REDIAL: to(_S.CONNECTING),
            _I.CLOSE: to(_S.CLOSING),
            _I.LOST: to(_S.CLOSED),
        },
        _S.ACTIVE: {
            _I.DIAL: None,
            _I.CONNECTED: None,
            _I.REDIAL: to(_S.CONNECTING),
            _I.CLOSE: to(_S.CLOSING),
            _I.LOST: to(_S.CLOSED),
        },
        _S.CLOSING: {
            _I.DIAL: None,
            _I.CONNECTED: to(_S.CLOSING),  # too late: it is hung up on
            _I.REDIAL: None,
            _I.CLOSE: to(_S.CLOSING),
            _I.LOST: to(_S.CLOSED),
        },
        _S.CLOSED: {
            _I.DIAL: None,
            _I.CONNECTED: None,
            _I.REDIAL: None,
            _I.CLOSE: to(_S.CLOSED),
            _I.LOST: to(_S.CLOSED),
        },
    },
)
