"""The driver of one connection: forwards input to its session, and output back. Hot path.

The `Driver` is the handler of a connection. It passes input to the adapter, and the adapter's
events to the session; rare events go to the steps in `events`, whose effects it executes. Only
the driver writes, waits and starts tasks, and it is the failure boundary: an exception in a
step, in the adapter or in a call of the session ends this connection and no other.
"""

from __future__ import annotations

from typing import Any, Final

from holdfast.core.errors import Reason
from holdfast.core.items import Notice, Text
from holdfast.gateway.adapters.base import TOKEN_BYTES, Adapter
from holdfast.gateway.adapters.events import Ack, Event, Numbered
from holdfast.gateway.context import Context, ListenerContext
from holdfast.gateway.conversation.cost import cost_of
from holdfast.gateway.conversation.events import FREE, hear, react, react_early
from holdfast.gateway.conversation.goodbye import say_goodbye
from holdfast.gateway.conversation.identify import expire
from holdfast.gateway.conversation.intake import OWED_BYTES_MAX, Intake
from holdfast.gateway.conversation.memory import reserve_input
from holdfast.gateway.conversation.news import News
from holdfast.gateway.conversation.output import Attachment
from holdfast.gateway.conversation.phases import ConversationPhase, Move, after
from holdfast.gateway.conversation.ports import Work
from holdfast.gateway.conversation.proof import Proof
from holdfast.gateway.conversation.viewing import pass_on
from holdfast.net.connection.connection import Connection
from holdfast.net.connection.handler import Phase
from holdfast.net.log import RateLimitedLogger, log_failure
from holdfast.net.runtime.turns import ARRIVAL_COST, PASS_COST_MAX, TURN_COST_MAX
from holdfast.net.security_log import SecurityEvent
from holdfast.sessions.records import Capabilities

_log: Final = RateLimitedLogger("holdfast.gateway")

_NEVER: Final = float("inf")
_LIVE: Final = ConversationPhase.LIVE
_WAITING: Final = ConversationPhase.WAITING
"""Looked up once: before Python 3.12 an enum's members are dear to reach."""
_UNKNOWN: Final = Capabilities()
_NOT_TAKEN: Final = Notice("What you typed last was not taken.")
_NOT_KEPT: Final = "the gateway is restarting; your session ends with it"
_FULL: Final = Notice(
    "Too much is waiting already. What you have typed since is taken when there is room."
)


