"""Viewers: how a session's client invites them, and the connection of each. Hot path.

A viewer's connection begins as any other. When it shows an invitation, a `Watcher` takes the
connection over: it reads the session's output at a position of its own, and nothing that comes
from it reaches the session.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Final

from holdfast.core.beats import first_beat
from holdfast.core.errors import LimitExceededError, Reason, sentence
from holdfast.core.items import Binary, Notice
from holdfast.gateway.adapters.base import Adapter
from holdfast.gateway.adapters.events import Ack, Broken, Event, Left, Proven, Watch
from holdfast.gateway.adapters.notifications import (
    ClaimRefused,
    InvitationIssued,
    WatchedResized,
    Watching,
)
from holdfast.gateway.context import Context
from holdfast.gateway.conversation.goodbye import say_goodbye
from holdfast.gateway.conversation.liveness import Life, judge
from holdfast.gateway.conversation.output import Attachment
from holdfast.gateway.conversation.phases import Move, after
from holdfast.gateway.conversation.ports import Conversation, security_of
from holdfast.net.connection.connection import Connection
from holdfast.net.log import RateLimitedLogger, log_failure
from holdfast.net.runtime.room import UNCOUNTED_BYTES
from holdfast.net.security_log import SecurityEvent
from holdfast.sessions.consumer import guarded
from holdfast.sessions.invitations import Invited

_log: Final = RateLimitedLogger("holdfast.gateway")

_UNKNOWN: Final = "the invitation is not known: it was revoked, or its time or its session is over"
_READ_ONLY: Final = "a viewer may acknowledge output and leave, and nothing else"
_RESTARTING: Final = "the gateway is restarting"
_EXPIRED: Final = "the time of the invitation is over"
_TOKEN_EXPIRED: Final = "your token has expired"
_NEVER: Final = float("inf")
_PACE_SECONDS: Final = 0.02
"""Between two deliveries: much output costs its session's client less in large pieces."""
_COLUMNS: Final = 80
_ROWS: Final = 24


# --- what the session's client asks for


def invite(conversation: Conversation, attachment: Attachment, seconds: float) -> None:
    """Give the client an invitation to its session."""
    context, session = conversation.context, attachment.session
    now = context.wall()
    try:
        invitation, token = context.manager.invitations.invite(session, seconds, now)
    except LimitExceededError as error:
        attachment.show(Notice(sentence(str(error))), always=True)
    else:
        left = round(invitation.expires - now, 1)
        conversation.tell(SecurityEvent.INVITED, number=invitation.id, seconds=left)
        conversation.adapter.notify(InvitationIssued(invitation.id, token, left))
        conversation.send()


def revoke(conversation: Conversation, attachment: Attachment, number: int) -> None:
    """Revoke an invitation; nothing happens if it has ended before."""
    viewers = attachment.session.viewers
    if viewers is not None and viewers.revoke(number):
        conversation.tell(SecurityEvent.INVITED, number=number, revoked=True)


# --- a viewer


def watch(conversation: Conversation, event: Watch) -> None:
    """Let a client with an invitation watch, or refuse it."""
    context = conversation.context
    invited = context.manager.invitations.find(event.token, context.wall())
    if invited is None or invited.session.backend is not conversation.listener.backend:
        context.counts["claims_refused"] += 1
        conversation.tell(SecurityEvent.INVITATION_REFUSED)
        conversation.adapter.notify(ClaimRefused(_UNKNOWN))
        conversation.send()
        return
    proof = conversation.proof
    until = proof.expires if proof is not None else _NEVER
    watcher = Watcher(conversation.connection, conversation.adapter, context, invited, until)
    try:
        invited.viewers.add(invited.invitation, watcher)
    except LimitExceededError as error:
        conversation.tell(SecurityEvent.LIMITED, why=str(error))
        conversation.goodbye(Reason.CROWDED, str(error))
        return
    conversation.tell(SecurityEvent.WATCHED, of=[invited.session.sid], number=invited.invitation.id)
    conversation.phase = after(conversation.phase, Move.LEAVE)  # nothing of it is the driver's now
    conversation.connection.attach(watcher)
    watcher.begin(event.n)
    held = conversation.intake.release()
    if held is not None:
        pass_on(conversation.connection, held.events, held.unread, eof=held.eof)
    watcher.resume_reading()


