"""One linked run of an application: the commands that were sent to it, and its window."""

from __future__ import annotations

from collections.abc import Sequence

from holdfast.backends.link.runs import RunProgress
from holdfast.link.messages import (
    EVENTS,
    HEARTBEAT,
    INHERITED,
    REFUSED,
    UNKNOWN_SESSION,
    Event,
    Heartbeat,
    Hello,
    Inherited,
    Refused,
    SessionEvent,
    SessionInfo,
    TracedEvent,
)
from holdfast.link.peer import Peer
from holdfast.link.tracing import CommandTraces
from holdfast.sessions.inbox import Queued
from holdfast.sessions.port import Caller, SessionPort
from holdfast.sessions.records import EndedRun
from holdfast.sessions.session import Session


class Reservation:
    """The route of a session that an instance will hold after it has answered `remember`.

    Until then nothing is sent to the instance for the session, and its calls for the session
    date from an earlier time as its holder.
    """

    __slots__ = ("instance",)

    def __init__(self, instance: Instance) -> None:
        self.instance = instance


class Instance(Caller):
    """An application at the other end of a link, and the sessions that it holds."""

    __slots__ = (
        "_events",
        "_port",
        "_resynced",
        "_traces",
        "_unapplied",
        "_window",
        "app",
        "durable",
        "everywhere",
        "lasted",
        "leaving",
        "lost",
        "name",
        "peer",
        "reservation",
        "reserved",
        "serves",
        "sessions",
    )

    def __init__(
        self,
        hello: Hello,
        key: str,
        peer: Peer,
        heard: RunProgress,
        port: SessionPort,
        traces: CommandTraces | None = None,
    ) -> None:
        super().__init__(key, heard.accepted, maybe_delivered=hello.sent)
        self.name = hello.instance
        self.peer = peer
        self.durable = heard.durable
        """The newest of its outputs that is stored."""
        self.serves = hello.serves
        """Whether it is given sessions."""
        self.everywhere = hello.nodes
        """Whether it links to every node."""
        self.lasted = False
        """Whether it has lived long enough to be sent a command that several runs died with."""
        self.leaving = False
        """Whether it is sent no further command and given no further session."""
        self.lost: set[str] = set()
        """Sessions that it takes for its own, and that another instance has held since: its calls
        for them are refused."""
        self.sessions: dict[Session, None] = {}
        self.reserved: dict[Session, None] = {}
        """Sessions that the instance will hold after it has answered `remember`."""
        self.reservation = Reservation(self)
        self.app = hello.app
        self._traces = traces
        self._port = port
        self._window = hello.window
        self._unapplied = 0
        """Bytes of commands that it has not reported as applied."""
        self._events: list[SessionEvent] = []
        self._resynced: list[Session] = []
        """Sessions whose `resync` is sent in this tick."""

    @property
    def load(self) -> int:
        """How many sessions it holds or will hold."""
        return len(self.sessions) + len(self.reserved)

    def reserve(self, session: Session) -> None:
        """The session will be this instance's."""
        session.route = self.reservation
        self.reserved[session] = None

    def enter(self, session: Session) -> None:
        """Store that this instance was the last to hold the session."""
        if session.row.instance != self.name:
            session.row.instance = self.name
            self._port.save(session)

    def hold(self, session: Session) -> None:
        """The session is this instance's from now on."""
        self.reserved.pop(session, None)
        self.lost.discard(session.sid)
        session.route = self
        self.sessions[session] = None
        self.enter(session)

    def release(self, session: Session) -> None:
        """The instance no longer holds the session: unapplied commands stay unapplied."""
        self.reserved.pop(session, None)
        if session in self.sessions:
            self._unapplied = max(0, self._unapplied - session.inbox.forwarded_bytes)
            del self.sessions[session]
            self._port.rewind(session)
            if self._traces is not None:
                self._traces.lost(session.sid)
        session.route = None

    def may_change(self, session: Session) -> bool:
        """Whether a call for a session is current, and not of an earlier time as its holder.

        The sessions belong to the application: one instance may send to those of another.
        """
        return session.route is not self.reservation and session.sid not in self.lost

    def inherit(self, ended: EndedRun) -> None:
        """Tell what another node has heard of it, whose sessions are here now."""
        if self.everywhere:
            heard = ended.heard.get(self.caller_key, 0)
            self.peer.notify(INHERITED, Inherited(ended.node, ended.number, heard))

    def refuse(self, number: int, fault: str, *, unknown: bool = False) -> None:
        code = UNKNOWN_SESSION if unknown else ""
        self.peer.notify(REFUSED, Refused(number, fault, code))

    def forward(self, session: Session) -> None:
        """Send the session's new commands, as far as the windows allow. Hot path.

        The rest follows when commands of the session are applied. A session without a command
        in flight gets its first one through in any case: a handler that hangs does not hold up
        others.
        """
        if self.leaving:
            return  # the commands wait for the instance that gets the session
        inbox = session.inbox
        left = inbox.forwarded_bytes + self._window - self._unapplied
        commands = inbox.take_within(left if left > 1 else 1)
        if len(commands) != 1 or self._traces is not None:
            self._send(session, commands)
            return
        (queued,) = commands  # what `_send` does without traces, and without its call
        self._events.append(SessionEvent(session.row.sid, queued.cseq, queued.item))
        self._unapplied += queued.size

    def forward_one(self, session: Session) -> None:
        """Send the session's oldest command, if it has none under way."""
        if not self.leaving:
            self._send(session, self._port.take_within(session, 1))

    def tell(self, session: Session, event: Event) -> None:
        """Send an event after the session's commands, which may exceed the windows for it.

        Commands of a `suspect` wait nevertheless.
        """
        if not (session.row.suspect or self.leaving):
            self._send(session, self._port.take(session))
        self._events.append(SessionEvent(session.sid, 0, event))

    def introduce(self, sid: str, event: Event) -> None:
        """Send the event that makes a session known, before any of its commands."""
        self._events.append(SessionEvent(sid, 0, event))

    def resynced(self, session: Session) -> None:
        """Send the row's `resync`, which is kept until the instance is known to have received
        it."""
        self._resynced.append(session)

    def flush(self) -> None:
        """Send all events of this tick."""
        events = self._events
        if events:
            self._events = []
            self.peer.notify_batch(EVENTS, events)
        if self._resynced:
            told, self._resynced = self._resynced, []
            # An answer to this shows that everything before it was received.
            self.peer.ask(
                HEARTBEAT, Heartbeat(), Heartbeat, lambda _: self._heard(told), lambda _: None
            )

    def applied(self, session: Session, cseq: int) -> None:
        """The instance has applied the session's commands up to `cseq`."""
        if self._traces is not None:
            self._traces.applied(session.sid, cseq)
        left = self._unapplied - self._port.applied(session, cseq)
        self._unapplied = left if left > 0 else 0

    def _heard(self, told: list[Session]) -> None:
        for session in told:
            if session.route is self and session.row.resync:
                session.row.resync = ""
                self._port.save(session)

    def _send(self, session: Session, commands: Sequence[Queued]) -> None:
        sid = session.row.sid  # without the call of a property
        events = self._events
        traces = self._traces
        for queued in commands:
            cseq, item = queued.cseq, queued.item
            context = traces and traces.begin(sid, cseq, type(item).__name__.lower(), self.app)
            if context:
                events.append(TracedEvent(sid, cseq, item, context))
            else:
                events.append(SessionEvent(sid, cseq, item))
            self._unapplied += queued.size


def info_of(session: Session) -> SessionInfo:
    """What an application gets with a session."""
    row = session.row
    return SessionInfo(
        sid=row.sid,
        state=row.state,
        user=row.user,
        properties=dict(row.properties),
        profile=row.profile,
        data=row.data,
        groups=list(row.groups),
        capabilities=row.capabilities,
        address=row.address,
        protocol=row.protocol,
        client=session.facts,
        applied=session.inbox.applied,
        resync=row.resync,
        gen=session.generation,
    )
