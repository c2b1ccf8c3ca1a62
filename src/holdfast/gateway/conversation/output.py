"""The output of a session on its way to the client, and its acknowledgements. Hot path.

An `Attachment` is one connection and the session that writes to it: the session's `Consumer`,
from the moment at which the connection is to have the session until either lets go of the other.
"""

from __future__ import annotations

import random
from typing import Final, Protocol

from holdfast.core.beats import first_beat
from holdfast.core.errors import Reason
from holdfast.core.items import Command, Notice, Output
from holdfast.gateway.adapters.base import Adapter
from holdfast.gateway.adapters.events import Numbered
from holdfast.gateway.adapters.notifications import (
    Acknowledged,
    InputModeChanged,
    MaybeDelivered,
    ResendNeeded,
    ViewersChanged,
)
from holdfast.gateway.context import Context
from holdfast.gateway.conversation.acks import AckPacer
from holdfast.gateway.conversation.evidence import Evidence
from holdfast.gateway.conversation.intake import Intake
from holdfast.gateway.conversation.liveness import Life, judge
from holdfast.gateway.conversation.news import News
from holdfast.net.connection.connection import Connection
from holdfast.sessions.inbox import ACCEPTED, FULL, REFUSED, Verdict
from holdfast.sessions.outbox import AckError
from holdfast.sessions.session import Session

_NEVER: Final = float("inf")
_WITH_WELCOME: Final = -1.0


class AttachmentDriver(Protocol):
    """The operations of a driver that an attachment uses."""

    wake: float
    """When the connection is to wake the driver next."""
    intake: Intake

    def wake_by(self, when: float) -> None:
        """Call `Attachment.expire` at `when`, if nothing is due earlier."""

    def go_on(self) -> None:
        """Handle the input that is held."""

    def goodbye(self, reason: Reason, text: str = "") -> None:
        """Tell the client why, and close."""

    def hear(self, news: News) -> None:
        """The backend has news of the session."""

    def fail(self, error: Exception) -> None:
        """End this connection because of a defect."""


