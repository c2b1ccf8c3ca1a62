"""Sessions that move from one node of the gateway to another, and their outputs.

The node that gives a session away says so, and waits until it has everything that was said before
(an answer to its next request shows that). What is said after that is kept apart, until another
node has the session, and the first one has stored what it has. A node may die, too: then the one
that has its sessions tells what it had stored.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from holdfast.app.node import Node
from holdfast.app.outgoing import Kept, Outgoing
from holdfast.app.session import Session
from holdfast.link import messages as m


def is_late(session: Session, info: m.SessionInfo, node: Node) -> bool:
    """Whether another node has got the session since this one had it."""
    return node is not session.node and 0 < info.gen < session.gen


class Moves:
    """Which node has each of `sessions`, and where its outputs go.

    `on_switched` is called when the outputs of a session go to another node, `on_lost` when a node
    has given one away, and no other node has it within `seconds_max`: another instance has it.
    """

    def __init__(
        self,
        sessions: Mapping[str, Session],
        on_switched: Callable[[Session], None],
        on_lost: Callable[[Session], None],
        seconds_max: float,
    ) -> None:
        self._sessions = sessions
        self._on_switched = on_switched
        self._on_lost = on_lost
        self._seconds_max = seconds_max
        self._between: dict[Session, asyncio.TimerHandle | None] = {}
        """Those that no node has, each with what gives it up, if its node gave it away."""
        self._following: set[Session] = set()
        """Those whose outputs do not go to the node that has them yet."""

    def leaves(self, session: Session) -> None:
        """The session's node gives it away, with what was said until now.

        It may do so again, if it could not the first time; or the session is given on before what
        was kept has followed it. Then that is still kept, behind the same outputs.
        """
        before = session.outgoing
        session.node.flush()
        if before.behind is None:
            kept = session.outgoing = Outgoing(before.window)
            kept.bounds, kept.behind = before.bounds, before
        self._leaves(session)

    def absent(self, session: Session) -> None:
        """The session's node does not have it, as it tells with what it has stored: another one
        has it, or will. The rest of what was said is said there.

        What an earlier run of the node had stored, this one does not know: who has adopted its
        sessions tells.
        """
        if session.node.outgoing in (session.outgoing, session.outgoing.behind):
            self._keep_apart(session)
        self._leaves(session)

    def enters(self, session: Session, event: m.Event, node: Node) -> bool:
        """Handle an event of a node that may be another than the session's. Returns whether the
        session is at this node now.

        An earlier node may tell late that it has got the session: it does not have it any more.
        """
        if not isinstance(event, m.Adopted | m.Opened) or is_late(session, event.info, node):
            return False
        session.gen = max(session.gen, event.info.gen)
        self._arrived(session)
        session.node = node
        self._following.add(session)
        self._follow(session)
        return True

    def forget(self, session: Session) -> list[Kept]:
        """Another instance has the session, or it has ended. Returns the calls for it that are not
        known to be stored, and that no node gets any more."""
        self._arrived(session)
        self._following.discard(session)
        kept = session.outgoing
        if kept is session.node.outgoing:
            return []  # the node carries them out, or refuses them
        session.outgoing = session.node.outgoing
        before = kept.behind.withdraw(session.sid) if kept.behind is not None else []
        return before + kept.withdraw(session.sid)

    def accepted(self) -> None:
        """A node has stored outputs."""
        for session in list(self._following):
            self._follow(session)

    def relinked(self, node: Node) -> None:
        """A node has told what it has stored, before it tells which sessions it has. The rest of
        what was said to sessions that are at other nodes by now is said there."""
        for session in list(self._following):
            if node.outgoing in (session.outgoing, session.outgoing.behind):
                if session in self._between:
                    self._keep_apart(session)
                else:
                    self._switch(session)

    def ended(self, node: Node, heard: int) -> None:
        """A node has ended for good: it had stored the outputs up to `heard`."""
        self.settle(self.replaced(node), heard)

    def replaced(self, node: Node, number: int = 0) -> Outgoing:
        """The run of a node has ended, and its next one knows no output of it: its numbers begin
        behind `number`. Returns the outputs for that run, which are to be settled."""
        before = node.outgoing
        for session in self._sessions.values():
            if session.node is node:
                self._between.setdefault(session)
        node.run = 0
        node.outgoing = Outgoing(before.window, number)
        node.outgoing.bounds = before.bounds
        return before

    def settle(self, before: Outgoing, heard: int) -> None:
        """A run of a node that has ended had stored `before` up to `heard`: the rest is said at the
        nodes that have its sessions."""
        before.accepted(heard)
        before.ended = True
        for session in self._sessions.values():
            if before in (session.outgoing, session.outgoing.behind):
                self._following.add(session)
                self._follow(session)

    def _follow(self, session: Session) -> None:
        """Let the outputs follow the session, if it is known which of them are stored."""
        first = session.outgoing.behind or session.outgoing
        if first.ended or first is session.node.outgoing or not first.about(session.sid):
            self._switch(session)

    def _switch(self, session: Session) -> None:
        """The outputs of the session that are not stored go to the node that has it."""
        if session in self._between:
            return
        self._following.discard(session)
        node, before = session.node, session.outgoing
        if before is node.outgoing:
            return
        if before.behind is not None and before.behind is not node.outgoing:
            node.outgoing.again(before.behind.withdraw(session.sid))
        node.outgoing.again(before.withdraw(session.sid))
        session.outgoing = node.outgoing
        session.output_number = node.outgoing.number
        node.flush_later()
        self._on_switched(session)

    def _keep_apart(self, session: Session) -> None:
        """What is not stored of the session's outputs waits for the node that will have it."""
        before = session.outgoing
        kept = session.outgoing = Outgoing(before.window)
        kept.bounds, kept.ended = before.bounds, True
        if before.behind is not None:
            kept.again(before.behind.withdraw(session.sid))
        kept.again(before.withdraw(session.sid))

    def _leaves(self, session: Session) -> None:
        self._arrived(session)
        loop = asyncio.get_running_loop()
        self._between[session] = loop.call_later(self._seconds_max, self._give_up, session)
        self._following.add(session)

    def _arrived(self, session: Session) -> None:
        giving_up = self._between.pop(session, None)
        if giving_up is not None:
            giving_up.cancel()

    def _give_up(self, session: Session) -> None:
        del self._between[session]
        self._on_lost(session)
