"""The life of one terminal: its state, and how long it was in each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from holdfast.backends.terminal.states import TABLE, BridgeInput, BridgeState
from holdfast.backends.terminal.stats import TerminalCounts
from holdfast.core.states import Machine
from holdfast.net.log import RateLimitedLogger

_log: Final = RateLimitedLogger("holdfast.terminal")


class Life:
    """The state machine of the terminal of session `sid`. `now` is the runtime's time."""

    def __init__(self, sid: str, counts: TerminalCounts, now: Callable[[], float]) -> None:
        self._sid = sid
        self._counts = counts
        self._now = now
        self._machine = Machine(TABLE, BridgeState.CREATED)
        self._seconds: dict[str, float] = {}
        self._entered = self._told = now()

    @property
    def state(self) -> BridgeState:
        return self._machine.state

    @property
    def closing(self) -> bool:
        """Whether it is being released, or was."""
        return not self._machine.allows(BridgeInput.CLOSE)

    def apply(self, given: BridgeInput) -> bool:
        """Take a step. False, with a warning, if the state forbids it: of many, one wins."""
        machine, now = self._machine, self._now()
        before = machine.state
        if not machine.allows(given):
            self._counts.forbidden += 1
            _log.warning(
                "forbidden change of a terminal",
                sid=self._sid,
                state=before.value,
                input=given.value,
            )
            return False
        machine.apply(given)
        lasted, self._entered = now - self._entered, now
        self._told = now
        self._seconds[before.value] = self._seconds.get(before.value, 0.0) + lasted
        self._counts.lasted(before, lasted)
        _log.debug(
            "terminal",
            sid=self._sid,
            before=before.value,
            state=machine.state.value,
            seconds=round(lasted, 3),
        )
        return True

    def tell_if_stuck(self, seconds_max: float) -> None:
        """Tell of a terminal that does not close, once in so many seconds."""
        now = self._now()
        if self.state is BridgeState.CLOSING and now - self._told > seconds_max:
            self._told = now
            self._counts.stuck += 1
            _log.error("a terminal does not close", sid=self._sid)

    def seconds(self) -> dict[str, float]:
        """How long it was in each state so far."""
        state = self.state.value
        lasted = self._seconds.get(state, 0.0) + self._now() - self._entered
        seconds = self._seconds | {state: lasted}
        return {name: round(each, 3) for name, each in seconds.items()}
