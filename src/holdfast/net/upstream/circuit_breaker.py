"""The circuit breaker of one server: after failures in a row it is left alone for a while.

Then one attempt is let through, the probe. If that succeeds, all are let through
again; if it fails, the server is left alone for longer. The pauses grow until
the breaker has been closed for a while: a server that accepts and hangs up is
not back. Times are the loop's.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import Final

from holdfast.core.backoff import Backoff
from holdfast.core.states import Machine, Step, Table

_FIRST_PAUSE_SECONDS: Final = 1.0
_FOREVER: Final = float("inf")


class BreakerState(Enum):
    """Whether attempts are let through. The value is its name in the metrics."""

    CLOSED = "closed"
    """All of them."""
    OPEN = "open"
    """None, until the pause is over."""
    HALF_OPEN = "half_open"
    """One is under way to see."""


class BreakerInput(Enum):
    """The inputs of a breaker."""

    TRIED = auto()
    """An attempt begins, which the breaker has let through."""
    SUCCEEDED = auto()
    FAILED = auto()
    """One failure; not as many in a row as the limit."""
    TRIPPED = auto()
    """A failure that reaches the limit."""
    PROBE_FAILED = auto()
    PROBE_ABANDONED = auto()
    """The probe ended without telling anything: it was cancelled."""


class BreakerEffect(Enum):
    """The actions of a step."""

    NOTHING = auto()
    COUNT = auto()
    """One more failure in a row."""
    FORGET = auto()
    """The failures are history."""
    CLOSE = auto()
    """Likewise, and from now on it is seen whether the server lasts."""
    PAUSE = auto()
    """Leave the server alone, each time for longer."""


_S = BreakerState
_I = BreakerInput


def _go(state: BreakerState, effect: BreakerEffect) -> Step[BreakerState, BreakerEffect]:
    return Step(state, effect)


TABLE: Final[Table[BreakerState, BreakerInput, BreakerEffect]] = Table(
    "circuit breaker",
    BreakerState,
    BreakerInput,
    {
        _S.CLOSED: {
            _I.TRIED: _go(_S.CLOSED, BreakerEffect.NOTHING),
            _I.SUCCEEDED: _go(_S.CLOSED, BreakerEffect.FORGET),
            _I.FAILED: _go(_S.CLOSED, BreakerEffect.COUNT),
            _I.TRIPPED: _go(_S.OPEN, BreakerEffect.PAUSE),
            _I.PROBE_FAILED: None,
            _I.PROBE_ABANDONED: None,
        },
        _S.OPEN: {
            _I.TRIED: _go(_S.HALF_OPEN, BreakerEffect.NOTHING),
            # Attempts that began before it opened, and checks, still tell something.
            _I.SUCCEEDED: _go(_S.CLOSED, BreakerEffect.CLOSE),
            _I.FAILED: _go(_S.OPEN, BreakerEffect.NOTHING),
            _I.TRIPPED: _go(_S.OPEN, BreakerEffect.NOTHING),
            _I.PROBE_FAILED: None,
            _I.PROBE_ABANDONED: None,
        },
        _S.HALF_OPEN: {
            _I.TRIED: None,
            _I.SUCCEEDED: _go(_S.CLOSED, BreakerEffect.CLOSE),
            # Of attempts that began before it opened: only the probe tells more.
            _I.FAILED: _go(_S.HALF_OPEN, BreakerEffect.NOTHING),
            _I.TRIPPED: _go(_S.HALF_OPEN, BreakerEffect.NOTHING),
            _I.PROBE_FAILED: _go(_S.OPEN, BreakerEffect.PAUSE),
            _I.PROBE_ABANDONED: _go(_S.OPEN, BreakerEffect.NOTHING),
        },
    },
)


class Breaker:
    """The breaker of one server."""

    __slots__ = (
        "_backoff",
        "_closed_at",
        "_failures",
        "_failures_max",
        "_machine",
        "_probes",
        "until",
    )

    def __init__(self, failures_max: int, pause_seconds_max: float) -> None:
        self._machine = Machine(TABLE, BreakerState.CLOSED)
        self._failures = 0
        self._failures_max = failures_max
        self._backoff = Backoff(_FIRST_PAUSE_SECONDS, pause_seconds_max)
        self._closed_at = -_FOREVER
        self._probes = 0
        self.until = 0.0
        """While it is open: when an attempt is let through."""

    @property
    def state(self) -> BreakerState:
        return self._machine.state

    def lets_through(self, now: float) -> bool:
        """Whether an attempt may begin now."""
        match self.state:
            case BreakerState.CLOSED:
                return True
            case BreakerState.OPEN:
                return now >= self.until
            case BreakerState.HALF_OPEN:
                return False

    @property
    def probe(self) -> int:
        """The number of the current probe; 0 if there is none."""
        return self._probes if self.state is BreakerState.HALF_OPEN else 0

    def tried(self) -> int:
        """An attempt begins. Returns its number if it is the probe, else 0.

        Raises `UndefinedTransitionError` while another probe is to tell.
        """
        self._apply(BreakerInput.TRIED, 0.0, 0.0)
        if self.state is BreakerState.HALF_OPEN:
            self._probes += 1
        return self.probe

    def succeeded(self, now: float) -> None:
        """The server was reached."""
        self._apply(BreakerInput.SUCCEEDED, now, 0.0)

    def failed(self, now: float, entropy: float, in_a_row: int = 1, probe: int = 0) -> None:
        """The server was not reached, or failed in another way, `in_a_row` times by then.

        `entropy` is a random number from 0 to 1. `probe` is what `tried` returned.
        """
        if probe and probe == self.probe:
            self._apply(BreakerInput.PROBE_FAILED, now, entropy)
            return
        tripped = max(self._failures + 1, in_a_row) >= self._failures_max
        self._apply(BreakerInput.TRIPPED if tripped else BreakerInput.FAILED, now, entropy)

    def abandoned(self, probe: int = 0) -> None:
        """An attempt ended without telling anything. `probe` is what `tried` returned."""
        if probe and probe == self.probe:
            self._apply(BreakerInput.PROBE_ABANDONED, 0.0, 0.0)

    def _apply(self, given: BreakerInput, now: float, entropy: float) -> None:
        match self._machine.apply(given):
            case BreakerEffect.NOTHING:
                pass
            case BreakerEffect.COUNT:
                self._failures += 1
            case BreakerEffect.FORGET:
                self._failures = 0
            case BreakerEffect.CLOSE:
                self._failures = 0
                self._closed_at = now
            case BreakerEffect.PAUSE:
                self._failures = 0
                lasted = 0.0 if given is BreakerInput.PROBE_FAILED else now - self._closed_at
                self.until = now + self._backoff.pause(entropy, lasted)
