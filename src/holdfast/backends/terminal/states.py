"""The life of a terminal, as one table. All ends go through CLOSING."""

from __future__ import annotations

from enum import Enum
from typing import Final

from holdfast.core.states import Table, to


class BridgeState(Enum):
    """Where a terminal stands."""

    CREATED = "created"
    """The user is asked where to connect, and as whom."""
    CONNECTING = "connecting"
    """From before the first packet to the end of the login."""
    ACTIVE = "active"
    CLOSING = "closing"
    """Connection, channel and command are being released."""
    CLOSED = "closed"
    """Everything is released."""


class BridgeInput(Enum):
    """What happens to a terminal."""

    CONNECT = "connect"
    CONNECTED = "connected"
    CLOSE = "close"
    """It failed, ended, or is wanted no more."""
    RELEASED = "released"


_S = BridgeState
_I = BridgeInput

TABLE: Final[Table[BridgeState, BridgeInput, None]] = Table(
    "terminal",
    BridgeState,
    BridgeInput,
    {
        _S.CREATED: {
            _I.CONNECT: to(_S.CONNECTING),
            _I.CONNECTED: None,
            _I.CLOSE: to(_S.CLOSING),
            _I.RELEASED: None,
        },
        _S.CONNECTING: {
            _I.CONNECT: None,
            _I.CONNECTED: to(_S.ACTIVE),
            _I.CLOSE: to(_S.CLOSING),
            _I.RELEASED: None,
        },
        _S.ACTIVE: {
            _I.CONNECT: None,
            _I.CONNECTED: None,
            _I.CLOSE: to(_S.CLOSING),
            _I.RELEASED: None,
        },
        _S.CLOSING: {
            _I.CONNECT: None,
            _I.CONNECTED: None,
            _I.CLOSE: None,
            _I.RELEASED: to(_S.CLOSED),
        },
        _S.CLOSED: {
            _I.CONNECT: None,
            _I.CONNECTED: None,
            _I.CLOSE: None,
            _I.RELEASED: None,
        },
    },
)
