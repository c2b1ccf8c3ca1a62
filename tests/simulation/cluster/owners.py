"""The log of owners: who writes to the clients of which session."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tests.simulation.clients.base import session_of
from tests.simulation.network import End, Pipe


class Owners:
    """Rule: once the owner of a generation has written to a session's client, no earlier one does.

    `history` has each session's generations and the runs that own it, as they are committed.
    """

    def __init__(self, history: Mapping[str, Sequence[tuple[int, int | None]]]) -> None:
        self._history = history
        self._wrote: dict[str, int] = {}
        """By session, the generation that has written last."""
        self.overlaps: list[str] = []

    def writes(self, pipe: Pipe, end: End, run: int) -> None:
        """A run writes to a client."""
        session = session_of(pipe)
        if end is not pipe.far or session is None:
            return
        sid = session.sid
        generation = max((gen for gen, owner in self._history[sid] if owner == run), default=0)
        if not generation:  # nothing of it is stored yet
            return
        newest = self._wrote.get(sid, 0)
        if generation < newest:
            self.overlaps.append(
                f"{sid}: run {run} of generation {generation} writes after {newest}"
            )
        self._wrote[sid] = max(newest, generation)
