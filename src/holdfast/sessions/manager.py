"""All sessions of a node: who they are, who may take them up again, when they end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from enum import Enum
from typing import Final

from msgspec import Struct, field

from holdfast.core.errors import LimitExceededError, Reason
from holdfast.core.ids import new_epoch, new_resume_code, new_sid, read_resume_code
from holdfast.core.items import Notice
from holdfast.core.limits import SessionLimits
from holdfast.core.rate import Rate, RateByKey
from holdfast.net.log import RateLimitedLogger
from holdfast.net.security_log import SecurityEvent, SecurityLog
from holdfast.sessions.dormant import DormantSession
from holdfast.sessions.journal import Journal
from holdfast.sessions.loading import Loader
from holdfast.sessions.population import Member, Population
from holdfast.sessions.records import Head, Row, SetAside, Stored
from holdfast.sessions.room import Room
from holdfast.sessions.session import Backend, Session
from holdfast.sessions.states import Durability, SessionInput, SessionState
from holdfast.sessions.tokens import UNKNOWN_SESSION, TokenStatus, hash_code, split_token

_log: Final = RateLimitedLogger("holdfast.sessions")
_EXPIRED_MAX: Final = 200
"""Sessions that are closed in one go."""
_ROOMY: Final = 7 / 8
"""How much of the room may be taken once there was too little."""
_AGED_MAX: Final = 1_000
"""Windows that are looked at in one go, for output grown too old."""
_NO_CODE: Final = b""
_ANYWHERE: Final = ""
"""The key of what all networks do together."""
UNANSWERED: Final = Notice(
    "Nothing can be stored now. What you type is kept; it cannot be answered until there is room"
    " again."
)


class ClaimRefusal(Enum):
    """Why a token or a code gives no session. The value is for the client's person."""

    UNKNOWN = "it is not known, or its session has ended"
    REPLACED = "it was replaced by a newer one"
    REVOKED = "it was replaced by a newer one; for safety its session was closed"
    OWN = "it is the one you are in"
    ENTERED = "you are in a session already"
    ELSEWHERE = "its session is not one of those that are served here"
    TOO_EARLY = "its session cannot be resumed yet"
    RATE = "too many wrong attempts; try again later"


class Claim(Struct, frozen=True):
    """The right to a session, proven."""

    session: Session
    secret: bytes | None
    """The secret of the token that proved it; `None` if it was not a token."""
    code: bytes = _NO_CODE
    """The hash of the code that proved it, if it was one."""


class SessionCounts(Struct):
    """What became of sessions since this process began."""

    created: int = 0
    resumed: int = 0
    closed: Counter[str] = field(default_factory=Counter)
    """By the value of the reason."""
    outputs: int = 0
    """Of sessions that have ended, less what those taken up from the store had before."""
    commands: int = 0
    windows_forgotten: int = 0
    """Windows of clients that were away, let go because all windows had no more room."""
    set_aside: int = 0
    """Parts of the store that could not be taken up."""


