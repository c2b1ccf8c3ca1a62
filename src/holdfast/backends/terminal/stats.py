"""What the terminals of a node have done, for metrics, and each of them, for its view."""

from __future__ import annotations

from collections import Counter
from typing import Final

from msgspec import Struct, field

from holdfast.backends.terminal.states import BridgeState

SECONDS: Final = (0.01, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 600.0, 3_600.0, 86_400.0)
"""The bounds of the histograms of the time in a state."""


class TerminalCounts(Struct):
    """Counts of all terminals of one backend since this process began."""

    opened: int = 0
    active: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    """By the fault's code."""
    forbidden: int = 0
    """Changes of state that the table forbids."""
    stuck: int = 0
    """Terminals that stayed in CLOSING for longer than their limit."""
    bytes_in: int = 0
    """From servers and commands."""
    bytes_out: int = 0
    """To them."""
    gaps: int = 0
    """Clients that came back when output after their position was gone."""
    reattachments: int = 0
    pauses: int = 0
    """How often a server was not read, because its client was behind."""
    seconds: dict[BridgeState, Counter[float]] = field(default_factory=dict)
    """By state: how often it lasted at most so long (`inf` for longer)."""
    seconds_sum: dict[BridgeState, float] = field(default_factory=dict)

    def lasted(self, state: BridgeState, seconds: float) -> None:
        """A terminal was in `state` for `seconds`."""
        bound = next((it for it in SECONDS if seconds <= it), float("inf"))
        self.seconds.setdefault(state, Counter())[bound] += 1
        self.seconds_sum[state] = self.seconds_sum.get(state, 0.0) + seconds


class TerminalView(Struct, frozen=True):
    """One terminal, as an operator sees it."""

    kind: str
    target: str
    user: str
    state: str
    seconds: dict[str, float]
    """In each state so far."""
    bytes_in: int
    bytes_out: int
    unacknowledged_bytes: int
    viewers: int
    gaps: int
    reattachments: int
    last_input: float
    """Seconds since."""
    round_trip: float | None
    """Of the connection to the server, in seconds."""
    recording: str
    """The file, or nothing."""
