"""All sessions of a node: registry, retention and expiry."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Final

from msgspec import Struct, field

from holdfast.core.clock import Clock, wall
from holdfast.core.errors import LimitExceededError, Reason
from holdfast.core.histogram import Histogram
from holdfast.core.ids import new_epoch, new_sid
from holdfast.core.items import Notice
from holdfast.core.limits import SessionLimits
from holdfast.net.log import RateLimitedLogger, log_failure
from holdfast.net.security_log import SecurityEvent, SecurityLog
from holdfast.sessions.claims import Claims
from holdfast.sessions.dormant import DormantSession
from holdfast.sessions.groups import Groups
from holdfast.sessions.invitations import Invitations
from holdfast.sessions.journal import Journal
from holdfast.sessions.life import Life, LifeLog
from holdfast.sessions.loading import Loader
from holdfast.sessions.population import Member, Population
from holdfast.sessions.records import Head, Row, SetAside, Stored
from holdfast.sessions.retention import Retention
from holdfast.sessions.session import NewSession, Session, SessionBackend
from holdfast.sessions.states import Durability, SessionInput, SessionState

_log: Final = RateLimitedLogger("holdfast.sessions")
_SAMPLED_TICKS: Final = 8
"""Of so many ticks with output, one is looked at."""
_EXPIRED_MAX: Final = 200
"""Sessions that are closed in one go."""
_DELIVERED_MAX: Final = 250
"""Sessions whose output is written in one pass of the loop."""
UNANSWERED: Final = Notice(
    "Nothing can be stored now. What you type is kept; it cannot be answered until there is room"
    " again."
)


class SessionCounts(Struct):
    """Counts of session events since this process began."""

    created: int = 0
    adopted: int = 0
    """Of a node that has ended."""
    moved_in: int = 0
    moved_out: int = 0
    """To and from another node, whose clients came there."""
    resumed: int = 0
    closed: Counter[str] = field(default_factory=Counter)
    """By the value of the reason."""
    outputs: int = 0
    """Of sessions that have ended, less the counts of the sessions loaded from the store."""
    commands: int = 0
    set_aside: int = 0
    """Parts of the store that could not be loaded."""


class SessionManager:
    """The registry of sessions, and the `SessionOwner` of each. All times are a `SteadyClock`'s.

    `at_end_of_tick` runs a function when this pass of the event loop ends, and again when the next
    one does if it returns true.
    """

    def __init__(
        self,
        limits: SessionLimits,
        journal: Journal,
        at_end_of_tick: Callable[[Callable[[], bool]], None],
        security: SecurityLog | None = None,
        clock: Clock = wall,
    ) -> None:
        self.limits = limits
        self.sessions: dict[str, Session] = {}
        """Those that are loaded, by `sid`."""
        self.counts = SessionCounts()
        self.resume_seconds = Histogram()
        """From the beginning of a connection until it continues a session."""
        self.delay_seconds = Histogram()
        """From an output until it is given to its client's connection. A sample: of one session in
        one of some ticks."""
        self.life = LifeLog(limits)
        self._security = security or SecurityLog()
        self._journal = journal
        self.changed = journal.add
        self.extended = journal.extend
        """`(state)`: there is something to store. Hot path: without a call in between."""
        self._at_end_of_tick = at_end_of_tick
        self._ready: list[Session] = []
        self._clock = clock
        self._unsampled = 0
        """Ticks with output since the last sample."""
        self.population = Population(limits)
        """How many sessions there are, which one makes room, and when one expires."""
        self.retention = Retention(limits, self.sessions, self.population)
        self.windows = self.retention.windows
        self.queues = self.retention.queues
        self.starved = self.retention.starved
        self.groups = Groups(limits.groups_max)
        self.loader = Loader(self, self, journal, limits)
        """The sessions that are not loaded."""
        self.claims = Claims(
            limits, self.sessions, self.loader.dormant, self.population, self.close
        )
        """Who may resume a session."""
        self.invitations = Invitations(limits, self.sessions)
        """Who may watch one."""
        journal.on_turned = self._store_turned
        journal.on_set_aside = self.loader.lost
        journal.on_truncated = self._store_truncated

    @property
    def total(self) -> int:
        """How many sessions there are, loaded or not."""
        return self.population.total

    def find(self, sid: str) -> Member | None:
        """A session, loaded or not."""
        return self.sessions.get(sid) or self.loader.dormant.get(sid)

    def all(self) -> Iterator[Member]:
        """All sessions, loaded or not."""
        yield from self.sessions.values()
        yield from self.loader.dormant

    # --- creating

    def create(
        self,
        backend: SessionBackend,
        durability: Durability,
        now: float,
        network: str = "",
        make: NewSession = Session,
    ) -> Session:
        """Make a new session for a client in `network`, of the kind that `make` makes.

        If there is no room, it takes the place of a detached session without a user
        (`Population`). Raises `BusyError` if there is none.
        """
        evicted = self.population.evicted_for(network)
        if evicted is not None:
            self._evict(evicted, "the node or the network has no room")
        row = Row(sid=new_sid(), epoch=new_epoch(), durability=durability.value, created=now)
        row.era = self.loader.eras.now
        session = make(row, backend, self.limits, self)
        session.generation = int(self.loader.shared)
        self.sessions[session.sid] = session
        self.population.add(session, network)
        self.counts.created += 1
        return session

    def _evict(self, session: Member, why: str) -> None:
        peer = session.row.address if isinstance(session, Session) else session.address
        self._security.tell(SecurityEvent.EVICTED, peer=peer, sid=session.sid, why=why)
        self.end(session, Reason.CROWDED)

    # --- what the store has

    def restoring(
        self, stored: Stored, backend_of: Callable[[Head], SessionBackend], now: float
    ) -> Iterator[None]:
        """Register the sessions of the store, in parts of some milliseconds. Each is detached,
        and is loaded on first use."""
        self.population.begun = now
        return self.loader.restoring(stored, backend_of, now)

    def found(self, dormant: DormantSession) -> None:
        self.claims.add(dormant)
        self.population.add(dormant, dormant.network)
        self.population.wait(dormant)

    def loaded(self, dormant: DormantSession, session: Session) -> None:
        self.sessions[session.sid] = session
        self.population.replace(dormant, session)
        self.counts.outputs -= session.out.top
        self.counts.commands -= session.inbox.top
        self.claims.add(session)
        self.groups.add(session)

    def forget(self, dormant: DormantSession) -> None:
        self.claims.forget(dormant)
        self.population.remove(dormant)

    def unresumable(self, sid: str) -> None:
        self.counts.closed[Reason.SHUTDOWN.value] += 1
        self._journal.delete_stored(sid)

    def has_set_aside(self, kept: SetAside) -> None:
        _log.error("part of the store set aside", sid=kept.sid, fault=kept.fault)
        self.counts.set_aside += 1

    # --- ending

    def end(self, session: Member, reason: Reason) -> None:
        """End a session for good, loaded or not."""
        if isinstance(session, Session):
            self.close(session, reason)
        elif self.loader.dormant.pop(session.sid) is not None:
            self.counts.closed[reason.value] += 1
            self.life.tell(Life.CLOSED, session, reason=reason.value)
            self.forget(session)
            self._journal.delete_stored(session.sid)

    def close(self, session: Session, reason: Reason) -> None:
        """End a session; notify its client and its backend."""
        if self.sessions.pop(session.sid, None) is None:
            return
        self.counts.closed[reason.value] += 1
        self.life.tell(Life.CLOSED, session, reason=reason.value)
        self._unregister(session)
        self.groups.forget(session)
        session.apply(SessionInput.CLOSED)
        _tell(session, session.backend.ending, reason)

        def closed() -> None:
            session.finish(reason)
            _tell(session, session.backend.ended, reason)
            session.free()

        self._journal.delete(session, closed)

    def _unregister(self, session: Session) -> None:
        """The session was taken out of `sessions`."""
        self.counts.outputs += session.out.top
        self.counts.commands += session.inbox.top
        self.retention.forget(session)
        self.claims.forget(session)
        self.population.remove(session)

    # --- to another node, and back

    def let_go(self, session: Session, reason: Reason) -> None:
        """Another node gets the session: nobody finds it here, and its client is disconnected for
        this reason."""
        del self.sessions[session.sid]
        session.detach(reason, self._clock())
        self._unregister(session)
        self.groups.drop(session)
        if session.viewers is not None:
            session.viewers.close()

    def take_back(self, session: Session) -> None:
        """The other node did not get it."""
        self.sessions[session.sid] = session
        self.population.add(session, session.network)
        self.population.wait(session)
        self.counts.outputs -= session.out.top
        self.counts.commands -= session.inbox.top
        self.claims.add(session)
        self.groups.add(session)

    # --- time

    def expire(self, now: float) -> bool:
        """Close some expired sessions, and drop expired output.

        Returns whether to call again soon: one call takes a few milliseconds at most.
        """
        expired = self.population.expired(now, _EXPIRED_MAX)
        for session in expired:
            self.end(session, Reason.TIMEOUT)
        self.retention.expire(now)
        return len(expired) == _EXPIRED_MAX

    def attached(self, session: Session, network: str = "") -> None:
        """The session has a client again, in `network`."""
        self.population.stop_waiting(session)
        self.population.move(session, network)
        self.counts.resumed += 1

    # --- what an application keeps in a session

    def set_user(self, session: Session, user: str) -> None:
        """The session is this user's. Raises `LimitExceededError`.

        A user with too many loses the one that has waited longest for its client.
        """
        if user == session.row.user:
            return
        others = list(self.population.of_user(session.backend, user))
        if len(others) >= self.limits.sessions_per_user_max:
            waiting = [other for other in others if other.state.detached]
            if not waiting:
                raise LimitExceededError(f"the user has {len(others)} sessions open, and no more")
            first = min(waiting, key=lambda other: other.detached)
            self._evict(first, "its user has no room")
        self.population.set_user(session, user)
        session.mark_row_dirty()

    def set_data(self, session: Session, data: bytes) -> None:
        """Keep the application's own data. Raises `LimitExceededError`."""
        if len(data) > self.limits.application_data_bytes_max:
            raise LimitExceededError(
                f"application data of {len(data)} bytes; at most"
                f" {self.limits.application_data_bytes_max} are kept in a session"
            )
        session.row.data = data
        session.mark_row_dirty()

    # --- SessionOwner

    def ready(self, session: Session) -> None:
        ready = self._ready
        if not ready:
            self._at_end_of_tick(self._deliver)
        ready.append(session)

    def detached(self, session: Session, reason: Reason) -> None:
        if session.state is SessionState.CLOSED or not session.resumable:
            self.close(session, reason)
        else:
            self.population.wait(session)
            self.life.tell(Life.DETACHED, session, reason=reason.value)
            session.backend.detached(session, reason)

    def _store_truncated(self) -> None:
        for session in self.sessions.values():
            self._journal.add_all(session)

    def _store_turned(self) -> None:
        """The store has become unwritable, or writable again."""
        journal = self._journal
        for session in list(self.sessions.values()):
            if session.persistent:
                session.set_degraded(degraded=journal.degraded)
            if journal.broken and session.durable:
                session.show(UNANSWERED)

    def _deliver(self) -> bool:
        """Deliver to the sessions that are ready; to the first of very many, and return true."""
        ready, self._ready = self._ready, []
        more = len(ready) > _DELIVERED_MAX
        if more:
            self._ready = ready[_DELIVERED_MAX:]
            del ready[_DELIVERED_MAX:]
        sampled = None
        self._unsampled += 1
        if self._unsampled == _SAMPLED_TICKS:
            self._unsampled = 0
            sampled = ready[0]
        for session in ready:
            try:
                if session is sampled:
                    self._deliver_sampled(session)
                else:
                    session.deliver()
            except Exception as error:  # one session is one failure domain
                log_failure(_log, "a session failed", error, session=session.sid)
        return more

    def _deliver_sampled(self, session: Session) -> None:
        """Deliver the output of a session, and note how long the oldest of it has waited."""
        out = session.out
        unsent = out.since(out.sent)
        session.deliver()
        if unsent and session.attached and out.sent >= out.top:
            self.delay_seconds.observe(max(0.0, self._clock() - unsent[0].time))


def _tell(session: Session, call: Callable[[Session, Reason], None], reason: Reason) -> None:
    """Tell a backend of the end of a session, which ends all the same if that fails."""
    try:
        call(session, reason)
    except Exception as error:
        log_failure(_log, "a backend failed", error, session=session.sid)