def pass_on(
    connection: Connection, events: Sequence[Event], unread: bytes = b"", *, eof: bool = False
) -> None:
    """Another handler has the connection: this input, which has come already, is for it.

    `events` are of the adapter, which only a `Watcher` takes over.
    """
    if isinstance(connection.handler, Watcher):
        connection.handler.handle(events)
        connection.handler.deliver()
    if unread:
        connection.handler.received(unread)
    if eof:
        connection.handler.ended()


class Watcher:
    """The handler of one viewer's connection, and the session's `Viewer`."""

    __slots__ = (
        "_acked",
        "_adapter",
        "_connection",
        "_context",
        "_invited",
        "_leaving",
        "_paced",
        "_pinged",
        "_position",
        "_until",
    )

    def __init__(
        self,
        connection: Connection,
        adapter: Adapter,
        context: Context,
        invited: Invited,
        until: float,
    ) -> None:
        self._connection = connection
        self._adapter = adapter
        self._context = context
        self._invited = invited
        self._until = until
        """When the token expires by which it proved who it is, in the runtime's time."""
        self._position = self._acked = 0
        self._pinged = 0.0
        self._leaving = False
        self._paced = False
        """Whether output waits for the next delivery."""

    def begin(self, n: int) -> None:
        """Begin to watch after number `n`, if that is still there."""
        session = self._invited.session
        self._connection.established()
        self._go_to(n, fits=session.out.base <= n <= session.deliverable())
        self.deliver()
        self._wake(self._connection.now, random.random())

    def _go_to(self, n: int, *, fits: bool) -> None:
        """Go on after `n`, or where the output that is kept begins."""
        session, row = self._invited.session, self._invited.session.row
        at, prologue = (n, b"") if fits else session.out.beginning()
        at = min(at, session.deliverable())
        self._position = self._acked = at
        self._adapter.notify(
            Watching(
                sid=session.sid,
                n=at,
                gap=max(0, at - n),
                width=row.capabilities.width or _COLUMNS,
                height=row.capabilities.height or _ROWS,
                heartbeat_seconds=self._context.limits.websocket.heartbeat_seconds_max,
            )
        )
        self._send()
        if prologue:
            self._connection.write(self._adapter.encode_volatile(Binary(prologue)))

    def handle(self, events: Sequence[Event]) -> None:
        """Handle what the adapter has read."""
        for event in events:
            self._react(event)

    def resume_reading(self) -> None:
        """Read on, unless the viewer does not read."""
        if not self._connection.full:
            self._connection.resume_reading()

    # --- Viewer: what the session says

    @property
    def address(self) -> str:
        return self._connection.peer

    def deliver(self) -> None:
        if not self._paced and self._write():
            self._paced = True
            self._context.runtime.loop.call_later(_PACE_SECONDS, self._deliver_paced)

    def _deliver_paced(self) -> None:
        self._paced = False
        guarded(self, self.deliver)

    def _write(self) -> bool:
        """Write what the viewer may be given now. False if that is nothing."""
        session, connection = self._invited.session, self._connection
        if self._leaving or connection.full:
            return False
        out = session.out
        if self._position < out.base:
            self._go_to(self._position, fits=False)
        most = self._context.limits.session.viewer_unacknowledged_max
        begun, upto = self._position, min(session.deliverable(), self._acked + most)
        if upto <= begun:
            return False
        self._position = upto
        connection.write(self._adapter.encode(begun + 1, out.view(begun, upto)))
        return True

    def resize(self) -> None:
        known = self._invited.session.row.capabilities
        if not self._leaving and known.width and known.height:
            self._adapter.notify(WatchedResized(known.width, known.height))
            self._send()

    def close(self, reason: Reason, text: str = "") -> None:
        if self._leaving:
            return
        self._send()  # before outputs, which are compressed after it
        self._write()
        self._leave()
        say_goodbye(self._connection, self._adapter, self._context, reason, text)
        self._connection.resume_reading()  # for the viewer's own goodbye

    def fail(self, error: Exception) -> None:
        log_failure(_log, "a viewer's connection failed", error, peer=self._connection.peer)
        self._leave()
        self._connection.abort()

    # --- Handler: what the connection says

    def connected(self) -> None:
        """Nothing: it is connected."""

    def received(self, data: bytes) -> None:
        now, step = self._connection.now, self._adapter.slice_bytes
        for start in range(0, len(data), step):
            self.handle(self._adapter.receive_data(data[start : start + step], now))
            while self._adapter.unread:
                self.handle(self._adapter.receive_data(b"", now))
        if self._adapter.pending > UNCOUNTED_BYTES:
            self.close(Reason.PROTOCOL_ERROR, _READ_ONLY)
        self._send()
        self.deliver()
        due = self._adapter.next_deadline()
        if due is not None and not self._leaving:
            self._wake(now)

    def ended(self) -> None:
        self._adapter.receive_eof()
        self._end()
        self._connection.close()

    def writable(self) -> None:
        self.resume_reading()
        self.deliver()

    def expired(self, now: float) -> None:
        if self._leaving:
            self._connection.close()
            return
        due = self._adapter.next_deadline()
        if due is not None and now >= due:
            self.handle(self._adapter.handle_timer(now))
        if now >= self._until:
            self.close(Reason.EXPIRED, _TOKEN_EXPIRED)
        if self._context.wall() >= self._invited.invitation.expires:
            self.close(Reason.REFUSED, _EXPIRED)
        if self._adapter.pings and not self._leaving:
            self._look_for_life(now)
        if not self._leaving:
            self._wake(now)

    def overdue(self, reason: Reason) -> None:
        if self._leaving:
            self._connection.close()
        else:
            self.close(reason)

    def drain(self) -> None:
        self.close(Reason.SHUTDOWN, _RESTARTING)

    def lost(self, cause: Exception | None) -> None:
        self._leave()

    # --- inside

    def _react(self, event: Event) -> None:
        match event:
            case Left():
                self._end()
                self._connection.close()
            case Broken(reason):
                self._context.counts[f"closed_{reason.value}"] += 1
                security = security_of(event)
                if security is not None:
                    peer, listener = self._connection.peer, self._connection.listener
                    self._context.security.tell(
                        security, peer=peer, listener=listener, why=event.text
                    )
                self._end()
                self._connection.close_on()
            case _ if self._leaving:
                pass
            case Ack(n) if n <= self._position:
                self._acked = max(self._acked, n)
            case Ack(n):
                self.close(
                    Reason.PROTOCOL_ERROR, f"acknowledged {n}; the last one was {self._position}"
                )
            case Proven():
                pass
            case _:
                self.close(Reason.PROTOCOL_ERROR, _READ_ONLY)

    def _look_for_life(self, now: float) -> None:
        """Ping a silent viewer; give up one that does not answer."""
        connection = self._connection
        if connection.full or connection.held:
            self._pinged = 0.0  # the limit of progress decides
            return
        patience = self._context.limits.websocket.heartbeat_seconds_max
        life = judge(connection.heard, self._pinged, now, patience)
        if life is Life.DEAD:
            self.close(Reason.TIMEOUT)
        elif life is Life.SILENT:
            self._pinged = now
            self._adapter.heartbeat()
            self._send()

    def _wake(self, now: float, part: float = 1.0) -> None:
        """Ask to be woken for whatever is due first: `_look_for_life` after `part` of its time."""
        left = self._invited.invitation.expires - self._context.wall()
        patience = self._context.limits.websocket.heartbeat_seconds_max
        due = min(now + min(left, first_beat(patience, part)), self._until)
        message = self._adapter.next_deadline()
        self._connection.wake_at(due if message is None else min(due, message))

    def _send(self) -> None:
        data = self._adapter.data_to_send()
        if data:
            self._connection.write(data)

    def _end(self) -> None:
        """It has left, or has had its answer."""
        self._leave()
        self._send()

    def _leave(self) -> None:
        if not self._leaving:
            self._leaving = True
            self._invited.viewers.remove(self._invited.invitation, self)
