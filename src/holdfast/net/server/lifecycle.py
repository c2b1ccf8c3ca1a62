"""The life of a server, as a table."""

from __future__ import annotations

from enum import Enum, auto
from typing import Final

from holdfast.core.states import Table, to


class ServerState(Enum):
    """A server's life."""

    CREATED = auto()
    RUNNING = auto()
    DRAINING = auto()
    STOPPED = auto()


class ServerInput(Enum):
    """The inputs of a server's lifecycle."""

    START = auto()
    DRAIN = auto()
    STOP = auto()


TABLE: Final[Table[ServerState, ServerInput, None]] = Table(
    "server",
    ServerState,
    ServerInput,
    {
        ServerState.CREATED: {
            ServerInput.START: to(ServerState.RUNNING),
            ServerInput.DRAIN: to(ServerState.STOPPED),
            ServerInput.STOP: to(ServerState.STOPPED),
        },
        ServerState.RUNNING: {
            ServerInput.START: None,
            ServerInput.DRAIN: to(ServerState.DRAINING),
            ServerInput.STOP: to(ServerState.STOPPED),
        },
        ServerState.DRAINING: {
            ServerInput.START: None,
            ServerInput.DRAIN: to(ServerState.DRAINING),
            ServerInput.STOP: to(ServerState.STOPPED),
        },
        ServerState.STOPPED: {
            ServerInput.START: None,
            ServerInput.DRAIN: to(ServerState.STOPPED),
            ServerInput.STOP: to(ServerState.STOPPED),
        },
    },
)
