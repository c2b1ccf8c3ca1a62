"""Where a connection stands towards its session, as a table."""

from __future__ import annotations

from enum import Enum, auto
from typing import Final

from holdfast.core.states import Table, to


class Phase(Enum):
    """Where a connection stands towards its session."""

    WAITING = auto()
    """The client has not said which session it wants."""
    ENTERING = auto()
    """The session is being loaded, or made durable; the client's further input is held."""
    LIVE = auto()
    LEAVING = auto()
    """Goodbye is said; nothing more is read or delivered."""


class Move(Enum):
    """What moves a connection."""

    ENTER = auto()
    ADMIT = auto()
    WAIT = auto()
    """It has no session yet: what it asked for is loaded, and is asked for again."""
    LEAVE = auto()


TABLE: Final[Table[Phase, Move, None]] = Table(
    "conversation",
    Phase,
    Move,
    {
        Phase.WAITING: {
            Move.ENTER: to(Phase.ENTERING),
            Move.ADMIT: None,
            Move.WAIT: None,
            Move.LEAVE: to(Phase.LEAVING),
        },
        Phase.ENTERING: {
            Move.ENTER: None,
            Move.ADMIT: to(Phase.LIVE),
            Move.WAIT: to(Phase.WAITING),
            Move.LEAVE: to(Phase.LEAVING),
        },
        Phase.LIVE: {
            Move.ENTER: to(Phase.ENTERING),  # a person typed `resume` in a fresh session
            Move.ADMIT: None,
            Move.WAIT: None,
            Move.LEAVE: to(Phase.LEAVING),
        },
        Phase.LEAVING: {
            Move.ENTER: None,
            Move.ADMIT: None,
            Move.WAIT: None,
            Move.LEAVE: to(Phase.LEAVING),
        },
    },
)


def after(phase: Phase, move: Move) -> Phase:
    """The phase that `move` leads to. Raises `UndefinedTransitionError`."""
    return TABLE.step(phase, move).state
