"""Which event goes to which session's handler, and what has been handled. No I/O.

Events of one session are handled in order, one at a time, in a task that lives
while there are any. A command that came before is not handled again.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Iterator
from typing import TYPE_CHECKING, Any, Final

from holdfast.app.mailbox import put
from holdfast.app.session import Session
from holdfast.link import messages as m
from holdfast.net.log import Seldom, log_failure
from holdfast.net.loop import is_cancelled

if TYPE_CHECKING:
    from holdfast.app.app import App

_log: Final = Seldom("holdfast.app")


class Dispatcher:
    """The sessions of one instance."""

    def __init__(self, app: App) -> None:
        self.sessions: dict[str, Session] = {}
        self.spawn: Callable[[Coroutine[Any, Any, None]], object]
        """Runs a coroutine in a task; set when the application runs."""
        self._app = app
        self._unreported: dict[str, int] = {}
        self._remembered: dict[str, int] = {}
        self._busy = 0

    @property
    def idle(self) -> bool:
        """Whether no handler is running."""
        return not self._busy

    # --- what the gateway says

    def receive(self, events: list[m.SessionEvent]) -> None:
        """Events in their order. Hot path."""
        for event in events:
            session = self.sessions.get(event.sid)
            cseq = event.cseq
            if session is None:
                session = self._open(event)
                if session is None:
                    continue
            elif cseq:
                if cseq <= session.received:
                    self._report(session, min(cseq, session.applied))
                    continue
                session.received = cseq
            mailbox = session.mailbox
            if mailbox is None:
                session.mailbox = deque((event,))
                self._busy += 1
                self.spawn(self._work(session))
            elif cseq:
                mailbox.append(event)
            else:
                put(mailbox, event)

    def _open(self, event: m.SessionEvent) -> Session | None:
        if not isinstance(event.event, m.Opened | m.Adopted):
            return None  # of a session that has ended here
        session = Session(self._app, event.event.info)
        session.applied = max(session.applied, self._remembered.get(session.sid, 0))
        session.received = session.applied
        self.sessions[session.sid] = session
        return session

    def welcome(self, infos: list[m.SessionInfo]) -> None:
        """A link begins, with these sessions: those that changed meanwhile are told."""
        ours = {info.sid for info in infos}
        gone = [sid for sid in self.sessions if sid not in ours]
        events = [m.SessionEvent(sid, 0, m.Closed("timeout")) for sid in gone]
        for info in infos:
            events += (m.SessionEvent(info.sid, 0, event) for event in self._changes(info))
        self.receive(events)

    def _changes(self, info: m.SessionInfo) -> Iterator[m.Event]:
        """What has become of a session since we knew it last."""
        session = self.sessions.get(info.sid)
        if session is None:
            yield m.Adopted(info)
        detached = info.state.startswith("detached")
        if detached:
            if session is not None and session.attached:
                yield m.Detached("network_error")
        elif info.resync:
            yield m.Resync(info.resync)
        elif session is not None and not session.attached:
            yield m.Resumed(info.protocol, info.address)

    def unlink(self) -> None:
        """The link is broken: commands that no handler has begun will come again."""
        for session in self.sessions.values():
            mailbox = session.mailbox
            if mailbox:
                kept = [event for event in mailbox if not event.cseq]
                mailbox.clear()
                mailbox.extend(kept)
            session.received = max(session.applied, session.cseq)

    # --- what the gateway is told

    def applied(self, remembered: dict[str, int]) -> dict[str, int]:
        """By session: what need not come again. `remembered` is from the application's store."""
        self._remembered = remembered
        known = {sid: session.applied for sid, session in self.sessions.items()}
        return {**known, **{s: max(n, known.get(s, 0)) for s, n in remembered.items()}}

    def take_applied(self) -> list[m.Applied]:
        """What was applied since the last call."""
        if not self._unreported:
            return []
        marks = [m.Applied(sid, cseq) for sid, cseq in self._unreported.items()]
        self._unreported.clear()
        return marks

    def _report(self, session: Session, cseq: int) -> None:
        if not self._unreported:
            self._app.flush_later()
        self._unreported[session.sid] = cseq

    # --- handling

    async def _work(self, session: Session) -> None:
        """Handle what is in the session's mailbox until it is empty."""
        mailbox = session.mailbox
        assert mailbox is not None
        try:
            while mailbox:
                event = mailbox.popleft()
                session.cseq = event.cseq or session.cseq
                await self._handle(session, event.event)
                if event.cseq:
                    session.applied = event.cseq
                    self._report(session, event.cseq)
        finally:
            session.mailbox = None
            self._busy -= 1
            self._app.move()

    async def _handle(self, session: Session, event: m.Event) -> None:
        """One handler is one failure domain: what it raises is logged, and the next one runs."""
        if isinstance(event, m.Opened | m.Adopted):
            self.sessions[session.sid] = session  # taken for gone, and back before that was handled
        try:
            await self._app.handle(session, event)
        except (Exception, asyncio.CancelledError) as error:
            if is_cancelled(error):
                raise
            kind = type(event).__name__
            log_failure(_log, "a handler failed", error, session=session.sid, kind=kind)
        if isinstance(event, m.Closed):
            self.sessions.pop(session.sid, None)
