"""All sessions of a node: registry, retention and expiry."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from msgspec import Struct, field

from holdfast.core.errors import LimitExceededError, Reason
from holdfast.core.ids import new_epoch, new_sid
from holdfast.core.items import Notice
from holdfast.core.limits import SessionLimits
from holdfast.net.log import RateLimitedLogger
from holdfast.net.security_log import SecurityEvent, SecurityLog
from holdfast.sessions.claims import Claims
from holdfast.sessions.dormant import DormantSession
from holdfast.sessions.durable_state import DurableState
from holdfast.sessions.journal import Journal
from holdfast.sessions.loading import Loader
from holdfast.sessions.population import Member, Population
from holdfast.sessions.records import Head, Row, SetAside, Stored
from holdfast.sessions.room import Room
from holdfast.sessions.session import Backend, Session
from holdfast.sessions.states import Durability, SessionInput, SessionState

_log: Final = RateLimitedLogger("holdfast.sessions")
_EXPIRED_MAX: Final = 200
"""Sessions that are closed in one go."""
_ROOMY: Final = 7 / 8
"""How much of the room may be taken once there was too little."""
_AGED_MAX: Final = 1_000
"""Windows that are looked at in one go, for output grown too old."""
UNANSWERED: Final = Notice(
    "Nothing can be stored now. What you type is kept; it cannot be answered until there is room"
    " again."
)


class SessionCounts(Struct):
    """Counts of session events since this process began."""

    created: int = 0
    resumed: int = 0
    closed: Counter[str] = field(default_factory=Counter)
    """By the value of the reason."""
    outputs: int = 0
    """Of sessions that have ended, less the counts of the sessions loaded from the store."""
    commands: int = 0
    windows_forgotten: int = 0
    """Windows of detached sessions that were dropped because the limit of all windows was
    reached."""
    set_aside: int = 0
    """Parts of the store that could not be loaded."""


class SessionManager(Claims):
    """The registry of sessions, and the `Owner` of each. All times are a `SteadyClock`'s.

    `at_end_of_tick` runs a function once, when this pass of the event loop ends.
    """

    def __init__(
        self,
        limits: SessionLimits,
        journal: Journal,
        at_end_of_tick: Callable[[Callable[[], None]], None],
        security: SecurityLog | None = None,
    ) -> None:
        super().__init__(limits)
        self.sessions: dict[str, Session] = {}
        """Those that are loaded, by `sid`."""
        self.groups: dict[str, dict[Session, None]] = {}
        self.counts = SessionCounts()
        self.limits = limits
        self._security = security or SecurityLog()
        self._journal = journal
        self.loader = Loader(self, self, journal, limits)
        """The sessions that are not loaded."""
        self._at_end_of_tick = at_end_of_tick
        self._ready: list[Session] = []
        journal.on_turned = self._store_turned
        journal.on_set_aside = self.loader.lost
        self.windows = Room(limits.node_windows_bytes_max)
        self.windows.make_room = self._forget_windows
        self.queues = Room(limits.node_queues_bytes_max)
        self._starved: dict[Session, None] = {}
        """Sessions whose commands were refused for lack of space."""
        self._population = Population(limits)
        self._aging: list[str] = []
        """The ids of those whose windows are still to be looked at in this round."""

    @property
    def total(self) -> int:
        """How many sessions there are, loaded or not."""
        return self._population.total

    def find(self, sid: str) -> Member | None:
        """A session, loaded or not."""
        return self.sessions.get(sid) or self.loader.dormant.get(sid)

    def all(self) -> Iterator[Member]:
        """All sessions, loaded or not."""
        yield from self.sessions.values()
        yield from self.loader.dormant

    # --- birth

    def create(
        self, backend: Backend, durability: Durability, now: float, network: str = ""
    ) -> Session:
        """Make a new session for a client in `network`.

        If there is no room, it takes the place of a detached session without a user
        (`Population`). Raises `BusyError` if there is none.
        """
        self._make_room(network)
        row = Row(sid=new_sid(), epoch=new_epoch(), durability=durability.value, created=now)
        row.era = self.loader.eras.now
        session = Session(row, backend, self.limits, self)
        self.sessions[session.sid] = session
        self._population.add(session, network)
        self.counts.created += 1
        return session

    def _make_room(self, network: str) -> None:
        evicted = self._population.evicted_for(network)
        if evicted is not None:
            self._evict(evicted, "the node or the network has no room")

    def _evict(self, session: Member, why: str) -> None:
        peer = session.row.address if isinstance(session, Session) else session.address
        self._security.tell(SecurityEvent.EVICTED, peer=peer, sid=session.sid, why=why)
        self.end(session, Reason.CROWDED)

    # --- what the store has

    def restoring(
        self, stored: Stored, backend_of: Callable[[Head], Backend], now: float
    ) -> Iterator[None]:
        """Register the sessions of the store, in parts of some milliseconds. Each is detached,
        and is loaded on first use."""
        self._population.begun = now
        return self.loader.restoring(stored, backend_of, now)

    def restore(self, stored: Stored, backend_of: Callable[[Head], Backend], now: float) -> None:
        """As `restoring`, in one go."""
        for _ in self.restoring(stored, backend_of, now):
            pass

    def found(self, dormant: DormantSession, network: str) -> None:
        for code in (dormant.code, dormant.code_before):
            if code:
                self._codes[code] = dormant
        self._population.add(dormant, network)
        self._population.wait(dormant)

    def loaded(self, dormant: DormantSession, session: Session) -> None:
        self.sessions[session.sid] = session
        self._population.replace(dormant, session)
        self.counts.outputs -= session.out.top
        self.counts.commands -= session.inbox.top
        self._index_codes(session)
        for group in session.row.groups:
            self.groups.setdefault(group, {})[session] = None

    def forget(self, dormant: DormantSession) -> None:
        for code in (dormant.code, dormant.code_before):
            self._codes.pop(code, None)
        self._population.remove(dormant)

    def unresumable(self, sid: str) -> None:
        self.counts.closed[Reason.SHUTDOWN.value] += 1
        self._journal.delete_stored(sid)

    def has_set_aside(self, kept: SetAside) -> None:
        _log.error("part of the store set aside", sid=kept.sid, fault=kept.fault)
        self.counts.set_aside += 1

    # --- death

    def end(self, session: Member, reason: Reason) -> None:
        """End a session for good, loaded or not."""
        if isinstance(session, Session):
            self.close(session, reason)
        elif self.loader.dormant.pop(session.sid) is not None:
            self.counts.closed[reason.value] += 1
            self.forget(session)
            self._journal.delete_stored(session.sid)

    def close(self, session: Session, reason: Reason) -> None:
        """End a session; notify its client and its backend."""
        if self.sessions.pop(session.sid, None) is None:
            return
        self.counts.closed[reason.value] += 1
        self.counts.outputs += session.out.top
        self.counts.commands += session.inbox.top
        self._starved.pop(session, None)
        self._forget_codes(session)
        self._population.remove(session)
        for group in session.row.groups:
            self.leave(session, group)
        session.apply(SessionInput.CLOSED)

        def closed() -> None:
            session.finish(reason)
            session.backend.ended(session, reason)
            session.free()

        self._journal.delete(session, closed)

    def expire(self, now: float) -> bool:
        """Close some expired sessions, and drop expired output.

        Returns whether to call again soon: one call takes a few milliseconds at most.
        """
        expired = self._population.expired(now, _EXPIRED_MAX)
        for session in expired:
            self.end(session, Reason.TIMEOUT)
        if not self._aging:
            self._aging = list(self.sessions)
        looked_at, self._aging = self._aging[-_AGED_MAX:], self._aging[:-_AGED_MAX]
        for sid in looked_at:
            aging = self.sessions.get(sid)
            if aging is not None:
                aging.out.trim_older(now - self.limits.window_age_seconds_max)
                aging.fit()
        if self._starved and self.queues.used < self.queues.bytes_max * _ROOMY:
            starved, self._starved = self._starved, {}
            for session in starved:
                session.offer_room()
        return len(expired) == _EXPIRED_MAX

    def attached(self, session: Session, network: str = "") -> None:
        """The session has a client again, in `network`."""
        self._population.stop_waiting(session)
        self._population.move(session, network)
        self.counts.resumed += 1

    # --- what an application keeps in a session

    def set_user(self, session: Session, user: str) -> None:
        """The session is this user's. Raises `LimitExceededError`.

        A user with too many loses the one that has waited longest for its client.
        """
        if user == session.row.user:
            return
        others = list(self._population.of_user(session.backend, user))
        if len(others) >= self.limits.sessions_per_user_max:
            waiting = [other for other in others if other.state.detached]
            if not waiting:
                raise LimitExceededError(f"the user has {len(others)} sessions open, and no more")
            first = min(waiting, key=lambda other: other.detached)
            self._evict(first, "its user has no room")
        self._population.set_user(session, user)
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

    def join(self, session: Session, group: str) -> None:
        """Put the session into a group. Raises `LimitExceededError`."""
        groups = session.row.groups
        if group in groups:
            return
        if len(groups) >= self.limits.groups_max:
            raise LimitExceededError(
                f"the session is in {len(groups)} groups; it cannot join {group!r}"
            )
        session.row.groups = (*groups, group)
        self.groups.setdefault(group, {})[session] = None
        session.mark_row_dirty()

    def leave(self, session: Session, group: str) -> None:
        """Take the session out of a group."""
        if group not in session.row.groups:
            return
        session.row.groups = tuple(it for it in session.row.groups if it != group)
        session.mark_row_dirty()
        members = self.groups[group]
        del members[session]
        if not members:
            del self.groups[group]

    def members(self, group: str) -> Iterable[Session]:
        """The sessions in a group, in the order in which they joined."""
        return self.groups.get(group, ())

    def _forget_windows(self, wanted: float) -> None:
        """Drop the windows of detached sessions, in the order of `Population`."""
        left = self.windows.used - wanted - self.windows.bytes_max * (1 - _ROOMY)
        before = self.counts.windows_forgotten
        for session in self._population.waiting():
            if self.windows.used <= left:
                break
            if isinstance(session, Session) and session.out.size:
                session.forget_window()
                self.counts.windows_forgotten += 1
        _log.warning(
            "windows of detached sessions dropped",
            sessions=self.counts.windows_forgotten - before,
            kept_bytes=self.windows.used,
        )

    # --- Owner of the sessions

    def starved(self, session: Session) -> None:
        self._starved[session] = None

    def changed(self, state: DurableState) -> None:
        self._journal.add(state)

    def ready(self, session: Session) -> None:
        ready = self._ready
        if not ready:
            self._at_end_of_tick(self._deliver)
        ready.append(session)

    def detached(self, session: Session, reason: Reason) -> None:
        if session.state is SessionState.CLOSED:
            self.close(session, reason)
        else:
            self._population.wait(session)
            session.backend.detached(session, reason)

    def _store_turned(self) -> None:
        """The store has become unwritable, or writable again."""
        journal = self._journal
        for session in list(self.sessions.values()):
            if session.persistent:
                session.set_adrift(adrift=journal.adrift)
            if journal.broken and session.durable:
                session.show(UNANSWERED)

    def _deliver(self) -> None:
        ready, self._ready = self._ready, []
        for session in ready:
            session.deliver()
