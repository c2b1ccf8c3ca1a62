"""The backend `http`: events of sessions are requests to a URL, and answers are outputs.

Each session sends one request at a time, with the events that have come meanwhile. Its commands
wait in its queue, which is durable, until a request with them is answered. What an answer asks for
and that its commands are applied is one step, and so one commit.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterable
from functools import partial
from typing import Final

import msgspec

from holdfast.backends.base import BaseBackend, Services
from holdfast.backends.http import notes as n
from holdfast.backends.http.answers import Answers
from holdfast.backends.http.bodies import write_request
from holdfast.backends.http.closed import ClosedSessions
from holdfast.backends.http.config import Config, read_secrets
from holdfast.backends.http.delivery import Delivery
from holdfast.backends.http.moves import HttpMoves
from holdfast.backends.http.outcome import Outcome, outcome_of
from holdfast.backends.http.requester import Reply, Requester
from holdfast.backends.http.sending import FIRST_PAUSE_SECONDS, Sending
from holdfast.core.backoff import Backoff
from holdfast.core.errors import Reason
from holdfast.core.items import Notice
from holdfast.net.log import RateLimitedLogger, log_failure
from holdfast.net.runtime.tasks import spawn
from holdfast.net.tls.contexts import client_context
from holdfast.sessions.journal import Journal
from holdfast.sessions.port import SessionPort
from holdfast.sessions.position import ResetReason
from holdfast.sessions.records import Stored
from holdfast.sessions.session import Session
from holdfast.sessions.states import Durability, SessionState
from holdfast.sessions.stores.base import StoreError
from holdfast.sessions.waiters import StoreUnavailableError

_log: Final = RateLimitedLogger("holdfast.http_backend")

AWAY: Final = Notice("The application is away. What you type is kept, and runs when it is back.")
_ACTIVE: Final = frozenset({SessionState.ACTIVE, SessionState.DETACHED_ACTIVE})


class HttpBackend(BaseBackend):
    """The sessions of one application that is a URL."""

    def __init__(self, config: Config, services: Services) -> None:
        self.name = config.name
        self._app = config.app
        self._port = services.open_port(self)
        self._clock = services.clock
        self._journal = services.journal
        self._limits = services.limits.http
        self._at_end_of_tick = services.runtime.coalescer.add
        tls = client_context(config.ca) if config.ca else None
        self._requester = Requester(
            self.name,
            config.endpoints,
            self._limits,
            services.limits.upstream,
            tls,
            services.traces,
        )
        self._sends = bool(config.endpoints)
        secrets = read_secrets("secret_files", config.secret_files)
        self._sending = Sending(self._app, self._requester, secrets, self._limits)
        self.requests = self._sending.counts
        self._closed = ClosedSessions(
            self.name, self._app, services.journal.keep, self._sending, self._limits
        )
        self._answers = Answers(self.name, self._port, self._limits, self._clock)
        self._tasks = asyncio.TaskGroup()
        self._serving = False
        self._woken: dict[Delivery, None] = {}
        self.moves = HttpMoves(self._port, self.begin)

    @property
    def app(self) -> str:
        return self._app

    def restore(self, stored: Stored) -> None:
        self._closed.restore(stored.settings)

    async def run(self, started: Callable[[], None]) -> None:
        """Send events until cancelled. `started` is called when sessions may come."""
        async with self._requester, self._tasks:
            self._serving = True
            started()
            for sid in self._closed:
                self._send_closed(sid)
            await self._load()
            await asyncio.Event().wait()

    async def _load(self) -> None:
        """Load all sessions: their queues may have commands, and groups name their members.

        While the store cannot be read, this is tried again, with growing pauses.
        """
        backoff = Backoff(FIRST_PAUSE_SECONDS, self._limits.backoff_seconds_max)
        loaded = False
        while not loaded:
            try:
                await self._port.load()
                loaded = True
            except StoreError as error:
                _log.error("sessions not loaded", app=self._app, error=str(error))
            self.begin(self._port.sessions)
            if not loaded:
                await asyncio.sleep(backoff.pause(random.random()))

    def begin(self, sessions: Iterable[Session]) -> None:
        """Begin with those of these sessions whose events nothing sends yet."""
        for session in list(sessions):
            if session.route is None and session.state in _ACTIVE:
                delivery = self._delivery(session)
                if not session.row.known and not delivery.notes.number:
                    self._change(session, n.OPENED)
                elif delivery.notes.attached and not session.attached:
                    self._change(session, n.DETACHED, Reason.NETWORK_ERROR.value)
                self._wake(session)

    # --- what becomes of sessions

    def commanded(self, session: Session) -> None:
        self._wake(session)

    def opened(self, session: Session) -> None:
        session.row.known = True
        self._change(session, n.OPENED)

    def resumed(self, session: Session) -> None:
        self._come_back(session, n.RESUMED, "")

    def resync(self, session: Session, reason: ResetReason) -> None:
        self._come_back(session, n.RESYNC, reason.value)

    def _come_back(self, session: Session, kind: str, reason: str) -> None:
        loaded = not isinstance(session.route, Delivery)
        if self._delivery(session).notes.attached and loaded:  # the gateway has ended meanwhile
            self._change(session, n.DETACHED, Reason.NETWORK_ERROR.value)
        self._change(session, kind, reason)

    def detached(self, session: Session, reason: Reason) -> None:
        if session.row.known:
            self._change(session, n.DETACHED, reason.value)

    def keeps(self, *, known: bool) -> bool:
        return known

    def ending(self, session: Session, reason: Reason) -> None:
        if not session.row.known:
            return
        delivery = self._delivery(session)
        delivery.take(self._port.take(session))
        delivery.notes = delivery.notes.add(n.CLOSED, session.inbox.top, reason.value)
        delivery.ended = True
        self._closed.add(delivery)

    def ended(self, session: Session, reason: Reason) -> None:
        if not session.row.known:
            return
        delivery = self._delivery(session)
        delivery.gone = True
        if not delivery.running:
            self._send_closed(session.sid)

    # --- sending

    def _delivery(self, session: Session) -> Delivery:
        delivery = session.route
        if not isinstance(delivery, Delivery):
            delivery = session.route = Delivery(session, _read_notes(session))
        return delivery

    def _change(self, session: Session, kind: str, reason: str = "") -> None:
        """The session's state has changed: that is stored, and sent."""
        delivery = self._delivery(session)
        delivery.notes = delivery.notes.add(kind, session.inbox.top, reason)
        _save(self._port, delivery)
        self._wake(session)

    def _wake(self, session: Session) -> None:
        delivery = self._delivery(session)
        if not (delivery.running or delivery.ended):
            if not self._woken:
                self._at_end_of_tick(self._start)
            self._woken[delivery] = None

    def _start(self) -> None:
        """Begin to send what has come in this tick."""
        woken, self._woken = self._woken, {}
        if not (self._serving and self._sends):
            return
        for delivery in woken:
            if not (delivery.running or delivery.ended or delivery.moved):
                delivery.running = True
                spawn(self._tasks, self._run(delivery), partial(self._failed, delivery))

    def _failed(self, delivery: Delivery, error: Exception) -> None:
        """One session is one failure domain. Its events are tried again after a pause."""
        delivery.running = True
        sid = delivery.session.sid
        log_failure(_log, "a delivery failed", error, session=sid)
        failed = partial(log_failure, _log, "a delivery failed", session=sid)
        spawn(self._tasks, self._begin_again(delivery), failed)

    async def _begin_again(self, delivery: Delivery) -> None:
        if not delivery.ended:
            await asyncio.sleep(self._limits.backoff_seconds_max * random.random())
        delivery.running = False
        self._go_on(delivery)

    async def _run(self, delivery: Delivery) -> None:
        """Send what a session has, until there is nothing left."""
        session = delivery.session
        try:
            while not delivery.ended:
                delivery.take(self._port.take(session))
                if not delivery.due:
                    break
                await _settle(self._journal, delivery)
                await self._deliver(delivery)
        finally:
            delivery.running = False
        self._go_on(delivery)

    def _go_on(self, delivery: Delivery) -> None:
        """Nothing is under way: send what has come meanwhile, if there is any."""
        session = delivery.session
        if delivery.ended:
            self._closed.add(delivery)  # without what was answered
            if delivery.gone:
                self._send_closed(session.sid)
        elif delivery.due or session.inbox.waiting:
            self._wake(session)

    async def _deliver(self, delivery: Delivery) -> None:
        """Send one request until it is answered, or the session has ended."""
        session, limits = delivery.session, self._limits
        request = delivery.next(limits.events_max, limits.events_bytes_max)
        reply = await self._sending.send(
            session.sid,
            request.key(session.sid, session.inbox.applied),
            write_request(self._app, session, request.states, request.commands),
            wanted=lambda: not delivery.ended,
            failed=lambda: _tell_away(self._port, delivery),
        )
        if reply is None:
            return
        outcome = outcome_of(reply)
        if outcome is Outcome.REFUSED and delivery.split():
            return
        if delivery.ended:
            delivery.confirm()
        else:
            self._carry_out(delivery, reply, outcome)

    def _carry_out(self, delivery: Delivery, reply: Reply, outcome: Outcome) -> None:
        """The request is answered. All of this is one step, and so in one commit."""
        session = delivery.session
        delivery.told = False
        request = delivery.confirm()
        if request.commands:
            self._port.applied(session, request.commands[-1].cseq)
        _save(self._port, delivery)
        self._answers.carry_out(session, reply, outcome, typed=bool(request.commands))

    def _send_closed(self, sid: str) -> None:
        """Send the last events of a session that has ended."""
        if self._serving and self._sends:
            failed = partial(log_failure, _log, "a delivery failed", session=sid)
            spawn(self._tasks, self._closed.send(sid), failed)


def _save(port: SessionPort, delivery: Delivery) -> None:
    delivery.session.row.notes = n.write_notes(delivery.notes)
    port.save(delivery.session)


async def _settle(journal: Journal, delivery: Delivery) -> None:
    """Changes of a session's state are stored before they are sent: they keep their numbers."""
    if delivery.notes.pending and delivery.session.row.durability != Durability.MEMORY.value:
        try:
            await journal.settled()
        except StoreUnavailableError as error:
            _log.warning("sent without being stored", error=str(error))


def _tell_away(port: SessionPort, delivery: Delivery) -> None:
    """Tell a user once that the application is away."""
    if not (delivery.told or delivery.ended) and delivery.session.inbox.oldest:
        delivery.told = True
        port.show(delivery.session, AWAY)


def _read_notes(session: Session) -> n.Notes:
    try:
        return n.read_notes(session.row.notes)
    except msgspec.MsgspecError as error:
        _log.error("malformed notes of a session", session=session.sid, fault=str(error))
        return n.Notes()
