"""How much of the logs of all sessions is kept, and for how long.

All windows together have a limit, and so have all queues of commands. If there is no room for
another window, those of detached sessions are dropped; if there is none for another command,
the command is refused, and its client is notified when there is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from holdfast.core.limits import SessionLimits
from holdfast.net.log import RateLimitedLogger
from holdfast.sessions.population import Population
from holdfast.sessions.room import Room
from holdfast.sessions.session import Session

_log: Final = RateLimitedLogger("holdfast.sessions")
_ROOMY: Final = 7 / 8
"""How much of the room may be taken once there was too little."""
_AGED_MAX: Final = 1_000
"""Windows that are looked at in one go, for output grown too old."""


class Retention:
    """The room of the windows and queues of `sessions`. All times are a `SteadyClock`'s."""

    def __init__(
        self, limits: SessionLimits, sessions: Mapping[str, Session], population: Population
    ) -> None:
        self.windows = Room(limits.node_windows_bytes_max)
        self.windows.make_room = self._forget_windows
        self.queues = Room(limits.node_queues_bytes_max)
        self.windows_forgotten = 0
        """Windows of detached sessions that were dropped because there was no room."""
        self._age_seconds_max = limits.window_age_seconds_max
        self._sessions = sessions
        self._population = population
        self._starved: dict[Session, None] = {}
        """Sessions whose commands were refused for lack of space."""
        self._exhausted = False
        """Whether there were too few windows to drop; it is looked again after `expire`."""
        self._aging: list[str] = []
        """The ids of those whose windows are still to be looked at in this round."""

    def starved(self, session: Session) -> None:
        """A command of the session found no room: offer it again when there is some."""
        self._starved[session] = None

    def forget(self, session: Session) -> None:
        """The session has ended."""
        self._starved.pop(session, None)

    def expire(self, now: float) -> None:
        """Drop expired output of some sessions, and offer free room to refused commands."""
        self._exhausted = False
        if not self._aging:
            self._aging = list(self._sessions)
        looked_at, self._aging = self._aging[-_AGED_MAX:], self._aging[:-_AGED_MAX]
        for sid in looked_at:
            session = self._sessions.get(sid)
            if session is not None:
                session.out.trim_older(now - self._age_seconds_max)
                session.fit()
        if self._starved and self.queues.used < self.queues.bytes_max * _ROOMY:
            starved, self._starved = self._starved, {}
            for session in starved:
                session.offer_room()

    def _forget_windows(self, wanted: float) -> None:
        """Drop the windows of detached sessions, in the order of `Population`.

        If that is not enough, the next outputs do not look through all sessions again.
        """
        if self._exhausted:
            return
        left = self.windows.used - wanted - self.windows.bytes_max * (1 - _ROOMY)
        before = self.windows_forgotten
        for session in self._population.waiting():
            if self.windows.used <= left:
                break
            if isinstance(session, Session) and session.out.size:
                session.forget_window()
                self.windows_forgotten += 1
        else:
            self._exhausted = self.windows.used > left
        _log.warning(
            "windows of detached sessions dropped",
            sessions=self.windows_forgotten - before,
            kept_bytes=self.windows.used,
        )