class Attachment:
    """One connection and its session."""

    __slots__ = (
        "_context",
        "acks",
        "adapter",
        "connection",
        "driver",
        "evidence",
        "greeted",
        "live",
        "pinged",
        "proof",
        "session",
    )

    def __init__(
        self,
        driver: AttachmentDriver,
        connection: Connection,
        adapter: Adapter,
        context: Context,
        session: Session,
    ) -> None:
        self._context = context
        self.driver = driver
        self.connection = connection
        self.adapter = adapter
        self.session = session
        self.live = False
        """Whether the client has been given the session: only then anything is written."""
        self.acks: AckPacer | None = None
        """For a client that numbers its commands."""
        self.evidence: Evidence | None = None
        """For a client that does not."""
        self.proof: float | None = _WITH_WELCOME
        """An acknowledgement of an output above this number shows that the client has its present
        token or code; below 0: they came with the answer that let it in. `None`: that is known."""
        self.greeted = False
        """Whether what comes may be an answer to our welcome."""
        self.pinged = 0.0
        """When the client was asked for a sign of life."""

    @property
    def protocol(self) -> str:
        return self.adapter.protocol

    def admit(self) -> None:
        """The session is durable and this connection's: it is live."""
        self.live = True
        context = self._context
        context.pool.register(self.session.sid, self)
        if self.adapter.pings:
            patience = context.limits.websocket.heartbeat_seconds_max
            first = first_beat(patience, random.random())
            self.driver.wake_by(context.runtime.timers.now + first)
        if self.adapter.numbered:
            self.acks = AckPacer(self.session.inbox.kept()[0])
        else:
            limits, exact = self._context.limits.session, self.adapter.wants_token
            self.evidence = Evidence(limits, self.session.out, exact=exact)

    def detach(self) -> None:
        """Detach the session, and note which output the client may have."""
        session, evidence = self.session, self.evidence
        self.release()
        if evidence is not None:
            evidence.close(self.connection.delivery(), self._context.runtime.timers.now)
            session.mark_dirty()
        elif session.out.maybe_delivered < session.out.sent:
            # What a client that counts had not acknowledged yet, it may have shown.
            session.out.maybe_delivered = session.out.sent
            session.mark_dirty()

    def release(self) -> None:
        """Release the session for another one, without noting anything."""
        self.live = False
        self._context.pool.unregister(self.session.sid, self)

    # --- Consumer: what the session says

    def deliver(self) -> None:
        if not self.live:
            return
        session = self.session
        out = session.out
        limit = session.deliverable()
        connection = self.connection
        if limit <= out.sent or connection.full:
            return
        first, items = out.take(limit)
        if out.maybe_delivered >= first and not self.adapter.numbered:
            self.adapter.notify(MaybeDelivered(out.maybe_delivered))
            self._send()
        connection.write(self.adapter.encode(first, items))
        evidence = self.evidence
        if evidence is not None:
            evidence.wrote(limit, connection.bytes_out, self._context.runtime.timers.now)
            if evidence.next < self.driver.wake:
                self.driver.wake_by(evidence.due)

    def show(self, item: Output, *, always: bool = False) -> None:
        if not self.live:
            return
        if always:
            self.deliver()
        session = self.session  # one that lags loses what is volatile first
        if always or (not self.connection.full and session.out.sent >= session.deliverable()):
            self._send()
            self.connection.write(self.adapter.encode_volatile(item))

    def acknowledge(self, cin: int) -> None:
        acks = self.acks
        if acks is None or not self.live:
            return
        if acks.note(cin, self._context.runtime.timers.now):
            self._tell_acks(acks)
        elif acks.due < self.driver.wake:
            self.driver.wake_by(acks.due)

    def make_room(self) -> None:
        held = self.driver.intake.held
        if held is not None and held.full and self.live:
            self.driver.go_on()
        if self.acks is not None and self.acks.make_room():
            self._ask_resend(self.acks)
            self._send()

    def change_input_mode(self) -> None:
        self.session.hides = self.driver.intake.held is not None
        self.adapter.notify(InputModeChanged(self.session.row.input_mode))
        self._send()

    def change_viewers(self) -> None:
        viewers = self.session.viewers
        if viewers is not None and self.live:
            self.adapter.notify(ViewersChanged(viewers.views(self._context.wall())))
            self._send()

    def close(self, reason: Reason) -> None:
        self.driver.goodbye(reason)

    def fail(self, error: Exception) -> None:
        self.driver.fail(error)

    # --- what the client says of it

    def command(self, item: Command) -> bool:
        """A command of a client that does not number. False if there is no room for it."""
        if self.proof is not None and self.greeted and self.proof < 0:
            self._confirm()
        verdict = self.session.receive(item)
        if verdict is REFUSED:
            self._refuse_lines()
        return verdict is not FULL

    def numbered(self, event: Numbered) -> None:
        """A command with the client's own number."""
        session = self.session
        verdict = session.receive_numbered(event.c, event.item)
        if verdict is ACCEPTED:
            return
        acks = self.acks
        assert acks is not None, "only a client that numbers is acknowledged"
        if verdict is Verdict.REPEATED:
            acks.repeat(event.c)
            session.mark_dirty()
        elif verdict is Verdict.GAP:
            self._ask_resend(acks)
        elif verdict is FULL:
            acks.refuse()
            self._context.counts["commands_refused"] += 1
        elif verdict is REFUSED:
            self._refuse_lines()

    def acked(self, n: int) -> None:
        """The client has every output up to `n`, as it says."""
        session = self.session
        try:
            session.out.ack(n)
        except AckError as error:
            self.driver.goodbye(Reason.PROTOCOL_ERROR, str(error))
            return
        session.mark_dirty()
        if session.lagging:
            session.relieve()
        if self.evidence is not None:
            self.evidence.acknowledges()
        if self.proof is not None and n > self.proof:
            self._confirm()

    def proven(self, number: int) -> None:
        """The client has answered the probe that asked for outputs up to `number`."""
        if self.evidence is not None and self.evidence.proven(number):
            self.session.mark_dirty()
            if self.proof is not None and number > self.proof:
                self._confirm()

    # --- time

    def due(self, now: float) -> float:
        """When `expire` is to be called next, if ever."""
        due = _NEVER
        if self.acks is not None:
            due = self.acks.due
        elif self.evidence is not None:
            due = self.evidence.due
        if self.adapter.pings and self.live:
            due = min(due, now + self._context.limits.websocket.heartbeat_seconds_max)
        return due

    def expire(self, now: float) -> None:
        """Time has passed: tell, probe or ping what is due."""
        if self.acks is not None and now >= self.acks.due:
            self._tell_acks(self.acks)
        if self.evidence is not None and now >= self.evidence.due:
            self._probe(self.evidence, now)
        if self.adapter.pings and self.live:
            self._look_for_life(now)

    def _look_for_life(self, now: float) -> None:
        """Ping a silent client; give up one that does not answer."""
        connection = self.connection
        if connection.full or connection.held or self.driver.intake.held is not None:
            self.pinged = 0.0  # it may not have been listened to; the limit of progress decides
            return
        patience = self._context.limits.websocket.heartbeat_seconds_max
        life = judge(connection.heard, self.pinged, now, patience)
        if life is Life.DEAD:
            self.driver.goodbye(Reason.TIMEOUT)
        elif life is Life.SILENT:
            self.pinged = now
            self.adapter.heartbeat()
            self._send()

    def _probe(self, evidence: Evidence, now: float) -> None:
        number = evidence.probing(now)
        if number:
            if self.adapter.probe(number, now):
                evidence.probed(number)
                self._send()
            else:
                evidence.not_probed()
        self.connection.look_for_reading()
        if evidence.ages and evidence.age(self.connection.delivery(), now):
            self.session.mark_dirty()

    # --- inside

    def _send(self) -> None:
        data = self.adapter.data_to_send()
        if data:
            self.connection.write(data)

    def _tell_acks(self, acks: AckPacer) -> None:
        self.adapter.notify(Acknowledged(acks.tell(self._context.runtime.timers.now)))
        self._send()

    def _ask_resend(self, acks: AckPacer) -> None:
        c = self.session.inbox.cin + 1
        if acks.missing(c):
            self.adapter.notify(ResendNeeded(c))

    def _refuse_lines(self) -> None:
        self._context.counts["commands_refused"] += 1
        lines_max = self._context.limits.session.command_lines_max
        self.show(Notice(f"Too many lines at once: at most {lines_max} are taken. None was."))

    def _confirm(self) -> None:
        self.proof = None
        self._context.manager.claims.confirm(self.session)
