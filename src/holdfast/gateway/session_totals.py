"""The sums over all sessions of a node, for metrics and for an operator's overview."""

from __future__ import annotations

from collections import Counter

from holdfast.sessions.manager import SessionManager
from holdfast.sessions.session import Session


class SessionTotals:
    """Made and filled with `add` from all loaded sessions of one moment.

    Sessions that are not loaded count in `states` alone.
    """

    __slots__ = ("commands", "outputs", "queue_bytes", "states", "viewers", "window_bytes")

    def __init__(self, manager: SessionManager) -> None:
        self.states = Counter(manager.loader.dormant.states)
        self.outputs = manager.counts.outputs
        """Numbered outputs since the start."""
        self.commands = manager.counts.commands
        """Commands that were taken in since the start."""
        self.window_bytes = 0
        """Output that is kept for clients."""
        self.queue_bytes = 0
        """Commands that are kept for backends."""
        self.viewers = 0

    def add(self, session: Session) -> None:
        """Count a loaded session."""
        self.states[session.state] += 1
        self.outputs += session.out.top
        self.commands += session.inbox.top
        self.window_bytes += session.out.size
        self.queue_bytes += session.inbox.size
        self.viewers += len(session.viewers) if session.viewers is not None else 0


def session_totals(manager: SessionManager) -> SessionTotals:
    """The sums as of now."""
    totals = SessionTotals(manager)
    for session in manager.sessions.values():
        totals.add(session)
    return totals
