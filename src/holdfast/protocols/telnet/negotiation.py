"""Option negotiation without loops: the Q method of RFC 1143, as a table.

Each option has two sides: `US`, which we perform (we send WILL and WONT, the peer DO and DONT),
and `HIM`, which the peer performs (we send DO and DONT). Both run the same machine. Its six
states are the RFC's four, of which two are split by the queue bit ("us and usq ... can be
combined into two six-choice states"); the option is in effect in `YES` only.
"""

from __future__ import annotations

from enum import Enum, IntEnum, auto
from typing import Final, NamedTuple

from holdfast.core.states import Step, Table
from holdfast.protocols.telnet import codes


class Side(IntEnum):
    """Who performs the option; RFC 1143's names."""

    US = 0
    HIM = 1


class Q(Enum):
    """The state of one side of one option."""

    NO = auto()
    YES = auto()
    WANTNO_EMPTY = auto()
    WANTNO_OPPOSITE = auto()
    WANTYES_EMPTY = auto()
    WANTYES_OPPOSITE = auto()


class Given(Enum):
    """The inputs of a side."""

    ASK_ON = auto()
    """We want the option."""
    ASK_OFF = auto()
    """We do not want it any more."""
    AGREED_ON = auto()
    """The peer sends WILL (HIM) or DO (US), and the policy allows it."""
    UNWANTED_ON = auto()
    """The peer sends it, and the policy refuses it."""
    OFF = auto()
    """The peer sends WONT (HIM) or DONT (US)."""


class Say(Enum):
    """The answer to send."""

    NOTHING = auto()
    ON = auto()
    """WILL (US) or DO (HIM)."""
    OFF = auto()
    """WONT (US) or DONT (HIM)."""
    ERROR = auto()
    """Nothing; but the peer answered a refusal with its opposite."""


_ON_IN_ANY_STATE: Final[dict[Q, Step[Q, Say]]] = {
    Q.YES: Step(Q.YES, Say.NOTHING),
    Q.WANTNO_EMPTY: Step(Q.NO, Say.ERROR),
    Q.WANTNO_OPPOSITE: Step(Q.YES, Say.ERROR),
    Q.WANTYES_EMPTY: Step(Q.YES, Say.NOTHING),
    Q.WANTYES_OPPOSITE: Step(Q.WANTNO_EMPTY, Say.OFF),
}

_COLUMNS: Final[dict[Given, dict[Q, Step[Q, Say]]]] = {
    Given.ASK_ON: {
        Q.NO: Step(Q.WANTYES_EMPTY, Say.ON),
        Q.YES: Step(Q.YES, Say.NOTHING),
        Q.WANTNO_EMPTY: Step(Q.WANTNO_OPPOSITE, Say.NOTHING),
        Q.WANTNO_OPPOSITE: Step(Q.WANTNO_OPPOSITE, Say.NOTHING),
        Q.WANTYES_EMPTY: Step(Q.WANTYES_EMPTY, Say.NOTHING),
        Q.WANTYES_OPPOSITE: Step(Q.WANTYES_EMPTY, Say.NOTHING),
    },
    Given.ASK_OFF: {
        Q.NO: Step(Q.NO, Say.NOTHING),
        Q.YES: Step(Q.WANTNO_EMPTY, Say.OFF),
        Q.WANTNO_EMPTY: Step(Q.WANTNO_EMPTY, Say.NOTHING),
        Q.WANTNO_OPPOSITE: Step(Q.WANTNO_EMPTY, Say.NOTHING),
        Q.WANTYES_EMPTY: Step(Q.WANTYES_OPPOSITE, Say.NOTHING),
        Q.WANTYES_OPPOSITE: Step(Q.WANTYES_OPPOSITE, Say.NOTHING),
    },
    Given.AGREED_ON: {Q.NO: Step(Q.YES, Say.ON), **_ON_IN_ANY_STATE},
    Given.UNWANTED_ON: {Q.NO: Step(Q.NO, Say.OFF), **_ON_IN_ANY_STATE},
    Given.OFF: {
        Q.NO: Step(Q.NO, Say.NOTHING),
        Q.YES: Step(Q.NO, Say.OFF),
        Q.WANTNO_EMPTY: Step(Q.NO, Say.NOTHING),
        Q.WANTNO_OPPOSITE: Step(Q.WANTYES_EMPTY, Say.ON),
        Q.WANTYES_EMPTY: Step(Q.NO, Say.NOTHING),
        Q.WANTYES_OPPOSITE: Step(Q.NO, Say.NOTHING),
    },
}

Q_METHOD: Final[Table[Q, Given, Say]] = Table(
    "telnet option", Q, Given, {q: {given: _COLUMNS[given][q] for given in Given} for q in Q}
)


class Heard(NamedTuple):
    """The meaning of a verb for each side."""

    side: Side
    on: bool


HEARD: Final = {
    codes.WILL: Heard(Side.HIM, True),
    codes.WONT: Heard(Side.HIM, False),
    codes.DO: Heard(Side.US, True),
    codes.DONT: Heard(Side.US, False),
}

VERBS: Final = {
    (Side.US, Say.ON): codes.WILL,
    (Side.US, Say.OFF): codes.WONT,
    (Side.HIM, Say.ON): codes.DO,
    (Side.HIM, Say.OFF): codes.DONT,
}

_STATES: Final = tuple(Q)  # Q.NO is the first
_YES: Final = _STATES.index(Q.YES)


class OptionStates:
    """The states of both sides of a fixed number of options: one byte each."""

    __slots__ = ("_states",)

    def __init__(self, options: int) -> None:
        self._states = bytearray(2 * options)

    def state(self, option: int, side: Side) -> Q:
        """The state of one side of the option at index `option`."""
        return _STATES[self._states[2 * option + side]]

    def is_on(self, option: int, side: Side) -> bool:
        """Whether the option is in effect: "if and only if its state is YES"."""
        return self._states[2 * option + side] == _YES

    def set(self, option: int, side: Side, state: Q) -> None:
        """Take over a state from another process."""
        self._states[2 * option + side] = _STATES.index(state)

    def apply(self, option: int, side: Side, given: Given) -> Say:
        """Apply an input and return the answer to send."""
        state, say = Q_METHOD.step(self.state(option, side), given)
        self._states[2 * option + side] = _STATES.index(state)
        return say
