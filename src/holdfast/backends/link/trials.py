"""Trying the commands that may end the application: `Suspects`, with their time and their log."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Final

from holdfast.backends.link.instance import Instance
from holdfast.backends.link.settings import AppSettings
from holdfast.backends.link.suspects import Suspects
from holdfast.core.clock import Clock
from holdfast.core.items import MUST, Notice
from holdfast.net.log import RateLimitedLogger
from holdfast.sessions.port import SessionPort
from holdfast.sessions.session import Session

_log: Final = RateLimitedLogger("holdfast.link")

SET_ASIDE = Notice(
    "The application ended each time that it was given a command of yours. That one was set aside."
)


class Trials:
    """The suspects of a backend's application. `commanded` has a session's commands sent later."""

    def __init__(
        self,
        settings: AppSettings,
        loop: asyncio.AbstractEventLoop,
        clock: Clock,
        port: SessionPort,
        commanded: Callable[[Session], None],
    ) -> None:
        self.suspects = Suspects(port.limits.command_runs_max)
        self._settings = settings
        self._seconds = port.limits.suspect_seconds_max
        self._loop = loop
        self._clock = clock
        self._port = port
        self._commanded = commanded
        self._timing = False
        """Whether a timer for the suspects that are tried is running."""

    def run_began(self, instance: Instance) -> None:
        """An instance has linked."""
        self._loop.call_later(self._seconds, self._lasted, instance)

    def run_ended(self, instance: Instance, *, died: bool) -> None:
        """A run has ended; its sessions are still its own."""
        for session in self.suspects.run_ended(instance.name, list(instance.sessions), died=died):
            self._set_aside(session)

    def forward(self, instance: Instance, session: Session) -> None:
        """Send the commands of a suspect's session that may be sent now."""
        if not self.suspects.holds(session):
            instance.forward(session)
        elif session.row.suspect_runs > 1 and not instance.lasted:
            pass  # whatever ends this run now, it is not this command; it follows by `_lasted`
        elif self.suspects.admit(session):
            instance.forward_one(session)
            self._give_time()

    def progressed(self, session: Session) -> None:
        """Commands of a suspect's session were applied."""
        if session.inbox.applied >= session.row.suspect:
            self.suspects.clear(session)
            self._send(self.suspects.next())

    def forget(self, sessions: Iterable[Session]) -> None:
        """These have ended, or were given back."""
        for session in sessions:
            self.suspects.forget(session)
        self._send(self.suspects.next())

    def _set_aside(self, session: Session) -> None:
        row = session.row
        _log.error(
            "command set aside after repeated deaths of the application",
            app=self._settings.app,
            session=row.sid,
            command=row.suspect,
            runs=row.suspect_runs,
        )
        cseq = row.suspect
        self.suspects.clear(session)
        self._port.applied(session, cseq)
        self._port.emit(session, SET_ASIDE, MUST, self._clock())

    def _lasted(self, instance: Instance) -> None:
        instance.lasted = True
        self._send([session for session in instance.sessions if session.row.suspect_runs > 1])

    def _give_time(self) -> None:
        tried = self.suspects.tried
        if tried and not self._timing:
            self._timing = True
            self._loop.call_later(self._seconds, self._time_over, tried)

    def _time_over(self, sessions: list[Session]) -> None:
        self._timing = False
        self._send(self.suspects.time_over(sessions))
        self._send(self.suspects.next())
        self._give_time()

    def _send(self, sessions: Iterable[Session]) -> None:
        for session in sessions:
            self._commanded(session)
