"""Sessions of linked applications, on their way from one node to another."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

from holdfast.backends.base import Moves
from holdfast.backends.link.assignment import Assignment
from holdfast.backends.link.instance import Instance
from holdfast.backends.link.trials import Trials
from holdfast.sessions.port import SessionPort
from holdfast.sessions.records import ENDED_RUNS_MAX, EndedRun
from holdfast.sessions.session import Session


class LinkMoves(Moves):
    """A session moves when no command of it is under way at its instance.

    `flush_later` sends what instances are told.
    """

    def __init__(
        self,
        port: SessionPort,
        assignment: Assignment,
        flush_later: Callable[[], None],
        trials: Trials,
    ) -> None:
        self._port = port
        self._assignment = assignment
        self._flush_later = flush_later
        self._trials = trials
        self._ended: deque[EndedRun] = deque(maxlen=ENDED_RUNS_MAX)

    def inherited(self, ended: EndedRun) -> None:
        """The sessions of a node that has ended are here: tell what it had stored, before they are
        given to instances."""
        self._ended.append(ended)
        for instance in self._assignment.linked.values():
            instance.inherit(ended)

    def linked(self, instance: Instance) -> None:
        """Tell an instance that has linked what nodes that have ended had stored."""
        for ended in self._ended:
            instance.inherit(ended)

    @property
    def served(self) -> bool:
        return self._assignment.serving

    def may_move(self, session: Session) -> bool:
        return not session.inbox.forwarded_bytes

    async def prepare(self, sessions: Sequence[Session]) -> None:
        await self._assignment.give_up(sessions)

    def moved(self, session: Session) -> None:
        self._trials.forget([session])

    async def adopt(self, sids: Sequence[str]) -> None:
        if not self._assignment.linked:
            return  # an instance that links gets them
        await self._port.load(sids)
        self._assignment.assign(filter(None, map(self._port.find, sids)))
        self._flush_later()
