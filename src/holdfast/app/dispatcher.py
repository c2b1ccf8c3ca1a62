"""Dispatches events to the handlers of their sessions. No I/O.

The events of one session are handled in order, one at a time, in a task that exists while there
are any. A repeated command is not handled again. A session is at one node of the gateway at a time:
events of other nodes are ignored, and its outputs follow it (`moves`).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Collection, Coroutine, Iterator, Sequence
from typing import Any, Final, Protocol

from holdfast.app.answers import Refusal
from holdfast.app.events import HandlerCaller, handle
from holdfast.app.failures import report
from holdfast.app.mailbox import put
from holdfast.app.moves import Moves
from holdfast.app.node import Node
from holdfast.app.progress import Progress
from holdfast.app.refusals import Refusals
from holdfast.app.session import Sender, Session
from holdfast.app.time_slice import TimeSlice
from holdfast.core.limits import LinkLimits
from holdfast.link import messages as m
from holdfast.link import tracing
from holdfast.net.log import RateLimitedLogger, log_failure
from holdfast.net.runtime.loop import is_cancelled

_log: Final = RateLimitedLogger("holdfast.app")

_WITHOUT_CLIENT: Final = (m.Detached, m.Closed, m.Moved)
"""Events after which no client is there to be told anything."""


class HandlingApp(Sender, HandlerCaller, Protocol):
    """The application, as far as a dispatcher and its sessions need it."""

    progress: Progress
    failure_text: str
    limits: LinkLimits


class Dispatcher:
    """The sessions of one instance."""

    def __init__(self, app: HandlingApp) -> None:
        self.sessions: dict[str, Session] = {}
        self.spawn: Callable[[Coroutine[Any, Any, None]], object]
        """Runs a coroutine in a task; set when the application runs."""
        self._app = app
        seconds_max = app.limits.elsewhere_seconds_max
        self.moves = Moves(self.sessions, self._switched, self._lost, seconds_max)
        self.refusals = Refusals(app, self)
        self.leaving = False
        """Whether no further command is begun."""
        self._releasing: set[Node] = set()
        """Nodes to which every session is given back that has no handler running."""
        self._busy = 0
        self._slice = TimeSlice()
        self.traced = 0
        """How many running handlers are traced."""

    @property
    def idle(self) -> bool:
        """Whether no handler is running."""
        return not self._busy

    # --- from the gateway

    def receive(self, events: Sequence[m.SessionEvent], node: Node) -> None:
        """Handle events of `node`, in order. Hot path."""
        for event in events:
            session = self.sessions.get(event.sid)
            cseq = event.cseq
            if session is None:
                self._open(event, node)
                continue
            if session.node is not node and not self.moves.enters(session, event.event, node):
                continue
            if cseq:
                if cseq <= session.received:
                    self._report(session, min(cseq, session.applied))
                    continue
                if self.leaving:
                    continue  # the instance that gets the session will do it
                session.received = cseq
            elif not self._is_news(session, event):
                continue
            mailbox = session.mailbox
            if mailbox is None:
                session.mailbox = deque((event,))
                self._busy += 1
                self.spawn(self._work(session))
            elif cseq:
                mailbox.append(event)
            else:
                put(mailbox, event)

    def _open(self, event: m.SessionEvent, node: Node) -> None:
        if not isinstance(event.event, m.Opened | m.Adopted):
            return  # of a session that has ended here
        session = Session(self._app, event.event.info, node)
        session.received = session.applied
        self.sessions[session.sid] = session
        self._introduce(session, event)

    def _introduce(self, session: Session, event: m.SessionEvent) -> None:
        """Handle that a session is here, and that its client may have missed output before."""
        self.refusals.returned(session)
        events = [event]
        if isinstance(event.event, m.Adopted):
            events += self._resyncs(event.event.info)
        if session.mailbox is None:
            session.mailbox = deque(events)
            self._busy += 1
            self.spawn(self._work(session))
        else:
            session.mailbox.extend(events)

    def _resyncs(self, info: m.SessionInfo) -> list[m.SessionEvent]:
        if not info.resync or info.state.startswith("detached"):
            return []
        return [m.SessionEvent(info.sid, 0, m.Resync(info.resync))]

    def _is_news(self, session: Session, news: m.SessionEvent) -> bool:
        """Whether an event of a session that is known is to be handled, and was not yet."""
        match event := news.event:
            case m.Moved(elsewhere=True) if not session.ended:
                self.moves.leaves(session)
                return False
            case m.Closed() | m.Moved():
                was_ended, session.ended = session.ended, True
                self._ended(session, event)
                return not was_ended
            case m.Opened(info) | m.Adopted(info) if session.ended:
                session.ended = False
                session.learn(info)
                session.received = max(session.received, session.applied)
                self._introduce(session, news)
                return False
            case m.Adopted(info):  # after a welcome without space for it, or it came back
                self.moves.enters(session, event, session.node)
                self._tell_changes(info, session.node)
                return False
            case _:
                pass
        return True

    def welcome(self, infos: list[m.SessionInfo], node: Node, gone: Collection[str] = ()) -> None:
        """A link begins with these sessions: report those that changed to the application. The
        node does not have those that are `gone`."""
        for sid in gone:
            session = self.sessions.get(sid)
            if session is not None and session.node is node and not session.ended:
                self.moves.absent(session)
        for info in infos:
            session = self.sessions.get(info.sid)
            if session is not None and (session.node, session.outgoing) != (node, node.outgoing):
                self.moves.enters(session, m.Adopted(info), node)
            if session is None or session.node is node:
                self._tell_changes(info, node)

    def _tell_changes(self, info: m.SessionInfo, node: Node) -> None:
        self.receive([m.SessionEvent(info.sid, 0, event) for event in self._changes(info)], node)

    def _changes(self, info: m.SessionInfo) -> Iterator[m.Event]:
        """Return the event for the change of a session since the last link."""
        session = self.sessions.get(info.sid)
        if session is None:
            yield m.Adopted(info)
            return
        if info.state.startswith("detached"):
            if session.attached:
                yield m.Detached("network_error")
        elif info.resync:
            yield m.Resync(info.resync)
        elif not session.attached:
            yield m.Resumed(info.protocol, info.address)

    def _ended(self, session: Session, event: m.Closed | m.Moved) -> None:
        """The session is not this instance's any more."""
        left = self.moves.forget(session)
        if isinstance(event, m.Moved):
            self.refusals.moved(session, left)

    def _lost(self, session: Session) -> None:
        """The session has moved to another node, where another instance holds it."""
        self.receive([m.SessionEvent(session.sid, 0, m.Moved())], session.node)

    def unlink(self, node: Node) -> None:
        """The link is broken: commands that no handler has begun will come again."""
        for session in self.sessions.values():
            if session.node is node:
                self._drop_commands(session)
                session.received = max(session.applied, session.cseq)

    def _switched(self, session: Session) -> None:
        """The outputs of a session go to its node from now on: its commands count there, too."""
        if session.applied:
            self._report(session, session.applied)
        self._app.progress.move()

    def _drop_commands(self, session: Session) -> None:
        """Forget the commands that no handler has begun."""
        mailbox = session.mailbox
        if mailbox:
            kept = [event for event in mailbox if not event.cseq]
            mailbox.clear()
            mailbox.extend(kept)

    # --- leaving

    def leave(self) -> None:
        """Begin no further command: those that no handler has begun are another instance's."""
        self.leaving = True
        for session in self.sessions.values():
            self._drop_commands(session)

    def release(self, node: Node) -> None:
        """Give back every session of a node, as soon as none of its handlers is running."""
        self._releasing.add(node)
        for session in self.sessions.values():
            if session.node is node and session.mailbox is None:
                self._release(session)

    def _release(self, session: Session) -> None:
        session.node.released.append(session.sid)
        session.node.flush_later()

    # --- to the gateway

    def applied(self, accepted: int, node: Node) -> dict[str, int]:
        """By session of `node` that is known here: the newest command that need not come again, or
        0.

        `accepted` is the newest output that the gateway has stored. A command whose answer is
        newer may come again, and is not handled again: it is reported as applied after the answer
        was sent on the new link. If this process ends before, another one handles the command.
        """
        return {
            sid: one.applied if one.output_number <= accepted else 0
            for sid, one in self.sessions.items()
            if one.node is node and not one.ended
        }

    def _report(self, session: Session, cseq: int) -> None:
        node = session.node
        if session.outgoing is not node.outgoing:
            return  # the answer comes first, and is not there yet
        if not node.unreported:
            node.flush_later()
        node.unreported[session.sid] = cseq

    # --- handling

    async def _work(self, session: Session) -> None:
        """Handle the events in the session's mailbox until it is empty."""
        mailbox = session.mailbox
        assert mailbox is not None
        try:
            while mailbox:
                event = mailbox.popleft()
                session.cseq = event.cseq or session.cseq
                if type(event) is m.TracedEvent and event.trace:
                    await self._handle_traced(session, event)
                else:
                    await self._handle(session, event.event)
                if event.cseq:
                    session.applied = event.cseq
                    session.output_number = session.outgoing.number
                    self._report(session, event.cseq)
                    if mailbox and self._slice.over():
                        await asyncio.sleep(0)
        finally:
            session.mailbox = None
            self._busy -= 1
            if session.node in self._releasing:
                self._release(session)
            self._app.progress.move()

    async def _handle_traced(self, session: Session, event: m.TracedEvent) -> None:
        self.traced += 1
        try:
            kind = type(event.event).__name__.lower()
            await tracing.handled(event.trace, kind, self._handle(session, event.event))
        finally:
            self.traced -= 1

    async def _handle(self, session: Session, event: m.Event) -> None:
        """One handler is one failure domain: its exception is logged, its user gets a line, and the
        next handler runs."""
        if isinstance(event, m.Opened | m.Adopted):
            self.sessions[session.sid] = session  # it ended, and came back before that was handled
        try:
            await handle(self._app, session, event)
        except (Exception, asyncio.CancelledError) as error:
            if is_cancelled(error):
                raise
            await self._failed(session, event, error)
        if isinstance(event, m.Closed | m.Moved):
            self.sessions.pop(session.sid, None)

    async def _failed(self, session: Session, event: m.Event, error: BaseException) -> None:
        """A handler has raised: a `Refusal` is for the user, anything else is a defect."""
        refused = isinstance(error, Refusal)
        if not refused:
            kind = type(event).__name__
            log_failure(_log, "a handler failed", error, session=session.sid, kind=kind)
            if self.traced and tracing.api() is not None:
                tracing.note_failure(error)
        text = str(error) if refused else self._app.failure_text
        if text and not isinstance(event, _WITHOUT_CLIENT):
            await session.notice(text)
        if not refused:
            await report(self._app, session, error)
