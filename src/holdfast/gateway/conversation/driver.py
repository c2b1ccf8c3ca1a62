"""One connection and its session: what comes in goes to the session, and back. Hot path.

An `Attachment` stands on a connection (it is its `Handler`) and is what a
session writes to (its `Consumer`). It drives an adapter in between. How a
connection gets its session is told in `attach`.
"""

from __future__ import annotations

import random
from collections.abc import Coroutine
from typing import Any, Final

from holdfast.core.errors import DISCONNECTS, Reason
from holdfast.core.items import Command, Notice, Output, Text
from holdfast.core.states import Machine
from holdfast.gateway.adapters.base import (
    TOKEN_BYTES,
    Ack,
    Adapter,
    Enter,
    Event,
    Numbered,
    ResumeOwn,
)
from holdfast.gateway.context import Context, ListenerContext
from holdfast.gateway.conversation import attach
from holdfast.gateway.conversation.acks import AckPacer
from holdfast.gateway.conversation.cost import cost_of
from holdfast.gateway.conversation.events import FREE, react, react_early
from holdfast.gateway.conversation.evidence import Evidence
from holdfast.gateway.conversation.intake import OWED_BYTES_MAX, Intake
from holdfast.gateway.conversation.phases import TABLE, Move, Phase
from holdfast.net.connection.connection import Connection
from holdfast.net.log import RateLimitedLogger, log_failure
from holdfast.net.security_log import SecurityEvent
from holdfast.sessions.inbox import ACCEPTED, FULL, REFUSED, Verdict
from holdfast.sessions.outbox import AckError
from holdfast.sessions.records import Capabilities
from holdfast.sessions.session import Session

_log: Final = RateLimitedLogger("holdfast.gateway")

_NEVER: Final = float("inf")
_LIVE: Final = Phase.LIVE
"""Looked up once: before Python 3.12 an enum's members are dear to reach."""
_NOT_TAKEN: Final = Notice("What you typed last was not taken.")
_FULL: Final = Notice(
    "Too much is waiting already. What you have typed since is taken when there is room."
)


