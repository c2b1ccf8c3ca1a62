"""The phases of a connection, from its start to its session and its end, as a table."""

from __future__ import annotations

from enum import Enum, auto
from typing import Final

from holdfast.core.states import Table, to


class ConversationPhase(Enum):
    """The phase of a connection."""

    WAITING = auto()
    """The client has not said which session it wants."""
    ENTERING = auto()
    """The session is being loaded, or made durable; the client's further input is held."""
    LIVE = auto()
    LEAVING = auto()
    """Goodbye is said; nothing more is read or delivered."""


class Move(Enum):
    """The inputs of the table."""

    ENTER = auto()
    ADMIT = auto()
    WAIT = auto()
    """It has no session yet: what it asked for is loaded, and is asked for again."""
    LEAVE = auto()


TABLE: Final[Table[ConversationPhase, Move, None]] = Table(
    "conversation",
    ConversationPhase,
    Move,
    {
        ConversationPhase.WAITING: {
            Move.ENTER: to(ConversationPhase.ENTERING),
            Move.ADMIT: None,
            Move.WAIT: None,
            Move.LEAVE: to(ConversationPhase.LEAVING),
        },
        ConversationPhase.ENTERING: {
            Move.ENTER: None,
            Move.ADMIT: to(ConversationPhase.LIVE),
            Move.WAIT: to(ConversationPhase.WAITING),
            Move.LEAVE: to(ConversationPhase.LEAVING),
        },
        ConversationPhase.LIVE: {
            # A person typed `resume` in a fresh session.
            Move.ENTER: to(ConversationPhase.ENTERING),
            Move.ADMIT: None,
            Move.WAIT: None,
            Move.LEAVE: to(ConversationPhase.LEAVING),
        },
        ConversationPhase.LEAVING: {
            Move.ENTER: None,
            Move.ADMIT: None,
            Move.WAIT: None,
            Move.LEAVE: to(ConversationPhase.LEAVING),
        },
    },
)


def after(phase: ConversationPhase, move: Move) -> ConversationPhase:
    """The phase that `move` leads to. Raises `UndefinedTransitionError`."""
    return TABLE.step(phase, move).state