class Driver:
    """The handler of one connection, from its first byte to its last."""

    __slots__ = (
        "adapter",
        "attachment",
        "capabilities",
        "connection",
        "context",
        "intake",
        "listener",
        "login_attempts",
        "phase",
        "proof",
        "waiting",
        "wake",
        "wrong_code",
    )

    def __init__(self, connection: Connection, context: Context, listener: ListenerContext) -> None:
        connection.answers = True
        self.connection = connection
        self.context = context
        self.listener = listener
        self.adapter: Adapter = listener.new_adapter()
        self.attachment: Attachment | None = None
        self.capabilities = _UNKNOWN
        self.intake = Intake()
        self.phase = ConversationPhase.WAITING
        self.proof = Proof() if listener.auth is not None else None
        self.login_attempts = 0
        self.wrong_code = False
        self.waiting = 0
        self.wake = _NEVER

    # --- Handler: what the connection says

    def connected(self) -> None:
        self.context.runtime.turns.spent += ARRIVAL_COST
        now = self.context.runtime.timers.now
        self._handle(self.adapter.begin(now), now)
        self._schedule()

    def received(self, data: bytes) -> None:
        intake, runtime = self.intake, self.context.runtime
        turns, now = runtime.turns, runtime.timers.now
        held, spent = intake.held, turns.spent
        late = turns.puts_off_arrival() if self.phase is _WAITING else spent >= PASS_COST_MAX
        if held is not None or (late and data):
            intake.keep(data, turns, self, self.connection.peer)
            self.connection.pause_reading()
            reserve_input(self)
            return
        adapter, connection = self.adapter, self.connection
        start, end, counted = 0, len(data), False
        while True:
            size, tokens = adapter.slice_bytes, adapter.tokens
            piece = data if not start and end <= size else data[start : start + size]
            start += size
            self._handle(adapter.receive_data(piece, now), now)
            cost = len(piece) + TOKEN_BYTES * (adapter.tokens - tokens)
            owed = intake.owed = intake.owed + cost
            if owed >= OWED_BYTES_MAX or intake.reservation is not None:
                counted = True
                turns.spent += owed
                intake.charge(adapter.input_rate, now, self.context.network_input, connection.peer)
            if connection.handler is not self:
                pass_on(connection, (), data[start:])
                return  # whether it is read is not decided here any more
            if start >= end and not adapter.unread:
                break
            waits = intake.held is not None or self.phase is ConversationPhase.ENTERING
            if waits or turns.spent - spent >= TURN_COST_MAX:
                intake.keep(data[start:], turns, self, connection.peer)
                break
        if counted or intake.held is not None:
            _keep_waiting(self, cost)
        due = adapter.next_deadline()
        if due is not None and due < self.wake:
            self._schedule()
        if connection.full:
            connection.pause_reading()  # the client does not read our answers

    def ended(self) -> None:
        held = self.intake.held
        if held is not None and self.phase is not ConversationPhase.LEAVING:
            held.eof = True
            return
        self._handle(self.adapter.receive_eof(), self.context.runtime.timers.now)
        self.end(Reason.CLIENT_LEFT)

    def writable(self) -> None:
        self._resume_reading()
        attachment = self.attachment
        if attachment is not None:
            attachment.deliver()
            attachment.session.relieve()

    def expired(self, now: float) -> None:
        self.wake = _NEVER
        if self.phase is ConversationPhase.LEAVING:
            self.connection.close()
            return
        held = self.intake.held
        if held is not None and held.turn <= now and not held.full:
            if self.phase is not ConversationPhase.ENTERING:
                self.intake.wait_for_loop(self.context.runtime.turns, self, self.connection.peer)
        elif held is not None and held.tell_at <= now:
            held.tell_at = _NEVER
            if self.attachment is not None:
                self.attachment.show(_FULL)
        due = self.adapter.next_deadline()
        if due is not None and now >= due:
            self._handle(self.adapter.handle_timer(now), now)
            reserve_input(self)
        if self.attachment is not None:
            self.attachment.expire(now)
        if self.proof is not None and now >= self.proof.due:
            expire(self, self.proof, now)
        self._schedule()

    def overdue(self, reason: Reason) -> None:
        held = self.intake.held
        waits_for_turn = held is not None and not held.full and held.turn == _NEVER
        late = reason is Reason.TIMEOUT and self.connection.phase is Phase.HANDSHAKE
        if late and waits_for_turn:
            self.connection.begin_again()  # very many have come at once, and others were first
            self.wake = _NEVER
            self._schedule()
            return
        unproven = self.proof is not None and self.proof.waiting is not None
        self.goodbye(Reason.UNAUTHENTICATED if unproven else reason)

    def drain(self) -> None:
        attachment = self.attachment
        kept = attachment is None or attachment.session.persistent
        self.goodbye(Reason.SHUTDOWN, "" if kept else _NOT_KEPT)

    def lost(self, cause: Exception | None) -> None:
        self.phase = after(self.phase, Move.LEAVE)
        if self.adapter.handshake_failed:
            self.listener.handshake_failed(self.connection)
        self.intake.release()
        self._detach(Reason.CLIENT_LEFT if cause is None else Reason.NETWORK_ERROR)

    # --- inbound events

    def _handle(self, events: list[Event], now: float) -> None:
        intake = self.intake
        held = intake.held
        if held is not None and held.events and self.phase is _LIVE:
            held.events += events
            return
        context = self.context
        limits = context.limits.session
        rate, before = context.command_rate, intake.commands_due
        for index, event in enumerate(events):
            attachment = self.attachment
            if attachment is None or not attachment.live:
                react_early(self, event)
                if self.connection.handler is not self:
                    pass_on(self.connection, events[index + 1 :])
                    break
                continue
            kind = type(event)
            if kind is Ack:
                attachment.acked(event.n)  # type: ignore[union-attr]
                continue
            if kind not in FREE:
                cost = cost_of(event, limits)
                # What `Rate.next` does, without a call for each message.
                before = intake.commands_due
                due = (before if before > now else now) + cost * rate.interval
                if due > now + rate.tolerance:
                    intake.wait_for_turn(events[index:], rate, cost)
                    self._stop_reading()
                    break
                intake.commands_due = due
            if kind is Numbered:
                attachment.numbered(event)  # type: ignore[arg-type]
                continue
            taken = (
                attachment.command(event)  # type: ignore[arg-type]
                if kind is Text
                else react(self, attachment, event)
            )
            if not taken:  # it is not read until there is room in the session's queue
                intake.commands_due = before  # it counts when it is taken
                intake.wait_for_room(events[index:], now)
                self._stop_reading()
                break
        self.send()

    def go_on(self) -> None:
        """Handle the held input, as far as the limits allow."""
        held = self.intake.take_held()
        if held is not None:
            self.context.runtime.turns.spent += TOKEN_BYTES * len(held.events)
        self._handle(held.events if held is not None else [], self.context.runtime.timers.now)
        unread = held.unread if held is not None else b""
        if self.connection.handler is not self:
            pass_on(self.connection, (), unread, eof=held is not None and held.eof)
            return
        if self.intake.held is not None:
            self.intake.held.unread = unread
            self.intake.held.cost = held.cost if held is not None else 0
        elif unread or self.adapter.unread or self.phase is _LIVE:
            self.received(unread)  # what it meant was perhaps not known yet
        if self.attachment is not None:
            self.attachment.greeted = self.attachment.live
            self.attachment.session.hides &= self.intake.held is not None
        if held is not None and held.eof and self.phase is not ConversationPhase.LEAVING:
            if self.intake.held is None and self.phase is not ConversationPhase.ENTERING:
                self.ended()
                return
            self.intake.block().eof = True
        if self.intake.reservation is not None:
            reserve_input(self)
        self._resume_reading()
        self._schedule()

    def take_turn(self) -> None:
        """Handle a part of what is held, if nothing but other connections was in its way."""
        held = self.intake.held
        if (
            held is None
            or held.full
            or held.turn != _NEVER
            or self.phase is ConversationPhase.ENTERING
        ):
            return
        peer, now = self.connection.peer, self.context.runtime.timers.now
        if self.intake.wait_for_network(self.context.network_input, peer, now):
            self._stop_reading()
        else:
            self.go_on()

    def _stop_reading(self) -> None:
        if self.intake.news():
            self.tell(SecurityEvent.LIMITED, why="too much at once; it is read later")
        self.connection.pause_reading()
        self._schedule()

    def _resume_reading(self) -> None:
        connection = self.connection
        waits = self.intake.held is not None or self.phase is ConversationPhase.ENTERING
        if not (waits or connection.full):
            connection.resume_reading()

    def hear(self, news: News) -> None:
        """The backend has news of the session that concern its connection."""
        if self.attachment is not None:
            hear(self, self.attachment, news)
            if self.phase is _LIVE:
                self.received(b"")  # it is known now what was sent before

    # --- effects

    def send(self) -> None:
        """Write what the adapter has queued."""
        data = self.adapter.data_to_send()
        if data:
            self.connection.write(data)

    def goodbye(self, reason: Reason, text: str = "") -> None:
        """Tell the client why, and close. Its session, if it has one, waits for its client."""
        attachment, held = self._detach(reason), self.intake.release()
        if self.phase is ConversationPhase.LEAVING:
            return
        typed = held is not None and (held.events or held.unread)
        if typed and attachment is not None and attachment.greeted and not self.adapter.numbered:
            self.connection.write(self.adapter.encode_volatile(_NOT_TAKEN))
        self.phase = after(self.phase, Move.LEAVE)
        until = say_goodbye(self.connection, self.adapter, self.context, reason, text)
        self.wake = _NEVER if until is None else until  # the connection closes by itself, or waits
        if until is not None:
            self.intake.stop_charging()
            self.received(held.unread if held is not None else b"")
            self.connection.resume_reading()  # for the client's own goodbye

    def end(self, reason: Reason) -> None:
        """Close without a further goodbye: the client has had its answer, or has left."""
        self.phase = after(self.phase, Move.LEAVE)
        self.wake = _NEVER
        self._detach(reason)
        self.intake.release()
        self.send()
        if reason is Reason.CLIENT_LEFT:
            self.connection.close()
        else:
            self.connection.close_on()

    def fail(self, error: Exception) -> None:
        """A defect: it ends this connection alone."""
        attachment, self.attachment = self.attachment, None
        sid = attachment.session.sid if attachment is not None else ""
        log_failure(_log, "a connection failed", error, peer=self.connection.peer, session=sid)
        self.phase = after(self.phase, Move.LEAVE)
        self.connection.abort()
        if attachment is not None:
            out = attachment.session.out
            attachment.release()
            out.maybe_delivered = max(out.maybe_delivered, out.sent)  # it may have come so far
            attachment.session.lost(attachment, Reason.INTERNAL_ERROR, self.context.wall())

    def _detach(self, reason: Reason) -> Attachment | None:
        """Detach the session, which waits for its client. Returns the attachment, if any."""
        attachment, self.attachment = self.attachment, None
        if attachment is not None:
            session = attachment.session
            attachment.detach()
            session.paced = self.intake.commands_due
            session.lost(attachment, reason, self.context.wall())
        return attachment

    def run(self, work: Work) -> None:
        """Run a step that waits. What the client said meanwhile is handled behind it."""

        async def guarded() -> None:
            try:
                await work
                self.waiting -= 1
                if self.phase is _LIVE:
                    self.received(b"")  # it is known now what was sent before
            except Exception as error:
                self.fail(error)

        self.waiting += 1
        self.context.spawn(guarded())

    def tell(self, event: SecurityEvent, **fields: Any) -> None:
        """Log a security event of this client."""
        connection, attachment = self.connection, self.attachment
        self.context.security.tell(
            event,
            peer=connection.peer,
            sid=attachment.session.sid if attachment is not None else "",
            listener=connection.listener or "",
            **fields,
        )

    def serve_http(self, data: bytes) -> None:
        """The client sent a request that is no WebSocket's: it is served pages, until it sends
        one that is."""
        serve, context, listener = self.listener.serve_http, self.context, self.listener
        if serve is None:
            self.goodbye(Reason.REFUSED, "there is no page here, only a WebSocket")
        else:
            self.phase = after(self.phase, Move.LEAVE)
            self.intake.release()
            serve(self.connection, data, self, lambda again: Driver(again, context, listener))

    # --- time

    def wake_by(self, when: float) -> None:
        """Ask to be woken at `when`, if nothing is due earlier."""
        if when < self.wake:
            self.wake = when
            self.connection.wake_at(when)

    def _schedule(self) -> None:
        """Ask to be woken for whatever is due first."""
        if self.phase is ConversationPhase.LEAVING:
            return
        wake = self.adapter.next_deadline() or _NEVER
        if self.intake.held is not None:
            wake = min(wake, self.intake.held.due)
        if self.attachment is not None:
            wake = min(wake, self.attachment.due(self.context.runtime.timers.now))
        if self.proof is not None:
            wake = min(wake, self.proof.due)
        self.wake_by(wake)


def _keep_waiting(driver: Driver, cost: int) -> None:
    """Some input may be left; `cost` is that of what was decoded last."""
    held = driver.intake.held
    if held is not None:
        if held.events:
            held.cost += cost
        driver._stop_reading()
    reserve_input(driver)
