"""Commands that may end the application's process: sent separately, and finally set aside.

When a process dies, its commands in flight are lost, and the cause is unknown. Each is counted
in its session's row and is a suspect for the next run. A suspect is sent without the commands
after it: those in flight once in small groups, those in flight more often one by one, and only
by a run that has lasted a while without them, because a program that is killed again and again,
or ends by itself, must not cost a command. A suspect that is applied is cleared. One that was
in flight when as many runs died as the limit allows is set aside.

A run that sends goodbye has not died, and one that returns under its name has only lost its
link. A gateway that dies with its application counts nothing: its own end explains the run's.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import Final

from holdfast.sessions.port import SessionPort
from holdfast.sessions.session import Session

_TOGETHER_MAX: Final = 32
"""Suspects of one death that are tried at one time."""
_ENDED_MAX: Final = 16
"""Ended runs whose commands in flight are remembered."""


class Suspects:
    """The suspects among the sessions of one application."""

    def __init__(self, runs_max: int) -> None:
        self._runs_max = runs_max
        self._tried: dict[Session, None] = {}
        """Sessions whose suspect is in flight."""
        self._passed: set[Session] = set()
        """Sessions whose suspect was tried for long enough, and is still in flight."""
        self._once: dict[Session, None] = {}
        """Sessions that wait, whose suspect was in flight when one run died."""
        self._often: dict[Session, None] = {}
        """Sessions that wait, whose suspect was in flight when several runs died."""
        self._blamed: dict[str, dict[Session, int]] = {}
        """By run that has ended: the commands that were counted for it."""

    @property
    def tried(self) -> list[Session]:
        """The sessions that are tried now."""
        return list(self._tried)

    def run_ended(self, instance: str, sessions: Iterable[Session], *, died: bool) -> list[Session]:
        """A run has ended that held these sessions; its commands in flight are still marked.

        Returns the sessions whose oldest command is to be set aside.
        """
        under_way = [session for session in sessions if session.inbox.forwarded_bytes]
        if any(session in self._tried for session in under_way):
            blamed = [session for session in under_way if session not in self._passed]
        else:
            blamed = under_way
        for session in sessions:
            self.forget(session)
        if not died:
            return []
        for session in blamed:
            _count(session)
        self._blamed[instance] = {session: session.row.suspect for session in blamed}
        if len(self._blamed) > _ENDED_MAX:
            del self._blamed[next(iter(self._blamed))]
        return [session for session in blamed if session.row.suspect_runs >= self._runs_max]

    def run_returned(self, instance: str) -> None:
        """The run has not died: undo its counts."""
        for session, cseq in self._blamed.pop(instance, {}).items():
            row = session.row
            if row.suspect == cseq:
                row.suspect_runs -= 1
                if not row.suspect_runs:
                    row.suspect = 0
                SessionPort.save(session)

    def holds(self, session: Session) -> bool:
        """Whether a suspect is sent its oldest command alone, and only in its turn."""
        return session not in self._passed

    def admit(self, session: Session) -> bool:
        """Whether a suspect's command may be sent now. If not, `next` returns it in its turn."""
        if session in self._tried and session.inbox.forwarded_bytes:
            return False
        self.forget(session)
        often = session.row.suspect_runs > 1
        if len(self._tried) >= self._room(often=often):
            (self._often if often else self._once)[session] = None
            return False
        self._tried[session] = None
        return True

    def clear(self, session: Session) -> None:
        """The suspect's command was applied, or set aside."""
        session.row.suspect = session.row.suspect_runs = 0
        SessionPort.save(session)
        self.forget(session)

    def time_over(self, sessions: Iterable[Session]) -> list[Session]:
        """These were tried for long enough: return those that are still being tried.

        Their other commands may be sent, and other suspects are next.
        """
        passed = [session for session in sessions if session in self._tried]
        for session in passed:
            del self._tried[session]
        self._passed.update(passed)
        return passed

    def next(self) -> list[Session]:
        """Return the suspects whose turn it is: send their commands, as `admit` allows."""
        waiting, often = (self._once, False) if self._once else (self._often, True)
        chosen = list(islice(waiting, max(0, self._room(often=often) - len(self._tried))))
        for session in chosen:
            del waiting[session]
        return chosen

    def forget(self, session: Session) -> None:
        """The session has ended, or is given to another run."""
        self._passed.discard(session)
        for sessions in (self._tried, self._once, self._often):
            sessions.pop(session, None)

    def _room(self, *, often: bool) -> int:
        """The number of suspects that may be tried at one time, in addition to the current ones."""
        alone = often or any(session.row.suspect_runs > 1 for session in self._tried)
        return 1 if alone else _TOGETHER_MAX


def _count(session: Session) -> None:
    """A run has died with the session's oldest command under way."""
    row, cseq = session.row, session.inbox.oldest
    row.suspect_runs = row.suspect_runs + 1 if row.suspect == cseq else 1
    row.suspect = cseq
    SessionPort.save(session)