class SessionManager:
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
        self.sessions: dict[str, Session] = {}
        """Those that are loaded, by `sid`."""
        self.groups: dict[str, dict[Session, None]] = {}
        self.counts = SessionCounts()
        self.limits = limits
        self._security = security or SecurityLog()
        self._journal = journal
        self.loader = Loader(self, self, journal, limits)
        """What is not loaded yet."""
        self._at_end_of_tick = at_end_of_tick
        self._ready: list[Session] = []
        journal.on_turned = self._store_turned
        journal.on_set_aside = self.loader.lost
        self._codes: dict[bytes, Member] = {}
        self.windows = Room(limits.node_windows_bytes_max)
        self.windows.make_room = self._forget_windows
        self.queues = Room(limits.node_queues_bytes_max)
        self._starved: dict[Session, None] = {}
        """Whose commands found no room."""
        self._population = Population(limits)
        self._aging: list[str] = []
        """The ids of those whose windows are still to be looked at in this round."""
        self._wrong = RateByKey(
            Rate(limits.attach_failures_per_minute_max / 60, limits.attach_failure_burst_max)
        )
        self._wrong_anywhere = RateByKey(
            Rate(
                limits.node_attach_failures_per_second_max,
                limits.node_attach_failure_burst_max,
            )
        )

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
        """A new session, for a client in `network`.

        Where there is no room, it takes the place of a detached one without a user
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
        """Take up what the store has, in parts of some milliseconds. Every session is detached,
        and is loaded when it is needed."""
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
        _log.error("a part of the store is set aside", sid=kept.sid, fault=kept.fault)
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
        """End a session for good; its client and its backend are told."""
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
        session.close()

        def closed() -> None:
            session.finish(reason)
            session.backend.ended(session, reason)
            session.free()

        self._journal.delete(session, closed)

    def expire(self, now: float) -> bool:
        """Close some of those that nobody came back for, and let go of output grown too old.

        Returns whether to come again soon: one call takes no longer than a few milliseconds.
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

    # --- taking up again

    def claim_by_token(
        self, token: str, *, exclude: Session | None = None, revoke: bool = True
    ) -> Claim | ClaimRefusal:
        """Who holds this token may have its session. `exclude` is the one it has already.

        Tokens cannot be guessed, so wrong ones cost their senders and others nothing: a good
        one is taken however many wrong ones came from the same address.

        With `revoke`, a token that was replaced ends its session: two hold it, and one of them
        has stolen it (RFC 9700 section 4.14.2). Without it, such a token is merely refused. That
        is for a browser's cookies: a browser that is killed, restored or copied brings an older
        one (it is not written at once), and whoever got hold of an old one must not be able to
        end the session of its newest holder.
        """
        parts = split_token(token)
        session = self.sessions.get(parts[0]) if parts is not None else None
        tokens = session.row.tokens if session is not None else UNKNOWN_SESSION
        secret = parts[1] if parts is not None else b""
        status = tokens.judge(secret)
        if session is None or status is TokenStatus.UNKNOWN:
            return ClaimRefusal.UNKNOWN
        if session is exclude:
            return (
                ClaimRefusal.OWN
            )  # with any token that it ever had: it is nobody else who says so
        if status is TokenStatus.VALID:
            return self._claim(session, secret)
        if not revoke:
            return ClaimRefusal.REPLACED
        self.close(session, Reason.KICKED)
        return ClaimRefusal.REVOKED

    def claim_by_code(
        self, typed: str, network: str, now: float, *, exclude: Session | None
    ) -> Claim | ClaimRefusal:
        """Who knows this code may have its session. `exclude` is the one it has already.

        It is good until `confirm` follows: its holder may be cut off before the answer. Wrong ones
        are held to a rate by `network`, and to one by all together.
        """
        if self._wrong.exhausted(network, now):
            return ClaimRefusal.RATE
        if self._wrong_anywhere.exhausted(_ANYWHERE, now) and not self._wrong.quiet(network, now):
            return ClaimRefusal.RATE
        code = read_resume_code(typed)
        presented = hash_code(code) if code is not None else _NO_CODE
        session = self._codes.get(presented)
        if not isinstance(session, Session) or _is_expired(session.row, presented, now):
            self._wrong.spend(network, now)
            if not self._wrong_anywhere.spend(_ANYWHERE, now):
                _log.warning("resume codes are being guessed", from_network=network)
            return ClaimRefusal.UNKNOWN
        if session is exclude:
            return ClaimRefusal.OWN
        return self._claim(session, None, presented)

    def code_wait(self, network: str, now: float) -> float:
        """Seconds after which a code from this network is looked at again."""
        return self._wrong.wait(network, now)

    def claim_own(self, session: Session) -> Claim | None:
        """The newest other session of the user, as `own` finds it. It is to be loaded."""
        newest = self.own(session)
        return Claim(newest, None) if isinstance(newest, Session) else None

    def own(self, session: Session) -> Member | None:
        """The newest other session of the same, authenticated user: one that waits for its client,
        before one whose connection is not known to be gone."""
        others = self._population.of_user(session.backend, session.row.user)
        able = [
            other
            for other in others
            if other is not session
            and (not isinstance(other, Session) or other.allows(SessionInput.RESUMED))
        ]
        return max(able, key=lambda other: (other.detached, other.sid), default=None)

    def dormant_of_token(self, token: str) -> str | None:
        """Which session is to be loaded before this token can be judged, if any."""
        parts = split_token(token)
        return parts[0] if parts is not None and parts[0] in self.loader.dormant else None

    def dormant_of_code(self, typed: str) -> str | None:
        """Which session is to be loaded before this code can be judged, if any."""
        code = read_resume_code(typed)
        found = self._codes.get(hash_code(code)) if code is not None else None
        return found.sid if isinstance(found, DormantSession) else None

    def issue_token(self, claim: Claim) -> str:
        """A new token for the claimed session."""
        session = claim.session
        session.mark_row_dirty()
        return session.row.tokens.issue(session.sid, claim.secret)

    def issue_code(self, claim: Claim, expires: float = 0.0) -> str:
        """A new code for the claimed session, good until `expires`, or as long as that.

        The one that proved the claim stays valid beside it until `confirm`, as its
        holder may never see the new one. Any other is void.
        """
        code = new_resume_code()
        self._set_codes(claim.session, hash_code(code), claim.code)
        claim.session.row.code_expires = expires
        return code

    def use_up_code(self, claim: Claim) -> None:
        """The code that proved the claim is valid until `confirm`, and no new one is given."""
        self._set_codes(claim.session, _NO_CODE, claim.code)

    def void_tokens(self, session: Session) -> None:
        """No token given so far is good any more: the session has another holder."""
        session.row.tokens.forget()
        session.mark_row_dirty()

    def renew(self, session: Session, *, new_token: bool) -> str:
        """The session has become a user's: only what its present client was given is good.

        So whoever knew a token or a code before (it may have been planted on the user, or read)
        has no part in it. Returns a new token, if one is wanted: the present one is good until
        `confirm`.
        """
        row = session.row
        token = ""
        if new_token:
            token = row.tokens.renew(session.sid)
        else:
            row.tokens.keep_newest()
        self._codes.pop(row.code_before, None)
        row.code_before = _NO_CODE
        session.mark_row_dirty()
        return token

    def void_codes(self, session: Session) -> None:
        """No code given so far is good any more."""
        self._set_codes(session, _NO_CODE, _NO_CODE)

    def confirm(self, session: Session) -> None:
        """The client has what it was last given: no older token or code is good any more."""
        row = session.row
        row.tokens.confirm()
        self._codes.pop(row.code_before, None)
        row.code_before = _NO_CODE
        session.mark_row_dirty()

    def attached(self, session: Session, network: str = "") -> None:
        """The session has a client again, in `network`."""
        self._population.stop_waiting(session)
        self._population.move(session, network)
        self.counts.resumed += 1

    def _claim(
        self, session: Session, secret: bytes | None, code: bytes = _NO_CODE
    ) -> Claim | ClaimRefusal:
        if not session.allows(SessionInput.RESUMED):
            return ClaimRefusal.TOO_EARLY
        return Claim(session, secret, code)

    def _set_codes(self, session: Session, code: bytes, before: bytes) -> None:
        self._forget_codes(session)
        session.row.code, session.row.code_before = code, before
        self._index_codes(session)
        session.mark_row_dirty()

    def _index_codes(self, session: Session) -> None:
        for code in (session.row.code, session.row.code_before):
            if code:
                self._codes[code] = session

    def _forget_codes(self, session: Session) -> None:
        self._codes.pop(session.row.code, None)
        self._codes.pop(session.row.code_before, None)

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
        """Let go of the output that is kept for those who are away, in `Population`'s order."""
        left = self.windows.used - wanted - self.windows.bytes_max * (1 - _ROOMY)
        before = self.counts.windows_forgotten
        for session in self._population.waiting():
            if self.windows.used <= left:
                break
            if isinstance(session, Session) and session.out.size:
                session.forget_window()
                self.counts.windows_forgotten += 1
        _log.warning(
            "output kept for clients that are away is let go",
            sessions=self.counts.windows_forgotten - before,
            kept_bytes=self.windows.used,
        )

    # --- Owner of the sessions

    def starved(self, session: Session) -> None:
        self._starved[session] = None

    def changed(self, session: Session) -> None:
        self._journal.add(session)

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
        """The store has begun to refuse, or takes what it is given again."""
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


def _is_expired(row: Row, code: bytes, now: float) -> bool:
    return code == row.code and 0.0 < row.code_expires <= now
