"""Who may resume a session: by a token, by a code, or as the same user."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum
from typing import Final

from msgspec import Struct

from holdfast.core.errors import Reason
from holdfast.core.ids import new_resume_code, read_resume_code
from holdfast.core.limits import SessionLimits
from holdfast.core.rate import Rate, RateByKey
from holdfast.net.log import RateLimitedLogger
from holdfast.sessions.dormant import DormantSession, DormantSessions
from holdfast.sessions.population import Member, Population
from holdfast.sessions.records import Row
from holdfast.sessions.session import Session
from holdfast.sessions.states import SessionInput
from holdfast.sessions.tokens import UNKNOWN_SESSION, TokenStatus, hash_code, split_token

_log: Final = RateLimitedLogger("holdfast.sessions")
_NO_CODE: Final = b""
_ANYWHERE: Final = ""
"""The key of the rate for all networks together."""


class ClaimRefusal(Enum):
    """Why a token or a code is refused. The value is the message for the user."""

    UNKNOWN = "it is not known, or its session has ended"
    REPLACED = "it was replaced by a newer one"
    REVOKED = "it was replaced by a newer one; for safety its session was closed"
    OWN = "it is the one you are in"
    ENTERED = "you are in a session already"
    ELSEWHERE = "its session is not one of those that are served here"
    OTHER_USER = "its session is another user's"
    TOO_EARLY = "its session cannot be resumed yet"
    RATE = "too many wrong attempts; try again later"


class Claim(Struct, frozen=True):
    """The right to a session, proven."""

    session: Session
    secret: bytes | None
    """The secret of the token that proved it; `None` if it was not a token."""
    code: bytes = _NO_CODE
    """The hash of the code that proved it, if it was one."""


class Claims:
    """Checks tokens and codes, issues them, and voids them.

    A claim to a dormant session can be checked once it is loaded (`dormant_of_token`,
    `dormant_of_code`). `close` ends a session whose token was stolen, or whose time is over: it is
    refused from that moment on. All times are a
    `SteadyClock`'s.
    """

    def __init__(
        self,
        limits: SessionLimits,
        sessions: Mapping[str, Session],
        dormant: DormantSessions,
        population: Population,
        close: Callable[[Session, Reason], None],
    ) -> None:
        self._sessions = sessions
        self._dormant = dormant
        self._population = population
        self._close = close
        self._codes: dict[bytes, Member] = {}
        self._wrong = RateByKey(
            Rate(limits.attach_failures_per_minute_max / 60, limits.attach_failure_burst_max)
        )
        self._wrong_anywhere = RateByKey(
            Rate(
                limits.node_attach_failures_per_second_max,
                limits.node_attach_failure_burst_max,
            )
        )

    def add(self, session: Member) -> None:
        """The codes of `session`, loaded or not, are valid here."""
        if session.code:
            self._codes[session.code] = session
        if session.code_before:
            self._codes[session.code_before] = session

    def forget(self, session: Member) -> None:
        """The codes of `session`, loaded or not, become unknown."""
        self._codes.pop(session.code, None)
        self._codes.pop(session.code_before, None)

    def by_token(
        self, token: str, now: float, *, exclude: Session | None = None, revoke: bool = True
    ) -> Claim | ClaimRefusal:
        """Return the session of this token. `exclude` is the caller's current session.

        Tokens cannot be guessed, so wrong ones are not limited: a valid token is accepted
        however many wrong ones came from the same address.

        With `revoke`, a replaced token ends its session: two clients have it, and one of them
        has stolen it (RFC 9700 section 4.14.2). Without it, such a token is only refused. That
        is for a browser's cookies: a browser that is killed, restored or copied sends an older
        one (it is not stored at once), and somebody with an old cookie must not be able to end
        the session of its newest holder.
        """
        parts = split_token(token)
        session = self._sessions.get(parts[0]) if parts is not None else None
        if session is not None and self._has_expired(session, now):
            session = None
        tokens = session.row.tokens if session is not None else UNKNOWN_SESSION
        secret = parts[1] if parts is not None else b""
        status = tokens.judge(secret)
        if session is None or status is TokenStatus.UNKNOWN:
            return ClaimRefusal.UNKNOWN
        if session is exclude:
            return ClaimRefusal.OWN  # any token that it ever had: the caller is its client
        if status is TokenStatus.VALID:
            return self._claim(session, secret)
        if not revoke:
            return ClaimRefusal.REPLACED
        self._close(session, Reason.KICKED)
        return ClaimRefusal.REVOKED

    def by_code(
        self, typed: str, network: str, now: float, *, exclude: Session | None
    ) -> Claim | ClaimRefusal:
        """Return the session of this code. `exclude` is the caller's current session.

        The code is valid until `confirm`: its holder may be disconnected before the answer.
        Wrong codes are limited by `network`, and in total.
        """
        if not self.may_try(network, now):
            return ClaimRefusal.RATE
        code = read_resume_code(typed)
        presented = hash_code(code) if code is not None else _NO_CODE
        session = self._codes.get(presented)
        if (
            not isinstance(session, Session)
            or _is_expired(session.row, presented, now)
            or self._has_expired(session, now)
        ):
            self._wrong.spend(network, now)
            if not self._wrong_anywhere.spend(_ANYWHERE, now):
                _log.warning("too many wrong resume codes", from_network=network)
            return ClaimRefusal.UNKNOWN
        if session is exclude:
            return ClaimRefusal.OWN
        return self._claim(session, None, presented)

    def may_try(self, network: str, now: float) -> bool:
        """Whether a code from this network is checked now."""
        if self._wrong.exhausted(network, now):
            return False
        anywhere = self._wrong_anywhere.exhausted(_ANYWHERE, now)
        return not anywhere or self._wrong.quiet(network, now)

    def knows_code(self, typed: str) -> bool:
        """Whether a session of this node has this code."""
        code = read_resume_code(typed)
        return code is not None and hash_code(code) in self._codes

    def code_wait(self, network: str, now: float) -> float:
        """Seconds until a code from this network is checked again."""
        return self._wrong.wait(network, now)

    def by_user(self, session: Session, now: float) -> Claim | None:
        """Return a claim to the newest other session of the same user, which has to be loaded."""
        newest = self.newest_of_user(session, now)
        return Claim(newest, None) if isinstance(newest, Session) else None

    def newest_of_user(self, session: Session, now: float) -> Member | None:
        """Return the newest other session of the same, authenticated user: a detached one
        before one whose connection is not known to be lost."""
        others = self._population.of_user(session.backend, session.row.user)
        able = [
            other
            for other in others
            if other is not session
            and self._population.expires(other) > now
            and (not isinstance(other, Session) or _can_be_resumed(other))
        ]
        return max(able, key=lambda other: (other.detached, other.sid), default=None)

    def dormant_of_token(self, token: str) -> str | None:
        """The id of the session to load before this token can be checked, if any."""
        parts = split_token(token)
        return parts[0] if parts is not None and parts[0] in self._dormant else None

    def dormant_of_code(self, typed: str) -> str | None:
        """The id of the session to load before this code can be checked, if any."""
        code = read_resume_code(typed)
        found = self._codes.get(hash_code(code)) if code is not None else None
        return found.sid if isinstance(found, DormantSession) else None

    def issue_token(self, claim: Claim) -> str:
        """Issue a new token for the claimed session."""
        session = claim.session
        session.mark_row_dirty()
        return session.row.tokens.issue(session.sid, claim.secret)

    def issue_code(self, claim: Claim, expires: float = 0.0) -> str:
        """Issue a new code for the claimed session, valid until `expires`.

        The code that proved the claim stays valid until `confirm`, because its holder may never
        receive the new one. Others become void.
        """
        code = new_resume_code()
        self._set_codes(claim.session, hash_code(code), claim.code)
        claim.session.row.code_expires = expires
        return code

    def use_up_code(self, claim: Claim) -> None:
        """Issue no new code; the one that proved the claim stays valid until `confirm`."""
        self._set_codes(claim.session, _NO_CODE, claim.code)

    def void_tokens(self, session: Session) -> None:
        """Void all tokens: the session has another holder."""
        session.row.tokens.forget()
        session.mark_row_dirty()

    def renew(self, session: Session, *, new_token: bool) -> str:
        """Void all credentials but those of the current client: the session has got a user.

        Earlier holders of a token or a code (it may have been planted or read) have no access
        to it. Returns a new token, if one is wanted; the current one is valid until `confirm`.
        """
        row = session.row
        token = ""
        if new_token:
            token = row.tokens.renew(session.sid)
        else:
            row.tokens.keep_newest()
        self._codes.pop(row.code_before, None)
        row.code_before = _NO_CODE
        if session.viewers is not None:
            session.viewers.revoke_all()
        session.mark_row_dirty()
        return token

    def void_codes(self, session: Session) -> None:
        """Void all codes."""
        self._set_codes(session, _NO_CODE, _NO_CODE)

    def confirm(self, session: Session) -> None:
        """Void older tokens and codes: the client has received its newest ones."""
        row = session.row
        row.tokens.confirm()
        self._codes.pop(row.code_before, None)
        row.code_before = _NO_CODE
        session.mark_row_dirty()

    def _has_expired(self, session: Session, now: float) -> bool:
        """Whether the session's time is over; it ends then, before the next sweep."""
        if self._population.expires(session) > now:
            return False
        self._close(session, Reason.TIMEOUT)
        return True

    def _claim(
        self, session: Session, secret: bytes | None, code: bytes = _NO_CODE
    ) -> Claim | ClaimRefusal:
        if not session.allows(SessionInput.RESUMED):
            return ClaimRefusal.TOO_EARLY
        return Claim(session, secret, code)

    def _set_codes(self, session: Session, code: bytes, before: bytes) -> None:
        self.forget(session)
        session.row.code, session.row.code_before = code, before
        self.add(session)
        session.mark_row_dirty()


def _is_expired(row: Row, code: bytes, now: float) -> bool:
    return code == row.code and 0.0 < row.code_expires <= now


def _can_be_resumed(session: Session) -> bool:
    return session.resumable and session.allows(SessionInput.RESUMED)