class Attachment:
    """One connection with its adapter and, once it has entered, its session."""

    __slots__ = (
        "_acks",
        "_asked",
        "_confirmed",
        "_evidence",
        "_greeted",
        "_intake",
        "_machine",
        "_pinged",
        "_refused",
        "_told_at",
        "_wake",
        "adapter",
        "capabilities",
        "connection",
        "context",
        "door",
        "login_attempts",
        "session",
        "wrong_code",
    )

    def __init__(self, connection: Connection, context: Context, door: ListenerContext) -> None:
        connection.answers = True
        self.connection = connection
        self.context = context
        self.door = door
        self.adapter: Adapter = door.new_adapter()
        self.capabilities = Capabilities()
        self.session: Session | None = None
        self.login_attempts = 0
        self.wrong_code = False
        """Whether a resume code was wrong: no other is looked at here."""
        self._machine = Machine(TABLE, Phase.WAITING)
        self._intake = Intake(context.command_rate, self.adapter.input_rate)
        """What came while entering, too quickly, or when there was no room for it."""
        self._acks: AckPacer | None = None
        self._evidence: Evidence | None = None
        self._confirmed = False
        """Whether the client has shown that it has its present token or code."""
        self._told_at: float = -1
        """The newest output before the token that the client was told last; -1: it came with the
        answer that let it in."""
        self._greeted = False
        """Whether what comes may be an answer to our welcome."""
        self._asked = 0
        """From which command on the client was asked to send again."""
        self._refused = False
        """Whether a numbered command found the queue full."""
        self._pinged = 0.0
        """When the client was asked for a sign of life."""
        self._wake = _NEVER

    @property
    def phase(self) -> Phase:
        return self._machine.state

    @property
    def protocol(self) -> str:
        return self.adapter.protocol

    # --- Handler: what the connection says

    def connected(self) -> None:
        self._handle(self.adapter.begin(self.context.runtime.timers.now))
        self._schedule()

    def received(self, data: bytes) -> None:
        intake = self._intake
        if intake.blocked and self._machine.state is not Phase.LEAVING:
            intake.unread += data  # of a read that was under way when reading was stopped
            return
        adapter, now = self.adapter, self.context.runtime.timers.now
        size, end = adapter.slice_bytes, len(data)
        start = 0
        while True:
            piece = data if end <= size else data[start : start + size]
            start += size
            tokens = adapter.tokens
            self._handle(adapter.receive_data(piece, now))
            owed = intake.owed + len(piece) + TOKEN_BYTES * (adapter.tokens - tokens)
            intake.owed = owed
            if owed >= OWED_BYTES_MAX:
                intake.charge(now)
            if start >= end:
                break
            if intake.blocked or self.phase is Phase.ENTERING:
                intake.blocked = True
                intake.unread = data[start:]
                break
        if intake.blocked:
            self._stop_reading()
        due = adapter.next_deadline()
        if due is not None and due < self._wake:
            self._schedule()
        if self.connection.full:
            self.connection.pause_reading()  # who does not read our answers is not listened to

    def ended(self) -> None:
        if self._intake.blocked and self.phase is not Phase.LEAVING:
            self._intake.eof = True
            return
        self._handle(self.adapter.receive_eof())
        self.end(Reason.CLIENT_LEFT)

    def writable(self) -> None:
        self._resume_reading()
        self.deliver()
        if self.session is not None:
            self.session.relieve()

    def expired(self, now: float) -> None:
        self._wake = _NEVER
        if self.phase is Phase.LEAVING:
            self.connection.close()
            return
        intake = self._intake
        if now >= intake.turn and not intake.full and self.phase is not Phase.ENTERING:
            self.go_on()
        if now >= intake.tell_at:
            intake.tell_at = _NEVER
            self.show(_FULL)
        due = self.adapter.next_deadline()
        if due is not None and now >= due:
            self._handle(self.adapter.handle_timer(now))
        if self._acks is not None and now >= self._acks.due:
            self._tell_acks(self._acks)
        if self._evidence is not None and now >= self._evidence.due:
            self._probe(self._evidence, now)
        if self.adapter.pings:
            self._look_for_life(now)
        self._schedule()

    def overdue(self, reason: Reason) -> None:
        self.goodbye(reason)

    def drain(self) -> None:
        self.goodbye(Reason.SHUTDOWN)

    def lost(self, cause: Exception | None) -> None:
        self._machine.apply(Move.LEAVE)
        self._let_go(Reason.CLIENT_LEFT if cause is None else Reason.NETWORK_ERROR)

    # --- Consumer: what the session says

    def deliver(self) -> None:
        session = self.session
        if session is None or self._machine.state is not _LIVE:
            return
        out = session.out
        limit = session.deliverable
        connection = self.connection
        if limit <= out.sent or connection.full:
            return
        first, items = out.take(limit)
        if out.maybe_delivered >= first and not self.adapter.numbered:
            self.adapter.mark_maybe_delivered(out.maybe_delivered)
            self.send()
        connection.write(self.adapter.encode(first, items))
        evidence = self._evidence
        if evidence is not None:
            evidence.wrote(limit, connection.bytes_out, self.context.runtime.timers.now)
            if evidence.next < self._wake and evidence.due < self._wake:
                self._schedule()

    def show(self, item: Output) -> None:
        session = self.session
        if session is None or self.phase is not _LIVE or self.connection.full:
            return
        if session.out.sent >= session.deliverable:  # else the client lags: volatile goes first
            self.send()
            self.connection.write(self.adapter.encode_volatile(item))

    def acknowledge(self, cin: int) -> None:
        acks = self._acks
        if acks is None:
            return
        if acks.note(cin, self.context.runtime.timers.now):
            self._tell_acks(acks)
        elif acks.due < self._wake:
            self._schedule()

    def make_room(self) -> None:
        if self._intake.full and self._machine.state is _LIVE:
            self.go_on()
        if self._refused and self.session is not None:
            self._refused = False
            self._asked = 0
            self._ask_resend(self.session.inbox.cin + 1)
            self.send()

    def change_input_mode(self) -> None:
        if self.session is not None:
            self.adapter.set_input_mode(self.session.row.input_mode)
            self.send()

    def close(self, reason: Reason) -> None:
        self._part_with_session()
        self._say_goodbye(reason)

    def fail(self, error: Exception) -> None:
        session, self.session = self.session, None
        sid = session.sid if session is not None else ""
        log_failure(_log, "a connection failed", error, peer=self.connection.peer, session=sid)
        self._machine.apply(Move.LEAVE)
        self.connection.abort()
        if session is not None:
            self.context.pool.unregister(sid, self)
            session.out.maybe_delivered = max(
                session.out.maybe_delivered, session.out.sent
            )  # it may have come so far
            session.lost(self, Reason.INTERNAL_ERROR, self.context.wall())

    # --- entering and leaving

    def admit(self, session: Session) -> None:
        """The session is durable and this connection's: it is live."""
        self._machine.apply(Move.ADMIT)
        self._confirmed = self._greeted = False
        self._told_at = -1
        self.connection.established()
        self.context.pool.register(session.sid, self)
        self._intake.commands_due = max(self._intake.commands_due, session.paced)
        if self.adapter.numbered:
            self._acks = AckPacer(session.inbox.kept[0])
        else:
            self._evidence = Evidence(
                self.context.limits.session, session.out, exact=self.adapter.wants_token
            )

    def go_on(self) -> None:
        """What waits is handled now, as far as it may be."""
        intake = self._intake
        unread, intake.unread = intake.unread, b""
        self._handle(intake.go_on())
        if intake.blocked:
            intake.unread = unread
        elif unread:
            self.received(unread)
        else:
            self.read_ahead()
        phase = self.phase
        self._greeted = phase is _LIVE
        if intake.eof and not intake.blocked and phase in (Phase.WAITING, Phase.LIVE):
            self.ended()
            return
        self._resume_reading()
        self._schedule()

    def _stop_reading(self) -> None:
        if self._intake.news():
            self.tell(SecurityEvent.LIMITED, why="too much at once; it is read later")
        self.connection.pause_reading()
        self._schedule()

    def _resume_reading(self) -> None:
        connection, phase = self.connection, self.phase
        if not (self._intake.blocked or connection.full or phase is Phase.ENTERING):
            connection.resume_reading()

    def read_ahead(self) -> None:
        """What the client sent before it was known what it means is handled now."""
        if self.phase is _LIVE:
            self.received(b"")

    def goodbye(self, reason: Reason, text: str = "") -> None:
        """End the connection; its session, if it has one, waits for its client."""
        self._let_go(reason)
        self._say_goodbye(reason, text)

    def _say_goodbye(self, reason: Reason, text: str = "") -> None:
        """Tell the client why, and close."""
        if self.phase is Phase.LEAVING:
            return
        if self._greeted and not self.adapter.numbered and self._intake.holds:
            self.connection.write(self.adapter.encode_volatile(_NOT_TAKEN))
        self._machine.apply(Move.LEAVE)
        self.context.counts[f"closed_{reason.value}"] += 1
        disconnect = DISCONNECTS[reason]
        # Clients that leave together do not come back together.
        retry = random.uniform(0.1, self.context.limits.drain.retry_seconds_max)
        waits = self.adapter.goodbye(disconnect, text or disconnect.text, retry)
        self.send()
        self.connection.flush()
        if waits:
            unread, self._intake.unread = self._intake.unread, b""
            self.received(unread)
            self.connection.resume_reading()  # for the client's own goodbye
            close_seconds = self.context.limits.connection.close_seconds_max
            self.connection.wake_at(self.connection.time() + close_seconds)
        else:
            self.connection.close_on()  # whoever is busy sends on until it has read our goodbye

    # --- inbound events

    def _handle(self, events: list[Event]) -> None:
        intake = self._intake
        if intake.events and self.phase is _LIVE:
            intake.hold(events)
            return
        context = self.context
        now, limits = context.runtime.timers.now, context.limits.session
        next_due = context.command_rate.next
        for index, event in enumerate(events):
            session = self.session
            if session is None or self._machine.state is not _LIVE:
                react_early(self, event)
                continue
            kind = type(event)
            if kind is Ack:
                self._ack(session, event)  # type: ignore[arg-type]
                continue
            if kind not in FREE:
                cost = cost_of(event, limits)
                due = next_due(intake.commands_due, now, cost)
                if due is None:
                    intake.wait_for_turn(cost)
                    intake.hold(events[index:])
                    self._stop_reading()
                    break
                intake.commands_due = due
            if kind is Numbered:
                self._numbered(session, event)  # type: ignore[arg-type]
                continue
            taken = (
                self.command(session, event)  # type: ignore[arg-type]
                if kind is Text
                else react(self, session, event)
            )
            if not taken:
                self._wait_for_room(events[index:])
                break
        self.send()

    def _wait_for_room(self, events: list[Event]) -> None:
        """The session's queue is full: the client is not read until there is room."""
        self._intake.hold(events)
        self._intake.wait_for_room(self.context.runtime.timers.now)
        self._stop_reading()

    def command(self, session: Session, item: Command) -> bool:
        """A command of a client that does not count its commands. False if there is no room."""
        if not self._confirmed and self._greeted and self._told_at < 0:
            self._confirm(session)
        verdict = session.receive(item)
        if verdict is REFUSED:
            self._refuse_lines()
        return verdict is not FULL

    def _numbered(self, session: Session, event: Numbered) -> None:
        verdict = session.receive_numbered(event.c, event.item)
        if verdict is ACCEPTED:
            return
        if verdict is Verdict.REPEATED and self._acks is not None:
            self._acks.repeat(event.c)
            session.mark_dirty()
        elif verdict is Verdict.GAP:
            self._ask_resend(session.inbox.cin + 1)
        elif verdict is FULL:
            self._refused = True
            self.context.counts["commands_refused"] += 1
        elif verdict is REFUSED:
            self._refuse_lines()

    def _refuse_lines(self) -> None:
        self.context.counts["commands_refused"] += 1
        lines_max = self.context.limits.session.command_lines_max
        self.show(Notice(f"Too many lines at once: at most {lines_max} are taken. None was."))

    def _ask_resend(self, c: int) -> None:
        """Ask once: every command behind the missing one is out of order, too."""
        if not self._refused and self._asked != c:
            self._asked = c
            self.adapter.ask_resend(c)

    def _ack(self, session: Session, ack: Ack) -> None:
        try:
            session.out.ack(ack.n)
        except AckError as error:
            self.goodbye(Reason.PROTOCOL_ERROR, str(error))
            return
        session.mark_dirty()
        if self._evidence is not None:
            self._evidence.acknowledges()
        if not self._confirmed and ack.n > self._told_at:
            self._confirm(session)

    def expect_proof(self, sent: float) -> None:
        """The client gets another token: only an acknowledgement of an output behind it, that is
        above `sent`, shows that the client has it."""
        self._confirmed, self._told_at = False, sent

    def _confirm(self, session: Session) -> None:
        self._confirmed = True
        self.context.manager.confirm(session)

    def proven(self, session: Session, number: int) -> None:
        """The client has answered the probe that asked for outputs up to `number`."""
        if self._evidence is not None and self._evidence.proven(number):
            session.mark_dirty()
            if not self._confirmed and number > self._told_at:
                self._confirm(session)

    def enter(self, event: Enter | ResumeOwn) -> None:
        """The client wants a session; what else it sends waits until it has one."""
        dormant = attach.dormant(self, event)
        if dormant:
            self._machine.apply(Move.ENTER)
            self.connection.pause_reading()
            self.run(attach.load(self, event, dormant))
            return
        work = attach.enter(self, event)
        if work is not None:
            self._machine.apply(Move.ENTER)
            self._acks = None  # of the session that it leaves; the other's begin behind its resume
            self.connection.pause_reading()
            self.run(work)

    def enter_loaded(self, event: Enter | ResumeOwn) -> None:
        """What the client wants is loaded: it wants it again, where it stood."""
        self._machine.apply(Move.WAIT if self.session is None else Move.ADMIT)
        self.enter(event)
        if self.phase in (Phase.WAITING, Phase.LIVE):
            self.go_on()  # it was refused
            self.deliver()

    def renew_rights(self, session: Session) -> None:
        """The session has become a user's: whoever had a right to it before has none any more."""
        self.tell(SecurityEvent.USER_CHANGED, user=session.row.user)
        self.run(attach.renew(self, session))

    def hold(self, event: Event) -> None:
        """Handle this event when the session is entered."""
        self._intake.hold([event])

    def serve_http(self, data: bytes) -> None:
        """The client sent a request that is no WebSocket's: it is served pages, until it sends
        one that is."""
        if self.door.serve_http is None:
            self.goodbye(Reason.REFUSED, "there is no page here, only a WebSocket")
        else:
            self._machine.apply(Move.LEAVE)
            context, door = self.context, self.door
            self.door.serve_http(
                self.connection, data, self, lambda again: Attachment(again, context, door)
            )

    def end(self, reason: Reason) -> None:
        """Close without a further goodbye."""
        self._machine.apply(Move.LEAVE)
        self._let_go(reason)
        self.send()
        if reason is Reason.CLIENT_LEFT:
            self.connection.close()
        else:
            self.connection.close_on()

    def _let_go(self, reason: Reason) -> None:
        session = self._part_with_session()
        if session is not None:
            session.lost(self, reason, self.context.wall())

    def _part_with_session(self) -> Session | None:
        """The session, if there was one: it knows now what this connection knows of its client."""
        session, self.session = self.session, None
        if session is not None:
            self.context.pool.unregister(session.sid, self)
            self._close_evidence(session)
            session.paced = self._intake.commands_due
        return session

    def run(self, work: Coroutine[Any, Any, None]) -> None:
        """Run a task of this connection's: a defect in it ends this connection alone."""

        async def guarded() -> None:
            try:
                await work
            except Exception as error:
                log_failure(_log, "a connection failed", error, peer=self.connection.peer)
                self.connection.abort()

        self.context.spawn(guarded())

    def tell(self, event: SecurityEvent, **fields: Any) -> None:
        """Write to the security log what this client did."""
        connection, session = self.connection, self.session
        self.context.security.tell(
            event,
            peer=connection.peer,
            sid=session.sid if session is not None else "",
            listener=connection.listener or "",
            **fields,
        )

    def send(self) -> None:
        """Write what the adapter has queued."""
        data = self.adapter.data_to_send()
        if data:
            self.connection.write(data)

    # --- time

    def _tell_acks(self, acks: AckPacer) -> None:
        self.adapter.acknowledge(acks.tell(self.context.runtime.timers.now))
        self.send()

    def _probe(self, evidence: Evidence, now: float) -> None:
        number = evidence.probing(now)
        if number:
            if self.adapter.probe(number):
                evidence.probed(number)
                self.send()
            else:
                evidence.not_probed()
        self.connection.look_for_reading()
        if evidence.ages and evidence.age(self.connection.delivery(), now):
            session = self.session
            if session is not None:
                session.mark_dirty()

    def _close_evidence(self, session: Session) -> None:
        evidence, self._evidence = self._evidence, None
        if evidence is not None:
            evidence.close(self.connection.delivery(), self.context.runtime.timers.now)
            session.mark_dirty()
        elif session.out.maybe_delivered < session.out.sent:
            # What a client that counts had not acknowledged yet, it may have shown.
            session.out.maybe_delivered = session.out.sent
            session.mark_dirty()

    def _look_for_life(self, now: float) -> None:
        """Ping a silent client; give up one that does not answer."""
        heard = self.connection.heard
        patience = self.context.limits.websocket.heartbeat_seconds_max
        if self.connection.full or self.connection.held or self._intake.blocked:
            self._pinged = 0.0  # it may not have been listened to; the limit of progress decides
        elif heard < self._pinged:
            if now >= self._pinged + patience:
                self.goodbye(Reason.TIMEOUT)
        elif now >= heard + patience:
            self._pinged = now
            self.adapter.heartbeat()
            self.send()

    def _schedule(self) -> None:
        """Ask to be woken for whatever is due first."""
        if self.phase is Phase.LEAVING:
            return
        wake = min(self._intake.due, self.adapter.next_deadline() or _NEVER)
        if self._acks is not None:
            wake = min(wake, self._acks.due)
        if self._evidence is not None:
            wake = min(wake, self._evidence.due)
        if self.adapter.pings and self.phase is _LIVE:
            patience = self.context.limits.websocket.heartbeat_seconds_max
            wake = min(wake, self.context.runtime.timers.now + patience)
        if wake < self._wake:
            self._wake = wake
            self.connection.wake_at(wake)
