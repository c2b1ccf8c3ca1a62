"""Where in its life a WebSocket connection is (RFC 6455 sections 4 and 7)."""

from __future__ import annotations

from enum import Enum, auto
from typing import Final

from holdfast.core.states import Step, Table


class State(Enum):
    """RFC 6455 sections 4 and 7.1.3. CLOSED means: flush, then close the transport."""

    CONNECTING = auto()
    OPEN = auto()
    CLOSING = auto()
    CLOSED = auto()


class Input(Enum):
    """The inputs of the connection's state machine."""

    OPENED = auto()
    REFUSED = auto()
    CLOSE_SENT = auto()
    CLOSE_RECEIVED = auto()
    FAILED = auto()
    EOF = auto()


class Effect(Enum):
    """The actions of a step."""

    NOTHING = auto()
    SEND_CLOSE = auto()


def _to(state: State, effect: Effect = Effect.NOTHING) -> Step[State, Effect]:
    return Step(state, effect)


TABLE: Final[Table[State, Input, Effect]] = Table(
    "WebSocket",
    State,
    Input,
    {
        State.CONNECTING: {
            Input.OPENED: _to(State.OPEN),
            Input.REFUSED: _to(State.CLOSED),
            Input.CLOSE_SENT: None,
            Input.CLOSE_RECEIVED: None,
            Input.FAILED: _to(State.CLOSED),
            Input.EOF: _to(State.CLOSED),
        },
        State.OPEN: {
            Input.OPENED: None,
            Input.REFUSED: None,
            Input.CLOSE_SENT: _to(State.CLOSING, Effect.SEND_CLOSE),
            Input.CLOSE_RECEIVED: _to(State.CLOSED, Effect.SEND_CLOSE),
            Input.FAILED: _to(State.CLOSED, Effect.SEND_CLOSE),
            Input.EOF: _to(State.CLOSED),
        },
        State.CLOSING: {
            Input.OPENED: None,
            Input.REFUSED: None,
            Input.CLOSE_SENT: _to(State.CLOSING),
            Input.CLOSE_RECEIVED: _to(State.CLOSED),
            Input.FAILED: _to(State.CLOSED),
            Input.EOF: _to(State.CLOSED),
        },
        State.CLOSED: {
            Input.OPENED: None,
            Input.REFUSED: None,
            Input.CLOSE_SENT: _to(State.CLOSED),
            Input.CLOSE_RECEIVED: _to(State.CLOSED),
            Input.FAILED: _to(State.CLOSED),
            Input.EOF: _to(State.CLOSED),
        },
    },
)
